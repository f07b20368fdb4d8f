package provider

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of an entry.
const (
	maxNameBytes = 32
	maxWeight    = 1000
	maxFallback  = 8
)

// Validate checks one entry of the providers table. Every problem is reported,
// each by its full key. No value of a key is ever part of an error.
func (c Config) Validate(name string) error {
	if !validName(name) {
		return fmt.Errorf("providers.%q: a provider's name is 1 to %d of a-z, 0-9 and -", name, maxNameBytes)
	}
	at := "providers." + name + "."
	return errors.Join(
		c.validateType(at),
		c.validateBaseURL(at+"base_url"),
		validateKeys(at, c.APIKeys),
		c.validateWeights(at),
		c.validateUserKeys(at),
		c.validateModels(at),
		c.validateFallback(at),
		atLeastZero(at+"max_concurrent", c.MaxConcurrent),
		atLeastZero(at+"max_concurrent_per_key", c.MaxConcurrentPerKey),
		atLeastZero(at+"max_queue", c.MaxQueue),
		validateTimeout(at+"connect_timeout", c.ConnectTimeout),
		validateTimeout(at+"first_token_timeout", c.FirstTokenTimeout),
		validateTimeout(at+"stall_timeout", c.StallTimeout),
		validateTimeout(at+"timeout", c.Timeout),
	)
}

func validName(name string) bool {
	if name == "" || len(name) > maxNameBytes {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func (c Config) validateType(at string) error {
	if !slices.Contains(Types(), c.Type) {
		return fmt.Errorf("%stype: %q is not known: use one of %s", at, c.Type, strings.Join(Types(), ", "))
	}
	if c.Wire == "" {
		return nil
	}
	if c.Type != TypeFaulty {
		return fmt.Errorf("%swire: only a provider of type %s has a choice: leave it out", at, TypeFaulty)
	}
	if c.Wire != TypeOpenAI && c.Wire != TypeAnthropic && c.Wire != TypeGemini {
		return fmt.Errorf("%swire: %q is not known: use %s, %s or %s", at, c.Wire, TypeOpenAI, TypeAnthropic, TypeGemini)
	}
	return nil
}

// validateBaseURL never repeats the value where it may hold a password. The one
// query that is taken is the version that Azure wants behind every path.
func (c Config) validateBaseURL(key string) error {
	if c.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.BaseURL)
	switch {
	case err != nil:
		return fmt.Errorf("%s: not a URL: use http://host/path or https://host/path", key)
	case c.Type == TypeEcho || c.Type == TypeFaulty:
		return fmt.Errorf("%s: a provider of type %s has no address: leave it out", key, c.Type)
	case u.User != nil:
		return fmt.Errorf("%s: must not hold a user or password: put the key into api_keys", key)
	case u.ForceQuery || u.Fragment != "" || u.RawQuery != "" && !azureVersion(u):
		return fmt.Errorf("%s: must not hold a query or fragment, but for Azure's ?api-version=…: leave off what follows the path", key)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s: must start with http:// or https://", key)
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%s: names no host", key)
	}
	return nil
}

// azureVersion tells whether the query is api-version=DATE and nothing else.
func azureVersion(u *url.URL) bool {
	version, ok := strings.CutPrefix(u.RawQuery, "api-version=")
	return ok && version != "" && strings.Trim(version, "0123456789-abcdefghijklmnopqrstuvwxyz") == ""
}

func (c Config) validateWeights(at string) error {
	if len(c.APIKeyWeights) > len(c.APIKeys) {
		return fmt.Errorf("%sapi_key_weights: %d weights for %d keys: give at most one for each of api_keys", at, len(c.APIKeyWeights), len(c.APIKeys))
	}
	for i, w := range c.APIKeyWeights {
		if w < 1 || w > maxWeight {
			return fmt.Errorf("%sapi_key_weights[%d]: %d is not allowed: give 1 to %d", at, i, w, maxWeight)
		}
	}
	return nil
}

func (c Config) validateUserKeys(at string) error {
	switch c.UserKeys {
	case "", UserKeysAllow, UserKeysRefuse:
		return nil
	case UserKeysRequire:
		if c.Type != TypeEcho && c.Type != TypeFaulty {
			return nil
		}
		return fmt.Errorf("%suser_keys: a provider of type %s needs no key: leave it out", at, c.Type)
	}
	return fmt.Errorf("%suser_keys: %q is not allowed: use %s, %s or %s", at, c.UserKeys, UserKeysAllow, UserKeysRequire, UserKeysRefuse)
}

// validateFallback looks at one entry alone; whether the names are those of
// providers is for who knows all of them.
func (c Config) validateFallback(at string) error {
	if len(c.Fallback) > maxFallback {
		return fmt.Errorf("%sfallback: %d entries: give at most %d", at, len(c.Fallback), maxFallback)
	}
	for i, target := range c.Fallback {
		if name, _ := SplitTarget(target); !validName(name) {
			return fmt.Errorf("%sfallback[%d]: %q is not allowed: give provider or provider/model", at, i, target)
		}
	}
	return nil
}

func atLeastZero(key string, n int) error {
	if n < 0 {
		return fmt.Errorf("%s: %d is not allowed: give 0 or more", key, n)
	}
	return nil
}

func validateKeys(at string, keys []protocol.Secret) error {
	for i, k := range keys {
		if !k.Empty() && !validKey(k) {
			return fmt.Errorf("%sapi_keys[%d]: holds a space, a line end or another character that no key has", at, i)
		}
	}
	return nil
}

func (c Config) validateModels(at string) error {
	if c.Discover && len(c.Models) > 0 {
		return fmt.Errorf("%sdiscover: the list is already given by %smodels: use one of the two", at, at)
	}
	if c.Discover && (c.Type == TypeEcho || c.Type == TypeFaulty) {
		return fmt.Errorf("%sdiscover: a provider of type %s has no list to ask for: leave it out", at, c.Type)
	}
	if slices.Contains(c.Models, "") {
		return fmt.Errorf("%smodels: holds an empty name", at)
	}
	if c.DefaultModel != "" && len(c.Models) > 0 && !slices.Contains(c.Models, c.DefaultModel) {
		return fmt.Errorf("%sdefault_model: %q is not in %smodels", at, c.DefaultModel, at)
	}
	if c.Type != TypeEcho {
		return nil
	}
	for _, m := range append(slices.Clone(c.Models), c.DefaultModel) {
		if _, err := parseEchoModel(m); m != "" && err != nil {
			return fmt.Errorf("%smodels: %q: %w", at, m, err)
		}
	}
	return nil
}

func validateTimeout(key string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s: %s is negative: use 0 for the deployment's own", key, d)
	}
	return nil
}
