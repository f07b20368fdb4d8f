package main

import (
	"runtime/metrics"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// TestSparingGivesBackWhenQuiet: nothing while much is allocated, then what the
// garbage held, and not again before it has rested.
func TestSparingGivesBackWhenQuiet(t *testing.T) {
	const garbage = 64 << 20
	s := newSparing(zerolog.Nop())
	now := time.Now()
	s.look(now)
	for range 4 {
		b := make([]byte, garbage/4)
		for i := range b {
			b[i] = 1 // a page counts once it was written to
		}
	}
	now = now.Add(time.Hour)
	require.False(t, s.look(now), "the process is busy")

	before := released(t)
	require.True(t, s.look(now), "the process is quiet, and holds garbage")
	require.Greater(t, released(t), before+garbage/8)
	require.True(t, s.rest.After(now))
	require.False(t, s.look(s.rest.Add(-1)), "it rests")
}

func TestWorthSparing(t *testing.T) {
	for _, c := range []struct {
		about                  string
		allocated, live, spare uint64
		worth                  bool
	}{
		{"quiet, much to spare", 0, 100 << 20, 50 << 20, true},
		{"quiet, just enough", quietLeast, 4 << 20, spareLeast, true},
		{"nothing left", 0, 4 << 20, spareLeast - 1, false},
		{"little beside what lives", 0, 800 << 20, 99 << 20, false},
		{"beats alone", 2 << 20, 128 << 20, 64 << 20, true},
		{"busy", 2<<20 + 1, 128 << 20, 64 << 20, false},
		{"small and busy", quietLeast + 1, 1 << 20, 64 << 20, false},
	} {
		t.Run(c.about, func(t *testing.T) { require.Equal(t, c.worth, worthSparing(c.allocated, c.live, c.spare)) })
	}
}

func TestSparingLeavesATunedCollectorAlone(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	require.False(t, collectorIsTuned())
	t.Setenv("GOGC", "100")
	require.True(t, collectorIsTuned())
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "1GiB")
	require.False(t, collectorIsTuned(), "a limit says nothing about a process at rest")
}

func released(t *testing.T) uint64 {
	t.Helper()
	s := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	require.Equal(t, metrics.KindUint64, s[0].Value.Kind())
	return s[0].Value.Uint64()
}
