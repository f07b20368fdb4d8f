package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// adopted is a house whose one turn lost its accept and took its run's status
// for it.
func adopted(t *testing.T) (*house, *client, uint64) {
	t.Helper()
	h := build(t, defaultPlan())
	c := h.open("s")
	c.ask(&protocol.Chat{ID: "1", Content: "hi", OnDisconnect: protocol.OnDisconnectCancel})
	to := h.bus.lastJob(t).To
	h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-x"})
	require.Equal(t, []string{"accepted 1"}, c.tale())
	return h, c, to
}

// TestAdopted: a turn whose accept was lost is followed like any other: its
// worker's end is noticed, and its socket's end is told.
func TestAdopted(t *testing.T) {
	t.Run("the worker is lost", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h, c, to := adopted(t)
			h.chunk(to, 1, "Hel")
			h.gateway.Heard(&bus.Beat{Role: bus.RoleWorker, ID: remote, Leaving: true}, time.Now())
			pass(0)
			require.Equal(t, []string{"chunk 1 1 Hel", "error 1 WORKER_LOST"}, c.tale())
			h.empty()
		})
	})
	t.Run("the socket is lost", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h, c, to := adopted(t)
			c.leave(protocol.CauseGone)
			pass(0)
			gone := h.bus.wordsOf(bus.ControlGone)
			require.Len(t, gone, 1)
			require.Equal(t, word{worker: remote, Control: bus.Control{
				Type: bus.ControlGone, Run: remote + "-x", Gateway: h.gateway.id, To: to, Session: "s", OnDisconnect: protocol.OnDisconnectCancel,
			}}, gone[0])
			h.empty()
		})
	})
	t.Run("the accept comes after all", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h, c, to := adopted(t)
			h.reply(to, bus.Reply{Type: bus.ReplyAccepted, Run: remote + "-x", Worker: remote})
			h.chunk(to, 1, "Hel")
			require.Equal(t, []string{"chunk 1 1 Hel"}, c.tale())
			require.Empty(t, h.bus.wordsOf(bus.ControlRelease))
			h.empty()
		})
	})
	t.Run("another run speaks under its name", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h, c, to := adopted(t)
			h.mute("w2")
			h.say(bus.Event{Type: bus.EventStatus, To: to, Run: "w2-y"})
			freed := h.bus.wordsOf(bus.ControlRelease)
			require.Len(t, freed, 1)
			require.Equal(t, []string{"w2", "w2-y"}, []string{freed[0].worker, freed[0].Run})
			h.chunk(to, 1, "of the other")
			require.Empty(t, c.tale())
			heals := h.bus.wordsOf(bus.ControlResume)
			require.Len(t, heals, 1)
			require.Equal(t, remote+"-x", heals[0].Run)
			require.NotEqual(t, to, heals[0].To)
			h.empty()
		})
	})
	t.Run("an end is no accept of an unknown worker", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			c.chat("1", "hi")
			to := h.bus.lastJob(t).To
			h.say(bus.Event{Type: bus.EventStatus, To: to, Run: "w9-x"})
			h.say(bus.Event{Type: bus.EventComplete, To: to, Run: "w9-x", Seq: 1})
			require.Empty(t, c.tale())
			h.empty()
		})
	})
}
