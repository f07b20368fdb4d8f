package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.Zero(t, median(nil))
	require.Equal(t, 3.0, median([]float64{9, 1, 3}))
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}

// TestTable: ratios are taken round by round and turned over for rates; goals
// say whether they are met; what was not measured is left out.
func TestTable(t *testing.T) {
	tb := newTable(quickPlan())
	for _, round := range []struct{ troupe, floor readings }{
		{readings{relayCPU: 20, idleLive: 7 << 10, connectRate: 500}, readings{relayCPU: 10, idleLive: 2 << 10, connectRate: 1000}},
		{readings{relayCPU: 80, idleLive: 9 << 10, connectRate: 500}, readings{relayCPU: 20, idleLive: 2 << 10, connectRate: 1500}},
		{readings{relayCPU: 21, idleLive: 9 << 10, connectRate: 500}, readings{relayCPU: 10, idleLive: 2 << 10, connectRate: 1000}},
	} {
		tb.add(round.troupe, false)
		tb.add(round.floor, true)
	}
	var b strings.Builder
	require.NoError(t, tb.print(&b, "header", time.Second))
	require.Contains(t, b.String(), "| CPU per relayed chunk: 256 streams, a chunk every 20ms | 2.10× | ≤ 3.0×, met | 21.0 µs | 10.0 µs | 20.0 µs to 80.0 µs |\n")
	require.Contains(t, b.String(), "| 4.50× | ≤ 8.00 KiB, **missed** | 9.00 KiB | 2.00 KiB | 7.00 KiB to 9.00 KiB |\n")
	require.Contains(t, b.String(), "| handshakes, 16 at once | 2.00× |  | 500 /s | 1000 /s |")
	require.NotContains(t, b.String(), "firehose: texts")
}

func TestBadUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing like it"}, {"extra"}, {"-unknown"}} {
		require.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}

func TestParseSeries(t *testing.T) {
	got, err := parseSeries(strings.NewReader("# HELP a b\na 1.5e+06\nb{x=\"y\"} 2\nc 3\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"a": 1.5e6, "c": 3}, got)
	_, err = parseSeries(strings.NewReader("a x\n"))
	require.ErrorContains(t, err, "metric a")
}

func TestWritesPerFrame(t *testing.T) {
	require.Equal(t, 1.0, counts{}.writesPerFrame(counts{}))
	require.Equal(t, 1.5, counts{frames: 20, writes: 18}.writesPerFrame(counts{frames: 10, writes: 3}))
}
