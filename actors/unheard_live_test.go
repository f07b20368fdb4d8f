package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// What is said to a worker that changes its NATS server meets nobody for a
// moment. Its beats go on, so it is asked again.

func TestResumeUnheard(t *testing.T) {
	for _, what := range []protocol.Request{&protocol.Resume{ID: "v", RunID: "w1-x"}, &protocol.Cancel{RunID: "w1-x"}} {
		t.Run(fmt.Sprintf("%T", what), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.ask(what)
				said := func() []word { return append(h.bus.wordsOf(bus.ControlResume), h.bus.wordsOf(bus.ControlCancel)...) }
				to := said()[0].To
				for n := 1; n <= 4; n++ {
					require.Len(t, said(), n)
					h.gateway.NoResponders(to)
					pass(sayAgainPause)
					require.Empty(t, c.take(), "it lives, and may have the run")
				}
				h.reply(to, bus.Reply{Type: bus.ReplyMissing, Worker: remote})
				require.Equal(t, protocol.RunNotFound, c.last().Code)
				h.empty()
			})
		})
	}
}

func TestResumeUnheardForGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.ask(&protocol.Resume{ID: "v", RunID: "w1-x"})
		to := h.bus.wordsOf(bus.ControlResume)[0].To
		for range sayAgainMax + 1 {
			require.Empty(t, c.take())
			h.gateway.NoResponders(to)
			pass(sayAgainPause)
		}
		require.Equal(t, protocol.RunNotFound, c.last().Code)
		h.empty()
	})
}

// A Stop that nobody heard is said until the run ends.
func TestCancelUnheard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept("w1-a").To
		h.chunk(to, 1, "a")
		c.ask(&protocol.Cancel{ID: "1"})
		cancels := func() int { return len(h.bus.wordsOf(bus.ControlCancel)) }
		require.Equal(t, 1, cancels())
		h.gateway.NoResponders(to)
		pass(sayAgainPause)
		require.Equal(t, 2, cancels(), "nobody listened")
		pass(silenceCheck + time.Second)
		require.Equal(t, 3, cancels(), "it was lost on the way")
		h.say(bus.Event{Type: bus.EventCancelled, To: to, Run: "w1-a", Seq: 2})
		require.Len(t, c.terminals("1"), 1)
		pass(3 * silenceCheck)
		require.Equal(t, 3, cancels())
		h.empty()
	})
}

// Who said stop and left means stop, whatever was asked before, and also where the
// word was not heard.
func TestStopOutlivesItsSocket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.ask(&protocol.Chat{ID: "1", Content: "hi", OnDisconnect: protocol.OnDisconnectContinue})
		to := h.accept("w1-a").To
		c.ask(&protocol.Cancel{ID: "1"})
		h.gateway.NoResponders(to)
		c.leave(protocol.CauseGone)
		pass(0)
		gone := h.bus.wordsOf(bus.ControlGone)
		require.Len(t, gone, 1)
		require.Equal(t, protocol.OnDisconnectCancel, gone[0].OnDisconnect)
		h.empty()
	})
}

// Turns that share a socket do not heal each other, and nobody heals while there
// is no bus to do it on.
func TestManyTurnsHealOnce(t *testing.T) {
	const turns = healsMax + 1
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.runs.PerConnection, p.runs.Grace = 2*turns, 10*time.Minute
		h := build(t, p)
		c := h.open("s")
		for i := range turns {
			c.chat(fmt.Sprint(i), "hi")
			h.chunk(h.accept(fmt.Sprint("w1-", i)).To, 1, "a")
		}
		before := len(h.bus.wordsOf(bus.ControlResume))
		h.gateway.BusDown()
		pass(9 * time.Minute)
		h.gateway.BusUp()
		pass(0)
		require.Len(t, h.bus.wordsOf(bus.ControlResume), before+turns)
		for _, f := range c.seen() {
			require.NotEqual(t, protocol.TypeError, f.Type, f.Message)
		}
	})
}

// TestContinueAfterResume: who asked for an answer to be finished, and came back
// to look at it, has not changed their mind.
func TestContinueAfterResume(t *testing.T) {
	for policy, want := range map[string]int{protocol.OnDisconnectContinue: 1, protocol.OnDisconnectGrace: 0, protocol.OnDisconnectCancel: 0} {
		t.Run(policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				h := newOffice(t, map[string]ProviderSetup{"a": serves(m.vendor("a", takes(10*time.Minute, "Hi")), provider.Config{StallTimeout: time.Hour})})
				c := h.open("s")
				c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "a", OnDisconnect: policy})
				pass(time.Second)
				again := h.open("s")
				again.ask(&protocol.Resume{RunID: c.runs()[0]})
				pass(time.Second)
				c.leave(protocol.CauseGone)
				pass(time.Second)
				require.Equal(t, 1, h.worker.Active(), "somebody follows")
				again.leave(protocol.CauseGone)
				pass(time.Minute)
				require.Equal(t, want, h.worker.Active())
			})
		})
	}
}
