package provider

import (
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Types of provider.
const (
	TypeEcho      = "echo"
	TypeOpenAI    = "openai"
	TypeAnthropic = "anthropic"
	TypeGemini    = "gemini"
	TypeFaulty    = "faulty"
)

// Types lists every type of provider.
func Types() []string {
	return []string{TypeEcho, TypeOpenAI, TypeAnthropic, TypeGemini, TypeFaulty}
}

// What a provider does with the keys of users.
const (
	UserKeysAllow   = "allow"
	UserKeysRequire = "require"
	UserKeysRefuse  = "refuse"
)

// Config is one entry of the providers table.
type Config struct {
	Type         string   `koanf:"type" doc:"echo; openai and everything that speaks its wire; anthropic; gemini; faulty (a vendor that fails as its model's name says; needs faults.enabled)"`
	Wire         string   `koanf:"wire" doc:"of a faulty provider: whose wire it speaks, openai, anthropic or gemini; empty = openai"`
	BaseURL      string   `koanf:"base_url" doc:"where the vendor answers; empty = the vendor's own address"`
	Models       []string `koanf:"models" doc:"what may be asked for; empty = any model"`
	Discover     bool     `koanf:"discover" doc:"ask the vendor which models there are and list them; for a provider without models"`
	DefaultModel string   `koanf:"default_model" doc:"used when a question names none"`
	Fallback     []string `koanf:"fallback" doc:"who is asked, in this order, where this provider cannot answer: provider or provider/model"`

	APIKeys       []protocol.Secret `koanf:"api_keys" doc:"the deployment's keys; env:NAME and file:PATH are resolved; an unset env: key is no key"`
	APIKeyWeights []int             `koanf:"api_key_weights" doc:"how often each of api_keys is used beside the others, in their order; missing = 1"`
	UserKeys      string            `koanf:"user_keys" doc:"allow, require or refuse keys that users bring; empty = allow"`

	MaxConcurrent       int `koanf:"max_concurrent" doc:"calls at once in one worker; 0 = as many as it has runs"`
	MaxConcurrentPerKey int `koanf:"max_concurrent_per_key" doc:"calls at once with one of api_keys in one worker; 0 = no bound"`
	MaxQueue            int `koanf:"max_queue" doc:"questions that may wait for room in one worker, for runs.queue_timeout; 0 = as many as may be asked at once"`

	ConnectTimeout    time.Duration `koanf:"connect_timeout" doc:"until the vendor's connection stands; 0 = 10s"`
	FirstTokenTimeout time.Duration `koanf:"first_token_timeout" doc:"overrides runs.first_token_timeout; 0 = as there"`
	StallTimeout      time.Duration `koanf:"stall_timeout" doc:"overrides runs.stall_timeout; 0 = as there"`
	Timeout           time.Duration `koanf:"timeout" doc:"overrides runs.timeout; 0 = as there"`
}

// Keys are the deployment's keys that are really there: an unset env: leaves an
// empty one behind.
func (c Config) Keys() []protocol.Secret {
	keys := make([]protocol.Secret, 0, len(c.APIKeys))
	for _, k := range c.APIKeys {
		if !k.Empty() {
			keys = append(keys, k)
		}
	}
	return keys
}

// Weight is how often the key at place i of APIKeys is used beside the others.
func (c Config) Weight(i int) int {
	if i < len(c.APIKeyWeights) {
		return c.APIKeyWeights[i]
	}
	return 1
}

// SplitTarget takes an entry of Fallback apart; the model may be empty, and may
// hold slashes itself.
func SplitTarget(target string) (provider, model string) {
	provider, model, _ = strings.Cut(target, "/")
	return provider, model
}
