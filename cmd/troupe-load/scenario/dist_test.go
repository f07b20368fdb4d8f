package scenario

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDrawsAreAsWritten(t *testing.T) {
	for _, tt := range []struct {
		text         string
		mean         float64 // seconds
		low, highest time.Duration
	}{
		{"2s", 2, 2 * time.Second, 2 * time.Second},
		{"1s..3s", 2, time.Second, 3 * time.Second},
		{"exp(2s)", 2, 0, 100 * time.Second},
		{"lognormal(2s, 0.5)", 2.266, 0, 100 * time.Second}, // e^(0.5²/2) times its median
	} {
		d, ok := parseDist(tt.text, true)
		require.True(t, ok, tt.text)
		require.Equal(t, tt.text, d.String())
		r := rand.New(rand.NewPCG(1, 2))
		var sum time.Duration
		const n = 100_000
		for range n {
			one := Durations{d}.Draw(r)
			require.GreaterOrEqual(t, one, tt.low)
			require.LessOrEqual(t, one, tt.highest)
			sum += one
		}
		require.InEpsilon(t, tt.mean, (sum / n).Seconds(), 0.03, tt.text)
	}
}

func TestCountsAreRounded(t *testing.T) {
	d, ok := parseDist("1..3", false)
	require.True(t, ok)
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[int]bool{}
	for range 1000 {
		seen[Counts{d}.Draw(r)] = true
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true}, seen)
	require.Equal(t, 7, FixedCount(7).Draw(r))
}

func TestNoDistribution(t *testing.T) {
	for _, text := range []string{"", "x", "3s..", "..3s", "exp()", "exp(1s", "lognormal(1s)", "lognormal(1s, 9)", "lognormal(1s,-1)", "-1s", "25h", "NaN"} {
		_, ok := parseDist(text, true)
		require.False(t, ok, text)
	}
	for _, text := range []string{"NaN", "Inf", "-1", "1e9", "1s"} {
		_, ok := parseDist(text, false)
		require.False(t, ok, text)
	}
}

func TestSources(t *testing.T) {
	all, err := Sources([]string{"127.0.0.9", "127.0.1.0/30", "::1"})
	require.NoError(t, err)
	var texts []string
	for _, a := range all {
		texts = append(texts, a.String())
	}
	require.Equal(t, []string{"127.0.0.9", "127.0.1.1", "127.0.1.2", "127.0.1.3", "::1"}, texts)
}
