package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNeverGivenBackToTheDeaf: a gateway that does not hear itself judges nobody,
// though nothing has told it yet that its bus hangs.
func TestNeverGivenBackToTheDeaf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		h.bus.locked(func() { h.bus.keeping = true })
		c := h.open("s")
		c.chat("1", "hi")
		h.bus.locked(func() { h.bus.gateway = nil })
		pass(offerTimeout + 2*withdrawTimes*withdrawEvery)
		require.Equal(t, 1, h.bus.jobCount())
		require.Empty(t, c.terminals("1"))
		h.bus.locked(func() { h.bus.gateway, h.bus.keeping = h.gateway, false })
		pass(time.Second)
		require.Equal(t, 2, h.bus.jobCount(), "given back, and offered again")
	})
}

// TestOfferedAgainWhenDead: a worker that was given up, and lives, is not asked for
// the job. The next one is not out before that worker would find the first too old.
func TestOfferedAgainWhenDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		c := h.open("s")
		c.chat("1", "hi")
		first := h.bus.lastJob(t)
		pass(offerTimeout + offerDead + tick)
		second := h.bus.lastJob(t)
		require.NotEqual(t, first.Job, second.Job)
		require.Greater(t, second.Sent, first.Deadline+lateness.Milliseconds())
	})
}
