package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpeechNames(t *testing.T) {
	for _, s := range []speech{
		{Pace: 20 * time.Millisecond, Words: 200},
		{Words: 512},
		{Pace: time.Second, Words: 1, Clock: true},
	} {
		got, err := parseSpeech(s.model())
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	require.Equal(t, "echo-20ms-3w-clock", speech{Pace: 20 * time.Millisecond, Words: 3, Clock: true}.model())
	for _, bad := range []string{"", "gpt-4", "echo", "echo-20ms", "echo-w", "echo-0w", "echo-1000001w", "echo--5ms-1w", "echo-fast-1w"} {
		_, err := parseSpeech(bad)
		require.ErrorContains(t, err, "model ", bad)
	}
}

func TestAnswer(t *testing.T) {
	require.Equal(t, "Where do actors wait for their cue and who tells them Where", speech{Words: 12}.text())
	require.Equal(t, []string{"a ", "b ", "a"}, spaced(repeated(" a b ", 3)))
	require.Empty(t, spaced(repeated(" ", 3)))
}
