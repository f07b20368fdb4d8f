package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPulse plays beats of ourselves and of a peer at exact times.
func TestPulse(t *testing.T) {
	const ms = time.Millisecond
	type span struct{ from, to time.Duration } // in which somebody beats
	always := []span{{0, time.Hour}}
	tests := []struct {
		name      string
		own, peer []span
		ticks     []span // in which our clock ticks
		until     time.Duration
		lost      time.Duration // at the first tick at or after this; 0 = never
	}{
		{"both live", always, always, always, 20 * time.Second, 0},
		{"peer dies", always, []span{{0, 5000 * ms}}, always, 10 * time.Second, 6750 * ms},
		{"two misses are no death", always, []span{{0, 5000 * ms}, {6500 * ms, time.Hour}}, always, 20 * time.Second, 0},
		{"bus lost", []span{{0, 5000 * ms}}, []span{{0, 5000 * ms}}, always, 60 * time.Second, 0},
		{"bus lost and back", []span{{0, 5000 * ms}, {35000 * ms, time.Hour}}, []span{{0, 5000 * ms}, {36000 * ms, time.Hour}}, always, 60 * time.Second, 0},
		{"peer died with the bus", []span{{0, 5000 * ms}, {35000 * ms, time.Hour}}, []span{{0, 5000 * ms}}, always, 60 * time.Second, 36750 * ms},
		{"we were paused", []span{{0, 5000 * ms}, {35000 * ms, time.Hour}}, []span{{0, 5000 * ms}, {36000 * ms, time.Hour}}, []span{{0, 5000 * ms}, {35000 * ms, time.Hour}}, 60 * time.Second, 0},
		{"clock jumped, beats went on", always, always, []span{{0, 5000 * ms}, {7000 * ms, time.Hour}}, 20 * time.Second, 0},
		{"only our own beat is late", []span{{0, 5000 * ms}, {6500 * ms, time.Hour}}, []span{{0, 5000 * ms}, {7500 * ms, time.Hour}}, always, 20 * time.Second, 0},
	}
	in := func(spans []span, at time.Duration) bool {
		for _, s := range spans {
			if at >= s.from && at <= s.to {
				return true
			}
		}
		return false
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := epoch()
			p := newPulse(start)
			var lost time.Duration
			for at := time.Duration(0); at <= tt.until; at += lookEvery {
				now := start.Add(at)
				if in(tt.ticks, at) {
					if gone, _ := p.look(now); len(gone) > 0 {
						require.Equal(t, []string{"peer"}, gone)
						require.Zero(t, lost, "lost twice")
						lost = at
					}
				}
				if at%beatEvery != 0 {
					continue
				}
				if in(tt.own, at) {
					p.own(now.Add(ms))
				}
				if in(tt.peer, at) {
					p.heard("peer", now.Add(2*ms))
				}
			}
			require.Equal(t, tt.lost, lost)
		})
	}
}

func TestPulseForget(t *testing.T) {
	p := newPulse(epoch())
	p.heard("peer", epoch())
	p.forget("peer")
	for at := beatEvery; at < 10*time.Second; at += beatEvery {
		p.own(epoch().Add(at))
		lost, suspects := p.look(epoch().Add(at))
		require.Empty(t, lost, "who said goodbye is not lost")
		require.Empty(t, suspects)
	}
}

// TestPulseProbes: where nobody listens twice in a row the third beat is not
// waited for; once is the moment in which a peer changes its server.
func TestPulseProbes(t *testing.T) {
	begin := func() (*pulse, func(time.Duration) ([]string, []string)) {
		p := newPulse(epoch())
		p.heard("peer", epoch())
		return &p, func(at time.Duration) ([]string, []string) {
			p.own(epoch().Add(at))
			return p.look(epoch().Add(at))
		}
	}
	t.Run("dead after two", func(t *testing.T) {
		p, look := begin()
		for at := lookEvery; at <= suspectAfter; at += lookEvery {
			_, suspects := look(at)
			require.Empty(t, suspects, "one missed beat is late, not missing")
		}
		_, suspects := look(suspectAfter + lookEvery)
		require.Equal(t, []string{"peer"}, suspects)
		require.False(t, p.unreachable("peer", epoch().Add(suspectAfter+lookEvery)))
		require.True(t, p.unreachable("peer", epoch().Add(suspectAfter+2*lookEvery)))
		require.False(t, p.knows("peer"))
		require.False(t, p.unreachable("peer", epoch().Add(suspectAfter+3*lookEvery)), "only once")
	})
	t.Run("back in between", func(t *testing.T) {
		p, look := begin()
		at := suspectAfter + lookEvery
		look(at)
		require.False(t, p.unreachable("peer", epoch().Add(at)))
		p.heard("peer", epoch().Add(at+1))
		require.False(t, p.unreachable("peer", epoch().Add(at+2)), "a probe from before it was back")
		look(2 * at)
		require.False(t, p.unreachable("peer", epoch().Add(2*at)), "the count began afresh")
	})
	t.Run("not by the deaf", func(t *testing.T) {
		p, _ := begin()
		at := epoch().Add(ownLate + time.Millisecond)
		require.False(t, p.unreachable("peer", at))
		require.False(t, p.unreachable("peer", at))
		require.True(t, p.knows("peer"))
	})
}
