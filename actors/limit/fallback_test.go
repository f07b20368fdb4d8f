package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFallbackAdmitsHalf(t *testing.T) {
	f := NewFallback(Default())
	for range 15 {
		require.True(t, f.Message(start, alice, "s").OK)
	}
	d := f.Message(start.Add(time.Second), alice, "s")
	require.Equal(t, Decision{
		Limit: Messages, Rule: Rule{15, time.Minute}, Count: 15,
		RetryAfter: 59 * time.Second, Stamp: start.Add(time.Second),
	}, d)
	require.True(t, f.Message(start, alice, "t").OK, "per key")
	require.False(t, f.Message(start.Add(time.Minute-1), alice, "s").OK, "no refill inside the window")
	require.True(t, f.Message(start.Add(time.Minute), alice, "s").OK)

	for i := range 2 {
		require.True(t, f.Connect(start, alice, fmt.Sprint(i), socket).OK)
	}
	require.Equal(t, Sessions, f.Connect(start, alice, "2", socket).Limit)
	for range 23 {
		require.True(t, f.Connect(start, alice, "2", live).OK)
	}
	require.Equal(t, Connections, f.Connect(start, alice, "2", live).Limit)
}

func TestFallbackOfOneAndOff(t *testing.T) {
	f := NewFallback(Config{Messages: Rule{1, time.Minute}})
	require.True(t, f.Message(start, alice, "s").OK, "a limit of one still lets one through")
	require.False(t, f.Message(start, alice, "s").OK)
	for range 100 {
		require.True(t, f.Connect(start, alice, "s", socket).OK, "off stays off")
	}
	f.SetConfig(Config{Messages: Rule{4, time.Minute}})
	require.True(t, f.Message(start, alice, "s").OK)
	require.False(t, f.Message(start, alice, "s").OK)
}

func TestFallbackRefundResetSweep(t *testing.T) {
	f := NewFallback(Config{Connections: Rule{2, time.Minute}})
	d := f.Connect(start, alice, "s", socket)
	require.True(t, d.OK)
	require.False(t, f.Connect(start, alice, "s", socket).OK)
	f.RefundConnect(alice, "s", d)
	require.True(t, f.Connect(start, alice, "s", socket).OK)
	require.Equal(t, 1, f.Len())
	require.Equal(t, 1, f.Reset())
	require.True(t, f.Connect(start, alice, "s", socket).OK)
	f.Sweep(start.Add(time.Minute))
	require.Zero(t, f.Len())
}

// TestAdmittedInAnyWindow lets the limiter come and go. In every window it
// admits no more than its limit, charges included, and both together no more
// than one and a half times that.
func TestAdmittedInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{rapid.IntRange(2, 9).Draw(t, "max"), 10 * time.Second}
		w, f := NewWindows(Config{Messages: rule}), NewFallback(Config{Messages: rule})
		now, away := start, false
		var admitted []time.Time
		for range rapid.IntRange(1, 150).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "later")))
			away = away != (rapid.IntRange(0, 4).Draw(t, "toggle") == 0)
			ok := false
			if away {
				if ok = f.Message(now, alice, "s").OK; ok {
					w.ChargeMessage(now, alice, "s")
				}
			} else {
				ok = w.Message(now, alice, "s").OK
			}
			if !ok {
				continue
			}
			admitted = append(admitted, now)
			n := 0
			for _, at := range admitted {
				if now.Sub(at) < rule.Window {
					n++
				}
			}
			bound := rule.Max
			if away {
				bound += rule.Max / 2
			}
			require.LessOrEqual(t, n, bound, "away: %v", away)
		}
	})
}
