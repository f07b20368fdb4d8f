package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFactorStepsByTenSeconds(t *testing.T) {
	var f Factor
	now := start
	require.Equal(t, 10, f.Tenths())
	require.False(t, f.Look(now, false), "nothing to loosen")
	for want := 9; want >= 5; want-- {
		require.True(t, f.Look(now, true))
		require.Equal(t, want, f.Tenths())
		require.False(t, f.Look(now.Add(10*time.Second-1), true))
		now = now.Add(10 * time.Second)
	}
	require.False(t, f.Look(now, true), "half is the least")
	require.Equal(t, 5, f.Tenths())
	for want := 6; want <= 10; want++ {
		require.True(t, f.Look(now, false))
		require.Equal(t, want, f.Tenths())
		require.False(t, f.Look(now.Add(time.Second), false))
		now = now.Add(10 * time.Second)
	}
	require.False(t, f.Look(now, false))
	require.True(t, f.Look(now, true))
	require.False(t, f.Look(now.Add(time.Second), false), "back no faster than there")
	require.Equal(t, 9, f.Tenths())
}

func TestScaled(t *testing.T) {
	rule := func(n int) Rule { return Rule{n, time.Minute} }
	c := Config{Connections: rule(50), Messages: rule(1), Adapt: true, Offenders: OffendersConfig{Max: 3}}
	require.Equal(t, c, c.Scaled(10))
	require.Equal(t, Config{Connections: rule(35), Messages: rule(1), Adapt: true, Offenders: OffendersConfig{Max: 3}}, c.Scaled(7))
	for n, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 1, 5: 2, 9: 4, 31: 15} {
		require.Equal(t, want, Config{Sessions: rule(n)}.Scaled(5).Sessions.Max, n)
	}
	require.True(t, Config{Messages: rule(0)}.Scaled(5).Messages.Off(), "off stays off")
	require.Equal(t, 50, c.Connections.Max, "the configured one is untouched")
}

// TestAdmittedWhileLimitsMove lets the factor move, and the limiter go and come,
// at any moments: no window holds more than is configured, nor more than one and a
// half times that with the fallback's help.
func TestAdmittedWhileLimitsMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 12).Draw(t, "max")
		c := Config{Messages: Rule{most, 30 * time.Second}}
		away := rapid.Bool().Draw(t, "with a limiter that goes away")
		bound := most
		if away {
			bound = most + c.Messages.half().Max
		}
		w, f, now := NewWindows(c), NewFallback(c), start
		var admitted []time.Time
		for range 150 {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			if rapid.IntRange(0, 9).Draw(t, "step") == 0 {
				scaled := c.Scaled(rapid.IntRange(5, 10).Draw(t, "tenths"))
				w.SetConfig(scaled)
				f.SetConfig(scaled)
			}
			var ok bool
			if away && rapid.Bool().Draw(t, "away now") {
				if ok = f.Message(now, alice, "s").OK; ok {
					w.ChargeMessage(now, alice, "s")
				}
			} else {
				ok = w.Message(now, alice, "s").OK
			}
			if ok {
				admitted = append(admitted, now)
			}
			n := 0
			for _, at := range admitted {
				if now.Sub(at) < c.Messages.Window {
					n++
				}
			}
			if n > bound {
				t.Fatalf("%d admitted in a window of %d", n, most)
			}
		}
	})
}
