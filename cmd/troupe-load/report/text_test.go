package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		latency(0):                      "0 s",
		latency(0.4e-6):                 "0.40 µs",
		latency(850e-6):                 "850 µs",
		latency(999.6e-6):               "1.00 ms",
		latency(0.00124):                "1.24 ms",
		latency(0.09996):                "100 ms",
		latency(0.9996):                 "1.00 s",
		latency(123.4):                  "123 s",
		latency(math.NaN()):             none,
		latency(-1):                     none,
		count(0):                        "0",
		count(999):                      "999",
		count(1000):                     "1,000",
		count(-1234567):                 "-1,234,567",
		rate(12.34):                     "12.3",
		rate(12):                        "12",
		rate(312_402.4):                 "312,402",
		rate(math.Inf(1)):               none,
		size(12):                        "12 B",
		size(1000):                      "0.98 KiB",
		size(3 << 20):                   "3.00 MiB",
		size(5 << 50):                   "5120 TiB",
		percent(0.384):                  "38 %",
		percent(math.NaN()):             none,
		span(59400 * time.Millisecond):  "59 s",
		span(59600 * time.Millisecond):  "1 min",
		span(125 * time.Second):         "2 min 5 s",
		span(2*time.Hour + time.Minute): "2 h 1 min",
		span(-time.Second):              "0 s",
		some(1, "check", "checks"):      "1 check",
		some(1200, "check", "checks"):   "1,200 checks",
	} {
		require.Equal(t, want, got)
	}
}

func TestClean(t *testing.T) {
	require.Equal(t, "a b[2Jc", clean("a\nb\x1b[2J\x00\u202e\u200b\u0085c\r\n"))
	require.Equal(t, "naïve 漢字 ✓", clean("naïve 漢字 ✓"))
	require.Equal(t, "a\ufffd", clean("a\xff"))
	require.Len(t, []rune(clean(strings.Repeat("x", 10_000))), longest+1)
}

func TestFit(t *testing.T) {
	require.Equal(t, "abc", fit("abc", 3))
	require.Equal(t, "ab…", fit("abcd", 3))
	require.Equal(t, "漢…", fit("漢字漢字", 4))
	require.Empty(t, fit("abc", 0))
	for width := range 12 {
		require.LessOrEqual(t, columns(fit("e\u0301漢a字✓bc…d", width)), width)
	}
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"one, two,", "  three"}, wrap([]string{"one", "two", "three"}, 12, 2))
	require.Nil(t, wrap(nil, 10, 0))
}

func TestSpark(t *testing.T) {
	var h history
	for i := range 90 {
		h.add(Point{At: float64(i + 1), Frames: float64(i % 8)})
		h.add(Point{At: float64(i + 1), Frames: 1e9}) // the same second again
	}
	require.Len(t, h.points, minute)
	bars, peak := h.spark(func(p Point) float64 { return p.Frames }, minute)
	require.Equal(t, 7.0, peak)
	require.Equal(t, 60, columns(bars))
	require.True(t, strings.HasSuffix(bars, "▁▂▃▄▅▆▇█▁▂"), bars)

	bars, _ = h.spark(func(p Point) float64 { return p.Frames }, 30)
	require.LessOrEqual(t, columns(bars), 30)
	bars, peak = h.spark(func(Point) float64 { return math.NaN() }, 10)
	require.Zero(t, peak)
	require.Equal(t, strings.Repeat("▁", 10), bars)
}

func TestMeasuredKeepsOurOrder(t *testing.T) {
	one := Latency{Count: 1}
	require.Equal(t, []string{LatencyFirst, LatencyAnswer, "a", "z"},
		measured(map[string]Latency{"z": one, LatencyAnswer: one, LatencyGap: {}}, map[string]Latency{LatencyFirst: one, "a": one}))
}
