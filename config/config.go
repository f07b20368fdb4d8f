package config

import (
	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport"
)

// Names of the tables and of the one value at the top of the tree.
const (
	tableProviders = "providers"
	tableProducts  = "products"
	keyDefault     = "default_provider"
)

// Config is the whole tree. Each part belongs to the package that obeys it.
// A Config is read-only once it is in use.
type Config struct {
	HTTP            transport.HTTPConfig       `koanf:"http"`
	Limits          limit.Config               `koanf:"limits"`
	Pool            actors.PoolConfig          `koanf:"pool"`
	WebSocket       transport.WebSocketConfig  `koanf:"websocket"`
	Chat            actors.ChatConfig          `koanf:"chat"`
	Runs            actors.RunsConfig          `koanf:"runs"`
	Bus             bus.Config                 `koanf:"bus"`
	Worker          actors.WorkerConfig        `koanf:"worker"`
	Providers       map[string]provider.Config `koanf:"providers" doc:"model vendors by name: 1 to 32 of a-z, 0-9 and -"`
	DefaultProvider string                     `koanf:"default_provider" doc:"asked when neither the question nor its product names one"`
	Products        map[string]actors.Product  `koanf:"products" doc:"what the customer address serves, by product id; no entry = any id is accepted"`
	Overload        pressure.Config            `koanf:"overload"`
	Log             LogConfig                  `koanf:"log"`
	Traces          trace.Config               `koanf:"traces"`
	Faults          FaultsConfig               `koanf:"faults"`
}

// FaultsConfig says whether this process may be made to fail on purpose.
type FaultsConfig struct {
	Enabled bool     `koanf:"enabled" doc:"for tests: serve providers of type faulty, whose models fail as their names say, and let operators set faults, on http.admin_listen or with http.admin_token"`
	Inject  []string `koanf:"inject" doc:"faults that are set at the start, one line each, as in connection panic message=asked probability=0.01 for=1m; docs/faults.md"`
}

// LogConfig says what is logged and how it looks.
type LogConfig struct {
	Level  string `koanf:"level" doc:"trace, debug, info, warn or error"`
	Format string `koanf:"format" doc:"console, json or auto: console on a terminal, JSON elsewhere"`
}

// Default is the configuration that nobody wrote. Its keys may still be
// references; Load resolves them.
func Default() *Config {
	return &Config{
		HTTP:            transport.DefaultHTTP(),
		Limits:          limit.Default(),
		Pool:            actors.DefaultPool(),
		WebSocket:       transport.DefaultWebSocket(),
		Chat:            actors.DefaultChat(),
		Runs:            actors.DefaultRuns(),
		Bus:             bus.Default(),
		Worker:          actors.DefaultWorker(),
		Providers:       provider.Defaults(),
		DefaultProvider: provider.TypeEcho,
		Products:        map[string]actors.Product{},
		Overload:        pressure.Default(),
		Log:             LogConfig{Level: "info", Format: "auto"},
		Traces:          trace.Default(),
	}
}
