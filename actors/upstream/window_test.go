package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWindowCountsTenSeconds(t *testing.T) {
	var w window
	require.Zero(t, w.count(0))
	w.add(100 * time.Millisecond)
	w.add(600 * time.Millisecond)
	for _, at := range []struct {
		now  time.Duration
		want int
	}{
		{0, 2}, // time that runs backwards takes nothing away
		{10100 * time.Millisecond, 2},
		{10499 * time.Millisecond, 2},
		{10500 * time.Millisecond, 1},
		{10999 * time.Millisecond, 1},
		{11 * time.Second, 0},
		{time.Hour, 0},
	} {
		require.Equal(t, at.want, w.count(at.now), at.now)
	}
	w.add(time.Hour)
	w.reset()
	require.Zero(t, w.count(time.Hour))
}

// TestWindowAgainstStamps: whatever happened in the last ten seconds counts,
// nothing that is half a second older does.
func TestWindowAgainstStamps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		var stamps []time.Duration
		var now time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now += time.Duration(rapid.Int64Range(0, int64(4*time.Second)).Draw(t, "step"))
			w.add(now)
			stamps = append(stamps, now)
			young, all := 0, 0
			for _, s := range stamps {
				if now-s <= span {
					young++
				}
				if now-s <= span+slot {
					all++
				}
			}
			require.GreaterOrEqual(t, w.count(now), young)
			require.LessOrEqual(t, w.count(now), all)
		}
	})
}

// What was no event is taken back while it still counts, once and for its slot.
func TestWindowTakesBack(t *testing.T) {
	var w window
	w.remove(0, 0)
	require.Zero(t, w.count(0))
	w.add(0)
	w.add(time.Second)
	w.remove(2*time.Second, time.Second)
	require.Equal(t, 1, w.count(2*time.Second))
	w.remove(2*time.Second, time.Second)
	require.Equal(t, 1, w.count(2*time.Second), "its slot is empty")
	w.remove(20*time.Second, 0)
	require.Zero(t, w.count(20*time.Second), "it was over before")
}

// A call that was none buys no retry and hides no failure.
func TestUnsentIsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keyless: true}, nil)
		for range tripFailures {
			for range 40 {
				mustEnter(t, l, Ask{}).Done(Outcome{Kind: Unsent})
			}
			mustEnter(t, l, Ask{}).Done(Outcome{Kind: Failed})
		}
		require.Equal(t, Open, l.Load().Breaker)
		for range retriesAlways {
			require.True(t, l.Retry())
		}
		require.False(t, l.Retry())
	})
}
