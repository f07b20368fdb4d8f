package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.Zero(t, median(nil))
	require.Equal(t, 3.0, median([]float64{9, 1, 3}))
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}

func TestPercentile(t *testing.T) {
	require.Zero(t, percentile(nil, 99))
	sorted := make([]float64, 200)
	for i := range sorted {
		sorted[i] = float64(i)
	}
	require.Equal(t, 100.0, percentile(sorted, 50))
	require.Equal(t, 198.0, percentile(sorted, 99))
	require.Equal(t, 199.0, percentile(sorted, 100))
}

// TestTable: ratios are taken round by round, floors are added up, goals say
// whether they are met, and what was not measured is left out.
func TestTable(t *testing.T) {
	tb := newTable(fullPlan())
	for round, got := range []readings{
		{serveEcho: 20, bareWrite: 10, serveOpenAI: 30, bareRead: 2, gatewayFire: 500_000, relayFire: 250_000, idlePrivate: 3 << 10, parkedPrivate: 4 << 10},
		{serveEcho: 80, bareWrite: 20, serveOpenAI: 30, bareRead: 4, gatewayFire: 300_000, relayFire: 250_000, idlePrivate: 2 << 10, parkedPrivate: 4 << 10},
		{serveEcho: 21, bareWrite: 10, serveOpenAI: 30, bareRead: 5, gatewayFire: 390_000, relayFire: 250_000, idlePrivate: 3 << 10, parkedPrivate: 4 << 10},
		{serveEcho: 22, gatewayFire: 1},
	} {
		tb.add(round, got)
	}
	tb.fail("delay", errors.New("gateway: lost\na word"))
	tb.fail("delay", errors.New("later"))
	var b strings.Builder
	require.NoError(t, tb.print(&b))
	for _, want := range []string{
		"| CPU per chunk, whole serve, echo: 256 streams at 20ms | 21.5 µs | 10.0 µs bare write loop | 2.10 × | ≤ 2.0 × **missed** | 20.0 µs to 80.0 µs |\n",
		"| CPU per chunk, whole serve, openai: 256 streams at 20ms | 30.0 µs | 15.0 µs bare write + bare SSE read | 2.00 × | ≤ 2.0 × met | 30.0 µs to 30.0 µs |\n",
		"| 345,000 /s | 250,000 /s plain relay | 1.56 × | ≥ 1.5 × met, ≥ 400,000 /s **missed** |",
		"| private memory per idle connection at rest (slope 2,000 → 15,000) | 3.00 KiB | 4.00 KiB parked goroutine | 0.75 × | ≤ 2.50 KiB **missed** |",
		"\n2 of 5 goals met.\n",
		"**delay failed**, its figures are missing or of fewer rounds: `gateway: lost; a word`",
	} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "handshakes")
	require.EqualError(t, tb.trouble(), "gateway: lost\na word")
}

// TestGoals: each kind of bound holds at its edge and not beyond.
func TestGoals(t *testing.T) {
	for name, tt := range map[string]struct {
		goal      goal
		good, bad float64 // beside a floor of 10
		says      string
	}{
		"times":    {goal{times: 1.5}, 15, 15.1, "≤ 1.5 ×"},
		"at least": {goal{atLeast: 1.5}, 15, 14.9, "≥ 1.5 ×"},
		"most":     {goal{most: 12}, 12, 12.1, "≤ 12.000"},
		"writes":   {goal{most: writesSlack}, 1.0005, 1.001, "≤ 1"},
		"least":    {goal{least: 12}, 12, 11.9, "≥ 12.000"},
		"below":    {goal{below: 12}, 11.9, 12, "< 12.000"},
		"above":    {goal{above: 5}, 15, 15.1, "≤ 5.000 more"},
	} {
		t.Run(name, func(t *testing.T) {
			r := row{ours: serveEcho, floor: []key{bareWrite}, show: plain}
			for _, v := range []float64{tt.good, tt.bad} {
				tb := &table{}
				tb.add(0, readings{serveEcho: v, bareWrite: 10})
				require.Equal(t, v == tt.good, tb.met(r, tt.goal), v)
			}
			require.Equal(t, tt.says, tt.goal.says(r))
		})
	}
}

// TestRowsAndSuitesFit: a row belongs to a suite, no reading has two rows, and
// what is judged against a floor has one.
func TestRowsAndSuitesFit(t *testing.T) {
	seen := map[key]bool{}
	for _, r := range rows(fullPlan()) {
		require.Contains(t, strings.Split(suiteNames(), ", "), r.suite, r.name)
		require.False(t, seen[r.ours], r.name)
		seen[r.ours] = true
		require.Equal(t, len(r.floor) == 0, r.what == "", r.name)
		for _, g := range r.goals {
			require.True(t, len(r.floor) > 0 || g.times+g.atLeast+g.above == 0, r.name)
		}
	}
}

func TestShow(t *testing.T) {
	require.Equal(t, "1,234,567", thousands(1234567))
	require.Equal(t, "123", thousands(123))
	require.Equal(t, "-1,000", thousands(-1000))
	require.Equal(t, "-100", thousands(-100))
	require.Equal(t, "100 µs", us(100))
	require.Equal(t, "99.9 µs", us(99.9))
	require.Equal(t, "2.50 KiB", kib(2560))
}
