package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/actors/provider"
)

// Validate checks every part and what the parts say about each other. Every
// problem is one line that names its key.
func (c *Config) Validate() error {
	errs := []error{
		c.HTTP.Validate(),
		c.Limits.Validate(),
		c.Pool.Validate(),
		c.WebSocket.Validate(),
		c.Chat.Validate(),
		c.Runs.Validate(),
		c.Bus.Validate(),
		c.Worker.Validate(),
		c.Overload.Validate(),
		c.Log.Validate(),
		c.Traces.Validate(),
		c.Faults.Validate(),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		errs = append(errs, c.Providers[name].Validate(name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		errs = append(errs, c.chain(name))
	}
	errs = append(errs, c.known(keyDefault, c.DefaultProvider))
	for _, id := range slices.Sorted(maps.Keys(c.Products)) {
		if wrong := badEntry(tableProducts, id); wrong != "" {
			errs = append(errs, fmt.Errorf("products.%s: %s", safeKey(id), wrong))
			continue
		}
		if name := c.Products[id].Provider; name != "" {
			errs = append(errs, c.known("products."+id+".provider", name))
		}
	}
	return errors.Join(errs...)
}

// chain checks who stands behind a provider.
func (c *Config) chain(name string) error {
	var errs []error
	for i, entry := range c.Providers[name].Fallback {
		key := fmt.Sprintf("providers.%s.fallback[%d]", name, i)
		other, model := provider.SplitTarget(entry)
		p, ok := c.Providers[other]
		switch {
		case !ok:
			errs = append(errs, c.known(key, other))
		case other == name:
			errs = append(errs, fmt.Errorf("%s: %s is this provider itself: name another one", key, quoted(entry)))
		case model == "" && p.DefaultModel == "" && p.Type != provider.TypeEcho && p.Type != provider.TypeFaulty:
			errs = append(errs, fmt.Errorf("%s: %s says no model and providers.%s.default_model is empty: give %s/model", key, quoted(entry), other, other))
		case model != "" && len(p.Models) > 0 && !slices.Contains(p.Models, model):
			errs = append(errs, fmt.Errorf("%s: %s is not in providers.%s.models", key, quoted(entry), other))
		}
	}
	return errors.Join(errs...)
}

// known checks that key names an entry of the providers table.
func (c *Config) known(key, name string) error {
	if _, ok := c.Providers[name]; ok {
		return nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(c.Providers)), ", ")
	return fmt.Errorf("%s: %s is not allowed: give one of the configured providers: %s", key, quoted(name), names)
}

// Validate names the keys that hold an unknown word.
func (c LogConfig) Validate() error {
	return errors.Join(
		oneOf("log.level", c.Level, "trace", "debug", "info", "warn", "error"),
		oneOf("log.format", c.Format, "auto", "console", "json"),
	)
}

// Validate names the line that is no fault, and says what is allowed there.
func (c FaultsConfig) Validate() error {
	if len(c.Inject) > 0 && !c.Enabled {
		return errors.New("faults.inject: has no effect without faults.enabled: set that too, or leave this out")
	}
	var errs []error
	for i, line := range c.Inject {
		spec, err := fault.Parse(line)
		if err == nil {
			err = actors.FaultCatalogue().Check(&spec)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("faults.inject[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func oneOf(key, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	last := len(words) - 1
	return fmt.Errorf("%s: %s is not allowed: give %s or %s", key, quoted(value), strings.Join(words[:last], ", "), words[last])
}
