package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestDisown: a run that speaks to somebody who is not here is told so, once per
// event, where the event says which run it is and its worker is known.
func TestDisown(t *testing.T) {
	const stranger = 1 << 16
	run := remote + "-x"
	tests := []struct {
		name  string
		event bus.Event
		want  string
	}{
		{"status", bus.Event{Type: bus.EventStatus, Run: run, Seq: 3}, bus.ControlGone},
		{"complete", bus.Event{Type: bus.EventComplete, Run: run, Seq: 3}, bus.ControlAck},
		{"cancelled", bus.Event{Type: bus.EventCancelled, Run: run, Seq: 3}, bus.ControlAck},
		{"error", bus.Event{Type: bus.EventError, Run: run, Seq: 3, Code: "INTERNAL"}, bus.ControlAck},
		{"chunk", bus.Event{Type: bus.EventChunk, Seq: 3, Text: []byte("x")}, ""},
		{"chunk of a worker that names its run", bus.Event{Type: bus.EventChunk, Run: run, Seq: 3, Text: []byte("x")}, ""},
		{"snapshot of a worker that names its run", bus.Event{Type: bus.EventSnapshot, Run: run, From: 1, Seq: 3, Text: []byte("x")}, ""},
		{"status without a run", bus.Event{Type: bus.EventStatus, Seq: 3}, ""},
		{"unknown worker", bus.Event{Type: bus.EventStatus, Run: "w9-x", Seq: 3}, ""},
		{"end at an unknown worker", bus.Event{Type: bus.EventComplete, Run: "w9-x", Seq: 3}, ""},
		{"no run_id of ours", bus.Event{Type: bus.EventStatus, Run: remote, Seq: 3}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				before := h.bus.said()
				tt.event.To = stranger
				for n := 1; n <= 3; n++ {
					h.say(tt.event)
					if tt.want == "" {
						require.Equal(t, before, h.bus.said())
						continue
					}
					words := h.bus.wordsOf(tt.want)
					require.Len(t, words, n)
					require.Equal(t, word{worker: remote, Control: bus.Control{
						Type: tt.want, Run: run, Gateway: h.gateway.id, To: stranger,
					}}, words[n-1])
					require.Equal(t, before+n, h.bus.said())
				}
				h.empty()
			})
		})
	}
}

// TestDisownKnown: nothing is answered in the place of who follows.
func TestDisownKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept(remote + "-x").To
		h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-x"})
		require.Empty(t, h.bus.wordsOf(bus.ControlGone))
		h.say(bus.Event{Type: bus.EventComplete, To: to, Run: remote + "-x", Seq: 1})
		require.Len(t, h.bus.wordsOf(bus.ControlAck), 1)
		h.empty()
	})
}

// TestLostGoodbye: a run whose follower's goodbye was lost streams on for nobody
// only until it next says where it is; its own policy decides then.
func TestLostGoodbye(t *testing.T) {
	for policy, live := range map[string]int{protocol.OnDisconnectCancel: 0, protocol.OnDisconnectGrace: 1, protocol.OnDisconnectContinue: 1} {
		t.Run(policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ended := make(chan error, 1)
				h := talking(t, func(p *plan) { p.talk = untilStopped(ended) })
				c := h.open("s")
				c.ask(&protocol.Chat{ID: "1", Content: "hi", OnDisconnect: policy})
				pass(time.Second)
				h.bus.locked(func() { h.bus.mute = true })
				c.leave(protocol.CauseGone)
				pass(time.Second)
				h.bus.locked(func() { h.bus.mute = false })
				require.Equal(t, 1, h.worker.Active())
				pass(saySeqEvery)
				require.Equal(t, live, h.worker.Active())
				if live == 1 {
					c = h.open("s")
					c.ask(&protocol.Cancel{RunID: h.anyRun()})
				}
				require.ErrorIs(t, <-ended, errCancelled)
				h.empty()
			})
		})
	}
}

// TestLostAck: a run whose acknowledgement was lost says its end again, and is
// acknowledged by a gateway that has forgotten the turn.
func TestLostAck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		c := h.open("s")
		c.chat("", "hi")
		h.bus.locked(func() { h.bus.mute = true })
		pass(4*pace + repeatFirst/2)
		require.Equal(t, "complete  5 abcd", c.tale()[4])
		require.Len(t, h.bus.wordsOf(bus.ControlAck), 1)
		h.bus.locked(func() { h.bus.mute = false })
		require.Len(t, h.worker.runs.live(), 1)
		pass(repeatFirst)
		require.Empty(t, h.worker.runs.live())
		require.Len(t, h.bus.eventsOf(bus.EventComplete), 2)
		require.Len(t, h.bus.wordsOf(bus.ControlAck), 2)
		require.Empty(t, c.tale())
		h.empty()
	})
}
