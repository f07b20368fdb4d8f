package provider

import (
	"fmt"

	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// States of a provider, as start-up and GET /api/providers tell them.
const (
	StateReady    = "ready"
	StateNeedsKey = "needs_key"
	StateOff      = "off"
)

// Deps is what every provider is given.
type Deps struct {
	Log zerolog.Logger
}

// New makes the provider that c describes. name is its key in the providers
// table; messages to users and operators use it. c must have passed Validate
// and is not changed afterwards.
//
// A provider that keeps connections also is an io.Closer; Close lets go of the
// idle ones and is called after the last Stream returned.
func New(name string, c Config, deps Deps) (Provider, error) {
	switch c.Type {
	case TypeEcho:
		return newEcho(name, c), nil
	case TypeOpenAI:
		return newOpenAI(name, c, deps)
	default:
		return nil, fmt.Errorf("providers.%s.type: %q is not known: use %s or %s", name, c.Type, TypeEcho, TypeOpenAI)
	}
}

// State tells whether a question can be answered without the user's key. A
// server behind base_url may need none, so it counts as ready.
func State(c Config) string {
	switch c.Type {
	case TypeEcho:
		return StateReady
	case TypeOpenAI:
		if !firstKey(c.APIKeys).Empty() || c.BaseURL != "" {
			return StateReady
		}
		return StateNeedsKey
	default:
		return StateOff
	}
}

// Defaults is the providers table of a deployment that configured none. Its
// keys are still spelled as in a file: the loader resolves them.
func Defaults() map[string]Config {
	return map[string]Config{
		"echo":   {Type: TypeEcho},
		"openai": {Type: TypeOpenAI, APIKeys: []protocol.Secret{protocol.NewSecret([]byte("env:OPENAI_API_KEY"))}},
	}
}

// firstKey skips the empty keys that unset env: entries leave behind.
func firstKey(keys []protocol.Secret) protocol.Secret {
	for _, k := range keys {
		if !k.Empty() {
			return k
		}
	}
	return protocol.Secret{}
}
