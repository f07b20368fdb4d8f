package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// A snapshot that is lost is asked for again while the run streams on.
func TestALostSnapshotIsAskedForAgainWhileTextFlows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.bus.lastJob(t).To
		h.reply(to, bus.Reply{Type: bus.ReplyAccepted, Run: "w1-x", Worker: "w1"})
		h.chunk(to, 1, "a")
		h.chunk(to, 3, "c") // a gap; what heals it is lost
		for i := range uint64(60) {
			h.beat(bus.RoleWorker, "w1", false)
			pass(500 * time.Millisecond)
			h.chunk(to, 4+i, "x")
		}
		require.Greater(t, len(h.bus.wordsOf(bus.ControlResume)), 1)
	})
}
