package provider

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseEchoModel(t *testing.T) {
	good := map[string]echoModel{
		"echo":                 {pace: echoPace},
		"echo-20ms":            {pace: 20 * time.Millisecond},
		"echo-0s":              {},
		"echo-0":               {},
		"echo-10s":             {pace: 10 * time.Second},
		"echo-1.5ms":           {pace: 1500 * time.Microsecond},
		"echo-1w":              {pace: echoPace, words: 1},
		"echo-1000000w":        {pace: echoPace, words: 1_000_000},
		"echo-16384kb":         {pace: echoPace, bytes: 16 << 20},
		"echo-5ms-200w":        {pace: 5 * time.Millisecond, words: 200},
		"echo-200w-5ms":        {pace: 5 * time.Millisecond, words: 200},
		"echo-64kb-0s":         {bytes: 64 << 10},
		"echo-0s-0064kb":       {bytes: 64 << 10},
		"echo-clock":           {pace: echoPace, clock: true},
		"echo-20ms-200w-clock": {pace: 20 * time.Millisecond, words: 200, clock: true},
		"echo-clock-0s":        {clock: true},
	}
	for name, want := range good {
		t.Run(name, func(t *testing.T) {
			got, err := parseEchoModel(name)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	bad := []string{
		"", "Echo", "echo-", "echo--5ms", "echo-5", "echo-+5ms", "echo-5ms-", "echo-5ms-6ms", "echo-11s",
		"echo-0w", "echo-1000001w", "echo-w", "echo--1w", "echo-+1w", "echo-1w-2w", "echo-1w-1kb", "echo-0kb",
		"echo-16385kb", "echo-1KB", "echo-99999999999999999999w", "echo-fast", "gpt-4", "echo5ms", " echo",
		"echo-clock-clock", "echo-clocks", "echo-Clock", "echo-clock-1kb", "echo-1kb-clock",
	}
	for _, name := range bad {
		t.Run("bad "+name, func(t *testing.T) {
			_, err := parseEchoModel(name)
			require.ErrorIs(t, err, errEchoModel)
		})
	}
}

func FuzzEchoModel(f *testing.F) {
	for _, s := range []string{"echo", "echo-5ms-200w", "echo-0s-16kb", "echo-1h", "echo--", "echo-9w-9kb", "echo-1e9w", "echo-clock-5ms-2w"} {
		f.Add(s, "two words ")
	}
	f.Fuzz(func(t *testing.T, name, question string) {
		m, err := parseEchoModel(name)
		if err != nil {
			require.Zero(t, m)
			return
		}
		require.True(t, m.pace >= 0 && m.pace <= maxEchoPace)
		require.True(t, m.words >= 0 && m.words <= maxEchoWords)
		require.True(t, m.bytes >= 0 && m.bytes <= maxEchoKiB<<10)
		require.False(t, m.bytes > 0 && (m.words > 0 || m.clock))

		m.words, m.bytes = min(m.words, 50), min(m.bytes, 8<<10)
		total, words := 0, 0
		s := newSpeech(m, question, 0)
		for {
			piece, n := s.next()
			if len(piece) == 0 {
				break
			}
			total += len(piece)
			words += n
		}
		switch {
		case m.bytes > 0:
			require.LessOrEqual(t, total, m.bytes)
			if question != "" {
				require.Greater(t, total, m.bytes-4)
			}
		case m.words > 0 && countWords([]byte(question)) > 0:
			require.Equal(t, m.words, words)
		default:
			require.Equal(t, len(question), total)
		}
	})
}
