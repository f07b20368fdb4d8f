package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestLogFormats(t *testing.T) {
	for _, tt := range []struct {
		format string
		json   bool
	}{{"auto", true}, {"json", true}, {"console", false}} { // a buffer is no terminal
		t.Run(tt.format, func(t *testing.T) {
			var b bytes.Buffer
			log, output := newLogger(&b, config.LogConfig{Level: "info", Format: tt.format})
			log.Info().Str("session", "a\nb").Interface("key", protocol.NewSecret([]byte("sk-canary"))).Msg("hello")
			output.flush()
			require.Equal(t, 1, strings.Count(b.String(), "\n"), "one line for one event")
			require.Contains(t, b.String(), "[redacted]")
			require.NotContains(t, b.String(), "sk-canary")
			require.Equal(t, tt.json, json.Valid(b.Bytes()))
			require.NotContains(t, b.String(), "\x1b", "no colours where nobody sees them")
			if tt.json {
				var line struct{ Time, Level, Message string }
				require.NoError(t, json.Unmarshal(b.Bytes(), &line))
				at, err := time.Parse(time.RFC3339Nano, line.Time)
				require.NoError(t, err)
				require.WithinDuration(t, time.Now(), at, time.Minute)
				require.Equal(t, "hello", line.Message)
			}
		})
	}
}

func TestLevelChangesInDerivedLoggers(t *testing.T) {
	var b bytes.Buffer
	log, output := newLogger(&b, config.LogConfig{Level: "warn", Format: "json"})
	derived := log.With().Str("connection", "c1").Logger()
	derived.Info().Msg("one")
	output.flush()
	require.Empty(t, b.String())
	output.setLevel(zerolog.DebugLevel)
	derived.Debug().Msg("two")
	output.flush()
	require.Contains(t, b.String(), "two")
	output.setLevel(zerolog.ErrorLevel)
	b.Reset()
	derived.Warn().Msg("three")
	require.Empty(t, b.String())
	require.Equal(t, zerolog.TraceLevel, zerolog.GlobalLevel(), "the process's own level is nobody's to change")
}
