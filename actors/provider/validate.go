package provider

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const maxNameBytes = 32

// Validate checks one entry of the providers table. Every problem is reported,
// each by its full key. No value of a key is ever part of an error.
func (c Config) Validate(name string) error {
	if !validName(name) {
		return fmt.Errorf("providers.%q: a provider's name is 1 to %d of a-z, 0-9 and -", name, maxNameBytes)
	}
	at := "providers." + name + "."
	return errors.Join(
		c.validateType(at),
		validateBaseURL(at+"base_url", c.BaseURL),
		validateKeys(at, c.APIKeys),
		c.validateModels(at),
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
	if c.Type == TypeEcho || c.Type == TypeOpenAI {
		return nil
	}
	return fmt.Errorf("%stype: %q is not known: use %s or %s", at, c.Type, TypeEcho, TypeOpenAI)
}

// validateBaseURL never repeats the value where it may hold a password.
func validateBaseURL(key, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s: not a URL: use http://host/path or https://host/path", key)
	case u.User != nil:
		return fmt.Errorf("%s: must not hold a user or password: put the key into api_keys", key)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%s: must not hold a query or fragment: leave off what follows the path", key)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s: %q must start with http:// or https://", key, value)
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%s: %q names no host", key, value)
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
