package answer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestModelIsReadBack(t *testing.T) {
	for name, want := range map[string]Model{
		"echo-100ms-80w":            {Pace: 100 * time.Millisecond, Words: 80},
		"late-2000ms-echo-100ms-1w": {First: 2 * time.Second, Pace: 100 * time.Millisecond, Words: 1},
		"half-frame-echo-0s-20w":    {Fails: "half-frame", Words: 20},
		"status-429-echo-20ms-20w":  {Fails: "status-429", Pace: 20 * time.Millisecond, Words: 20},
	} {
		m, err := ParseModel(name)
		require.NoError(t, err)
		require.Equal(t, want, m)
		require.Equal(t, name, m.String())
	}
	require.Equal(t, 10*time.Second, Model{First: 2 * time.Second, Pace: 100 * time.Millisecond, Words: 80}.Lasts())
}

func TestModelIsRefused(t *testing.T) {
	for _, name := range []string{
		"", "gpt", "echo", "echo-5ms", "echo-20w", "echo-x-2w", "echo-1ms-0w", "echo-11s-1w", "echo--1ms-1w", "echo-1ms-999999w",
		"late-echo-1ms-1", "late-x-echo-1ms-1w", "late-11s-echo-1ms-1w", "late-1us-echo-1ms-1w", "tell me a story",
	} {
		_, err := ParseModel(name)
		require.Error(t, err, name)
	}
}

func FuzzParseModel(f *testing.F) {
	f.Add("echo-100ms-80w")
	f.Add("late-2s-echo-0s-1w")
	f.Add("half-frame-echo-20ms-20w")
	f.Add("tell me a story")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseModel(s)
		if err != nil {
			return
		}
		again, err := ParseModel(m.String())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
