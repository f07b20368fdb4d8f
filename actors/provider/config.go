package provider

import (
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Types of provider.
const (
	TypeEcho   = "echo"
	TypeOpenAI = "openai"
)

// Config is one entry of the providers table.
type Config struct {
	Type         string            `koanf:"type" doc:"echo, or openai and everything that speaks its wire"`
	APIKeys      []protocol.Secret `koanf:"api_keys" doc:"the deployment's keys; env:NAME and file:PATH are resolved; an unset env: key is no key"`
	BaseURL      string            `koanf:"base_url" doc:"where the vendor answers; empty = the vendor's own address"`
	Models       []string          `koanf:"models" doc:"what may be asked for; empty = any model"`
	DefaultModel string            `koanf:"default_model" doc:"used when a question names none"`

	FirstTokenTimeout time.Duration `koanf:"first_token_timeout" doc:"overrides runs.first_token_timeout; 0 = as there"`
	StallTimeout      time.Duration `koanf:"stall_timeout" doc:"overrides runs.stall_timeout; 0 = as there"`
	Timeout           time.Duration `koanf:"timeout" doc:"overrides runs.timeout; 0 = as there"`
}
