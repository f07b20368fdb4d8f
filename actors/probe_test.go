package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

const tick = 10 * time.Millisecond

// silence makes the remote worker fall silent right after a beat.
func (h *house) silence() (last time.Time) {
	for n := h.bus.beatsOf(h.gateway.id); n == h.bus.beatsOf(h.gateway.id); {
		pass(time.Millisecond)
	}
	h.bus.locked(func() { h.bus.beating = nil })
	return time.Now()
}

// untilProbe lets time go by until the gateway has probed n times.
func (h *house) untilProbe(n int) word {
	h.t.Helper()
	for waited := time.Duration(0); len(h.bus.wordsOf(bus.ControlProbe)) < n; waited += tick {
		require.Less(h.t, waited, beatsLost, "no probe %d", n)
		pass(tick)
	}
	return h.bus.wordsOf(bus.ControlProbe)[n-1]
}

// TestProbe: a worker that falls silent is probed; where nobody listens twice in
// a row its turns end, or move, before the third beat is over.
func TestProbe(t *testing.T) {
	for _, spoke := range []bool{false, true} {
		t.Run(fmt.Sprintf("spoke %t", spoke), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.chat("1", "hi")
				to := h.accept(remote + "-x").To
				if spoke {
					h.chunk(to, 1, "Hel")
				}
				require.Empty(t, h.bus.wordsOf(bus.ControlProbe), "a worker that beats was probed")
				last := h.silence()
				first := h.untilProbe(1)
				require.Greater(t, time.Since(last), suspectAfter-2*time.Millisecond)
				require.LessOrEqual(t, time.Since(last), suspectAfter+lookEvery+tick)
				require.Equal(t, word{worker: remote, Control: bus.Control{Type: bus.ControlProbe, Gateway: h.gateway.id, To: first.To}}, first)
				h.gateway.NoResponders(first.To)
				h.gateway.NoResponders(first.To) // the bus repeated it
				pass(0)
				require.Equal(t, []int{1, 0}, []int{h.bus.jobCount(), len(c.terminals("1"))}, "judged after one probe")

				second := h.untilProbe(2)
				require.NotEqual(t, first.To, second.To)
				h.gateway.NoResponders(second.To)
				pass(0)
				require.Less(t, time.Since(last), beatsLost)
				if spoke {
					require.Equal(t, []string{"accepted 1", "chunk 1 1 Hel", "error 1 WORKER_LOST"}, c.tale())
				} else {
					require.Equal(t, 2, h.bus.jobCount(), "it did not move")
					require.Empty(t, c.terminals("1"))
				}
				require.Zero(t, h.gateway.Health().Workers)
				pass(5 * time.Second)
				require.Len(t, h.bus.wordsOf(bus.ControlProbe), 2, "who is lost is not probed")
				h.empty()
			})
		})
	}
}

// TestProbeThenBeat: a worker that is back after one probe was only changing its
// server; the next silence begins afresh.
func TestProbeThenBeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.accept(remote + "-x")
		for n := range 3 {
			h.silence()
			probe := h.untilProbe(n + 1)
			h.gateway.NoResponders(probe.To)
			h.bus.locked(func() { h.bus.beating = []*bus.Beat{remoteBeat(remote)} })
			h.gateway.Heard(remoteBeat(remote), time.Now())
			pass(0)
		}
		pass(5 * time.Second)
		require.Equal(t, []string{"accepted 1"}, c.tale()[:1])
		require.Empty(t, c.terminals("1"))
		require.Equal(t, 1, h.bus.jobCount())
		require.Equal(t, 1, h.gateway.Health().Workers)
		h.empty()
	})
}

// TestProbeWithoutAnswer: a worker that hears the probe says nothing, and its
// third missed beat decides as before.
func TestProbeWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.chunk(h.accept(remote+"-x").To, 1, "Hel")
		last := h.silence()
		time.Sleep(time.Until(last.Add(beatsLost)))
		require.Empty(t, c.terminals("1"), "too early")
		pass(lookEvery + tick)
		require.Equal(t, protocol.WorkerLost, c.last().Code)
		require.NotEmpty(t, h.bus.wordsOf(bus.ControlProbe))
		h.empty()
	})
}

// TestProbeNotByTheDeaf: a gateway that does not hear itself judges nobody,
// whatever its probes meet.
func TestProbeNotByTheDeaf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.chunk(h.accept(remote+"-x").To, 1, "Hel")
		h.silence()
		h.bus.locked(func() { h.bus.gateway = nil })
		answered := 0
		for range 1000 {
			probes := h.bus.wordsOf(bus.ControlProbe)
			for ; answered < len(probes); answered++ {
				h.gateway.NoResponders(probes[answered].To)
			}
			pass(tick)
		}
		require.Empty(t, c.terminals("1"))
		require.Equal(t, 1, h.gateway.Health().Workers)
		require.LessOrEqual(t, answered, 1, "the deaf probe nobody")
		h.empty()
	})
}

// TestProbesAreForgotten: probes that get no answer, as most do, are bounded.
func TestProbesAreForgotten(t *testing.T) {
	f := newFollowers()
	first := f.probe("w1")
	worker, ok := f.probed(first)
	require.Equal(t, "w1", worker)
	require.True(t, ok)
	_, ok = f.probed(first)
	require.False(t, ok, "answered twice")
	names := map[uint64]bool{}
	for range 10 * probesKept {
		names[f.probe("w1")] = true
		require.LessOrEqual(t, len(f.probes), probesKept)
	}
	require.Len(t, names, 10*probesKept, "a name was given twice")
}

// TestWorkerHearsProbe: that it arrived is the answer.
func TestWorkerHearsProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		b.control(bus.Control{Type: bus.ControlProbe, To: 7})
		require.Empty(t, b.bus.replies())
		require.Empty(t, b.heard(7))
	})
}
