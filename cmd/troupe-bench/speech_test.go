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

func TestACrowdStartsSpread(t *testing.T) {
	s := speech{Pace: 20 * time.Millisecond, Words: 140}
	phases := map[time.Duration]int{}
	for i := range 256 {
		phases[s.start(i, 256)%s.Pace]++
	}
	require.Len(t, phases, 256, "no two of them say their words at the same moment")
	from, to := s.steady()
	require.Greater(t, from, s.start(255, 256), "all have started")
	require.Less(t, to, s.lasts(), "none has ended")
	require.Equal(t, 2100*time.Millisecond, to-from)

	from, to = speech{Pace: time.Millisecond, Words: 20}.steady()
	require.Zero(t, from)
	require.Equal(t, 45*time.Millisecond, to, "until the last has ended")
}
