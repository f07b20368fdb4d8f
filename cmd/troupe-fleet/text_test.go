package main

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestAskedIsReadBack(t *testing.T) {
	for _, a := range []asked{
		{N: 17, Chunks: 80, Pace: 100 * time.Millisecond},
		{N: 1, Chunks: 1, First: 2 * time.Second},
	} {
		got, err := parseAsked(a.String())
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
}

func TestAskedIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "q-1 2", "1 2 3ms", "q-x 2 3ms", "q-1 0 3ms", "q-1 2 -3ms", "q-1 2 3", "q-1 2 3ms x", "q-1 2 3ms 4ms 5", "q--1 2 3ms", "q-1 999999 1ms", "q-1 2 11m",
	} {
		_, err := parseAsked(s)
		require.Error(t, err, s)
	}
}

func FuzzParseAsked(f *testing.F) {
	f.Add("q-17 80 100ms")
	f.Add("q-17 80 100ms 2s")
	f.Add("q-0 1 0s 0s")
	f.Add("tell me a story")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAsked(s)
		if err != nil {
			return
		}
		b, err := parseAsked(a.String())
		require.NoError(t, err)
		require.Equal(t, a, b)
	})
}

func TestAnswersNameTheirQuestion(t *testing.T) {
	a, b := asked{N: 1, Chunks: 20}, asked{N: 11, Chunks: 20}
	require.True(t, utf8.ValidString(a.answer()))
	require.NotEqual(t, a.answer(), b.answer())
	_, found := a.foreign(a.answer())
	require.False(t, found)
	other, found := a.foreign(a.answer() + b.chunk(3))
	require.True(t, found)
	require.Equal(t, "q-11", other)
}

func TestAnAnswerIsItsChunks(t *testing.T) {
	a := asked{N: 5, Chunks: 30}
	joined := ""
	for i := range a.Chunks {
		require.NotEmpty(t, a.chunk(i+1))
		joined += a.chunk(i + 1)
	}
	require.Equal(t, joined, a.answer())
}
