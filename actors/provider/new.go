package provider

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// States of a provider, as start-up and GET /api/providers tell them.
const (
	StateReady    = "ready"
	StateNeedsKey = "needs_key"
	StateResting  = "resting"
	StateOff      = "off"
)

// Deps is what every provider is given.
type Deps struct {
	Log zerolog.Logger
	// FaultyURL is where the faulty vendor of this process is asked, by wire;
	// nil = there is none. The address is a secret.
	FaultyURL func(wire string) string
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
	case TypeFaulty:
		return newFaulty(name, c, deps)
	}
	w, err := newWire(c.Type, c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("providers.%s.%w", name, err)
	}
	return newVendor(name, c, w, deps)
}

// newWire makes the language of a type of vendor.
func newWire(kind, base string) (wire, error) {
	switch kind {
	case TypeOpenAI:
		return newOpenAIWire(base)
	case TypeAnthropic:
		return newAnthropicWire(base)
	case TypeGemini:
		return newGeminiWire(base)
	}
	return nil, fmt.Errorf("type: %q is not known: use one of %s", kind, strings.Join(Types(), ", "))
}

// KeyVariable is the environment variable that everybody knows for the key of a
// type of vendor, or "".
func KeyVariable(kind string) string {
	switch kind {
	case TypeOpenAI:
		return "OPENAI_API_KEY"
	case TypeAnthropic:
		return "ANTHROPIC_API_KEY"
	case TypeGemini:
		return "GEMINI_API_KEY"
	}
	return ""
}

// State tells whether a question can be answered without the user's key. A
// server behind base_url may need none, so it counts as ready.
func State(c Config) string {
	switch c.Type {
	case TypeEcho, TypeFaulty:
		return StateReady
	case TypeOpenAI, TypeAnthropic, TypeGemini:
		if c.UserKeys != UserKeysRequire && (len(c.Keys()) > 0 || c.BaseURL != "") {
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
		"echo":      {Type: TypeEcho},
		"openai":    {Type: TypeOpenAI, APIKeys: variable(TypeOpenAI)},
		"anthropic": {Type: TypeAnthropic, APIKeys: variable(TypeAnthropic)},
		"gemini":    {Type: TypeGemini, APIKeys: variable(TypeGemini)},
		"faulty":    {Type: TypeFaulty},
	}
}

// variable spells a reference to the environment.
func variable(kind string) []protocol.Secret {
	return []protocol.Secret{protocol.NewSecret([]byte("env:" + KeyVariable(kind)))}
}
