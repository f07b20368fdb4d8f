package actors

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// DefaultPool is one gateway on a small machine.
func DefaultPool() PoolConfig {
	return PoolConfig{MaxConnections: 1000, MaxPerIP: 25, IdleTimeout: 30 * time.Minute}
}

// DefaultChat lets a client ask as it likes, up to bounds that no vendor exceeds.
func DefaultChat() ChatConfig {
	return ChatConfig{
		MaxTokens:      8192,
		MaxTemperature: 2,
		ClientSystem:   true,
		Memory:         MemoryConfig{Turns: 20, Bytes: 32 << 10},
	}
}

// DefaultRuns gives a lost socket time to come back and a slow model time to think.
func DefaultRuns() RunsConfig {
	return RunsConfig{
		PerConnection:     4,
		OnDisconnect:      protocol.OnDisconnectGrace,
		Grace:             30 * time.Second,
		Keep:              15 * time.Minute,
		KeepBytes:         256 << 20,
		QueueTimeout:      10 * time.Second,
		Attempts:          2,
		MaxOutputBytes:    1 << 20,
		FirstTokenTimeout: 180 * time.Second,
		StallTimeout:      60 * time.Second,
		Timeout:           15 * time.Minute,
	}
}

// DefaultWorker drains a little faster than orchestrators kill, which is 30 s.
func DefaultWorker() WorkerConfig {
	return WorkerConfig{MaxRuns: 1000, DrainTimeout: 25 * time.Second}
}

// Validate names every key that holds a value the pool cannot obey.
func (c PoolConfig) Validate() error {
	return errors.Join(
		atLeast("pool.max_connections", c.MaxConnections, 1),
		atLeast("pool.max_per_ip", c.MaxPerIP, 0),
		notNegative("pool.idle_timeout", c.IdleTimeout),
	)
}

// Validate names every key that holds a value no question could obey.
func (c ChatConfig) Validate() error {
	var temperature error
	if math.IsNaN(c.MaxTemperature) || c.MaxTemperature < 0 || c.MaxTemperature > 2 {
		temperature = fmt.Errorf("chat.max_temperature: %v is not allowed: give a number between 0 and 2", c.MaxTemperature)
	}
	return errors.Join(
		atLeast("chat.max_tokens", c.MaxTokens, 1),
		temperature,
		atLeast("chat.memory.turns", c.Memory.Turns, 0),
		atLeast("chat.memory.bytes", c.Memory.Bytes, 0),
	)
}

// Validate names every key that holds a value a run cannot obey.
func (c RunsConfig) Validate() error {
	return errors.Join(
		atLeast("runs.per_connection", c.PerConnection, 1),
		onDisconnect(c.OnDisconnect),
		notNegative("runs.grace", c.Grace),
		notNegative("runs.keep", c.Keep),
		atLeast("runs.keep_bytes", c.KeepBytes, 0),
		notNegative("runs.queue_timeout", c.QueueTimeout),
		attempts(c.Attempts),
		atLeast("runs.max_output_bytes", c.MaxOutputBytes, 1),
		positive("runs.first_token_timeout", c.FirstTokenTimeout),
		positive("runs.stall_timeout", c.StallTimeout),
		positive("runs.timeout", c.Timeout),
	)
}

// Validate names every key that holds a value a worker cannot obey.
func (c WorkerConfig) Validate() error {
	return errors.Join(
		atLeast("worker.max_runs", c.MaxRuns, 1),
		notNegative("worker.drain_timeout", c.DrainTimeout),
	)
}

func onDisconnect(policy string) error {
	switch policy {
	case protocol.OnDisconnectCancel, protocol.OnDisconnectGrace, protocol.OnDisconnectContinue:
		return nil
	}
	return fmt.Errorf("runs.on_disconnect: %q is not allowed: give cancel, grace or continue", policy)
}

// attempts: a third one could reach a third worker with a question that kills workers.
func attempts(n int) error {
	if n == 1 || n == 2 {
		return nil
	}
	return fmt.Errorf("runs.attempts: %d is not allowed: give 1 or 2", n)
}

func atLeast(key string, n, low int) error {
	if n >= low {
		return nil
	}
	return fmt.Errorf("%s: %d is not allowed: give %d or more", key, n, low)
}

func notNegative(key string, d time.Duration) error {
	if d >= 0 {
		return nil
	}
	return fmt.Errorf("%s: %v is not allowed: give 0 or a positive duration", key, d)
}

func positive(key string, d time.Duration) error {
	if d > 0 {
		return nil
	}
	return fmt.Errorf("%s: %v is not allowed: give a positive duration, as in 30s", key, d)
}
