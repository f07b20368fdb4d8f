package pressure

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryNameIsPublished(t *testing.T) {
	published := map[string]metrics.ValueKind{}
	for _, d := range metrics.All() {
		published[d.Name] = d.Kind
	}
	for i, name := range names() {
		want := metrics.KindUint64
		if i == schedLatencies {
			want = metrics.KindFloat64Histogram
		}
		require.Equal(t, want, published[name], name)
	}
}

func TestRuntimeReadsTheLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	debug.SetMemoryLimit(math.MaxInt64)
	r := NewRuntime()
	require.Zero(t, r.Read().Limit)
	require.Zero(t, r.Read().MemoryShare())
	debug.SetMemoryLimit(8 << 30)
	require.EqualValues(t, 8<<30, r.Read().Limit)
}

// Garbage is no need, however much there is; what lives is.
func TestGarbageIsNoPressure(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody else collects
	r := NewRuntime()
	runtime.GC()
	before := r.Read().Memory
	const size = 64 << 20
	garbage := make([][]byte, 64)
	for i := range garbage {
		garbage[i] = make([]byte, size/64)
	}
	require.InDelta(t, before, r.Read().Memory, size/4, "nobody knows yet whether it lives")
	runtime.GC()
	require.Greater(t, r.Read().Memory, before+size*3/4, "it does")
	runtime.KeepAlive(garbage)
	r.seen = time.Now().Add(-2 * freshFor) // as if that was long ago
	r.Freshen()
	require.InDelta(t, before, r.Read().Memory, size/4, "it did, and Freshen found out")
}

func TestFreshenLeavesFreshFiguresAlone(t *testing.T) {
	r := NewRuntime()
	runtime.GC()
	r.Read()
	collections := r.cycles
	for range 10 {
		r.Freshen()
	}
	r.Read()
	require.Equal(t, collections, r.cycles)
}

func TestPercentile(t *testing.T) {
	bounds := []float64{math.Inf(-1), 0, .001, .01, .1, math.Inf(1)}
	for _, tt := range []struct {
		counts []uint64
		want   time.Duration
	}{
		{[]uint64{0, 100, 0, 0, 0}, 0},
		{[]uint64{0, 99, 0, 1, 0}, 0},
		{[]uint64{0, 98, 0, 2, 0}, 10 * time.Millisecond},
		{[]uint64{0, 0, 0, 0, 50}, 100 * time.Millisecond},
		{[]uint64{20, 0, 0, 0, 0}, 0},
		{[]uint64{0, 990, 5, 4, 1}, 0},
		{[]uint64{0, 980, 15, 4, 1}, time.Millisecond},
	} {
		var all uint64
		for _, n := range tt.counts {
			all += n
		}
		require.Equal(t, tt.want, percentile(tt.counts, bounds, all), "%v", tt.counts)
	}
}

// Many that want one processor wait for it, and that is seen.
func TestLagIsSeen(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := NewRuntime()
	done := make(chan struct{})
	const crowd = 400
	for range crowd {
		go func() {
			for began := time.Now(); time.Since(began) < time.Millisecond; { // spins
			}
			done <- struct{}{}
		}()
	}
	for range crowd {
		<-done
	}
	require.Greater(t, r.Read().Lag, 50*time.Millisecond)
	require.Zero(t, r.Read().Lag, "and over: nobody has waited since")
}
