package actors

import "time"

// PoolConfig bounds the connections of one gateway.
type PoolConfig struct {
	MaxConnections int           `koanf:"max_connections" doc:"connections in all; at start capped to what descriptors allow"`
	MaxPerIP       int           `koanf:"max_per_ip" doc:"connections per client address (IPv6: per /64); 0 = no bound"`
	IdleTimeout    time.Duration `koanf:"idle_timeout" doc:"a connection without chat, cancel or resume for this long is closed; 0 = never"`
}

// ChatConfig bounds and completes what a client may ask.
type ChatConfig struct {
	MaxTokens          int          `koanf:"max_tokens" doc:"upper bound of max_tokens in a question"`
	MaxTemperature     float64      `koanf:"max_temperature" doc:"upper bound of temperature in a question"`
	ClientSystem       bool         `koanf:"client_system" doc:"whether a client may bring its own system prompt"`
	CloseAfterComplete bool         `koanf:"close_after_complete" doc:"close 1000 after each unnamed turn"`
	Memory             MemoryConfig `koanf:"memory"`
}

// MemoryConfig bounds the earlier turns that a socket remembers.
type MemoryConfig struct {
	Turns int `koanf:"turns" doc:"questions, each with its answer; 0 = no memory"`
	Bytes int `koanf:"bytes" doc:"bytes of questions and answers together"`
}

// RunsConfig bounds one generation.
type RunsConfig struct {
	PerConnection     int           `koanf:"per_connection" doc:"turns that may run at once on one connection"`
	OnDisconnect      string        `koanf:"on_disconnect" doc:"what a lost socket means to a named turn: cancel, grace or continue"`
	Grace             time.Duration `koanf:"grace" doc:"how long a run waits for its followers to come back"`
	Keep              time.Duration `koanf:"keep" doc:"how long an ended run can still be resumed"`
	KeepBytes         int           `koanf:"keep_bytes" doc:"bytes of ended runs kept in one worker, oldest out"`
	QueueTimeout      time.Duration `koanf:"queue_timeout" doc:"how long a named turn waits for room"`
	Attempts          int           `koanf:"attempts" doc:"attempts a question gets in all: 1 or 2"`
	MaxOutputBytes    int           `koanf:"max_output_bytes" doc:"an answer longer than this ends with finish_reason length"`
	FirstTokenTimeout time.Duration `koanf:"first_token_timeout" doc:"silence before the first byte of an answer"`
	StallTimeout      time.Duration `koanf:"stall_timeout" doc:"silence inside an answer"`
	Timeout           time.Duration `koanf:"timeout" doc:"an answer in all"`
}

// WorkerConfig bounds one worker.
type WorkerConfig struct {
	MaxRuns      int           `koanf:"max_runs" doc:"runs at once; a full worker leaves the queue group"`
	DrainTimeout time.Duration `koanf:"drain_timeout" doc:"how long live runs may go on after SIGTERM"`
}

// Product fixes what the customer address asks.
type Product struct {
	Name         string `koanf:"name" doc:"shown on the product page"`
	Provider     string `koanf:"provider" doc:"empty = default_provider"`
	Model        string `koanf:"model" doc:"empty = the provider's default_model"`
	System       string `koanf:"system" doc:"system prompt"`
	ClientChoice bool   `koanf:"client_choice" doc:"let the client choose provider, model and system"`
}
