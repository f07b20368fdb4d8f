// Package bustest gives a test a real nats-server as a process of its own, which
// it stops, freezes or limits. The mechanism is package natsproc; here a failure
// ends the test, and the test's end ends the server.
package bustest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/natsproc"
)

// Option changes the server's configuration file.
type Option func(config string) string

// MaxPayload sets the largest message in bytes.
func MaxPayload(n int) Option { return Config(fmt.Sprintf("max_payload: %d", n)) }

// Config adds lines to the configuration file.
func Config(lines string) Option {
	return func(config string) string { return config + lines + "\n" }
}

// NATS is a nats-server process on 127.0.0.1.
type NATS struct {
	t      testing.TB
	server *natsproc.Server
}

// Server starts a nats-server on a free port; it is killed when the test ends.
func Server(t testing.TB, opts ...Option) *NATS {
	t.Helper()
	config := "ping_interval: \"1m\"\n"
	for _, o := range opts {
		config = o(config)
	}
	server, err := natsproc.Start(t.Context(), natsproc.Options{Dir: t.TempDir(), Config: config})
	require.NoError(t, err)
	s := &NATS{t: t, server: server}
	t.Cleanup(s.Kill)
	return s
}

// URL is where clients connect. It stays the same over restarts.
func (s *NATS) URL() string { return s.server.URL() }

// Start runs the server again, on its old port after a Kill, and returns when it
// listens.
func (s *NATS) Start() {
	s.t.Helper()
	require.NoError(s.t, s.server.Start(s.t.Context()))
}

// Kill ends the server at once, without a word to its clients.
func (s *NATS) Kill() { s.server.Kill() }

// Freeze stops the server without closing a connection; Thaw lets it go on.
func (s *NATS) Freeze() {
	s.t.Helper()
	require.NoError(s.t, s.server.Freeze())
}

// Thaw ends a Freeze.
func (s *NATS) Thaw() {
	s.t.Helper()
	require.NoError(s.t, s.server.Thaw())
}
