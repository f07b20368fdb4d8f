package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestChatUnnamed: exactly the small frames, and a second one must wait.
func TestChatUnnamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("", "hi")
		c.chat("", "hi again")
		job := h.accept("w1-a")
		require.Equal(t, protocol.OnDisconnectCancel, job.OnDisconnect)
		h.chunk(job.To, 1, "Hel")
		h.chunk(job.To, 2, "lo")
		h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 3, Finish: "stop", Model: "m"})
		h.chunk(job.To, 3, "too late")
		require.Equal(t, []string{
			`{"type":"error","message":"An answer is still being written. Cancel it, wait for its end, or give each chat an id.","code":"RUN_IN_PROGRESS"}`,
			`{"type":"chunk","content":"Hel"}`,
			`{"type":"chunk","content":"lo"}`,
			`{"type":"complete","full_response":"Hello"}`,
		}, c.take())
		require.Equal(t, 3, c.wanted())
		require.Empty(t, c.closed())
		acks := h.bus.wordsOf(bus.ControlAck)
		require.Len(t, acks, 1)
		require.Equal(t, word{worker: remote, Control: bus.Control{
			Type: bus.ControlAck, Run: "w1-a", Gateway: h.gateway.id, To: job.To, Session: "s",
		}}, acks[0])
		h.empty()
	})
}

func TestChatNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		job := h.accept("w1-a")
		require.Equal(t, "1", job.Name)
		h.chunk(job.To, 1, "Hello")
		h.say(bus.Event{
			Type: bus.EventComplete, To: job.To, Seq: 2, Finish: "stop", Provider: "echo", Model: "m",
			Usage: &bus.Usage{InputTokens: 8, OutputTokens: 3},
		})
		require.Equal(t, []string{
			`{"type":"accepted","id":"1","run_id":"w1-a"}`,
			`{"type":"chunk","id":"1","seq":1,"content":"Hello"}`,
			`{"type":"complete","id":"1","run_id":"w1-a","seq":2,"full_response":"Hello","finish_reason":"stop","provider":"echo","model":"m","usage":{"input_tokens":8,"output_tokens":3,"estimated":false}}`,
		}, c.take())
		h.empty()
	})
}

// TestChatErrors: what a run that fails looks like on both kinds of turn.
func TestChatErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for _, id := range []string{"", "1"} {
			c.chat(id, "hi")
			to := h.accept("w1-" + id).To
			h.chunk(to, 1, "He")
			h.say(bus.Event{Type: bus.EventError, To: to, Seq: 2, Code: string(protocol.ProviderRateLimited), Message: "Slow down.", RetryAfter: 7})
		}
		lines := c.take()
		require.Equal(t, `{"type":"error","message":"Slow down.","code":"PROVIDER_RATE_LIMITED","retry_after":7}`, lines[1])
		require.Equal(t, `{"type":"error","id":"1","run_id":"w1-1","code":"PROVIDER_RATE_LIMITED","message":"Slow down.","retryable":true,"retry_after":7,"partial":"He"}`, lines[4])
		require.Len(t, lines, 5)
		require.EqualValues(t, 2, h.gateway.Status().Runs.Failed)
		h.empty()
	})
}

// TestChatRepeatRate: repeats of an ended turn cost the bus a request each, and
// are bounded as requests are.
func TestChatRepeatRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-a").To, Seq: 1})
		for range 2 * requestBurst {
			c.chat("1", "hi")
			sent := h.bus.wordsOf(bus.ControlResume)
			h.reply(sent[len(sent)-1].To, bus.Reply{Type: bus.ReplyMissing})
		}
		require.Len(t, h.bus.wordsOf(bus.ControlResume), requestBurst)
		require.Equal(t, protocol.RateLimitExceeded, c.last().Code)
		require.Empty(t, c.closed())
		h.empty()
	})
}

func TestChatPerConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for _, id := range []string{"1", "2", "3", "4", "5"} {
			c.chat(id, "hi")
		}
		require.Equal(t, 4, h.bus.jobCount())
		require.Equal(t, protocol.RunInProgress, c.last().Code)
		require.Equal(t, "5", c.last().ID)
		h.empty()
	})
}

// TestChatRepeat: the same id and content is harmless, while it runs and after
// it; the same id with other content is refused and ends nothing.
func TestChatRepeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		c.chat("1", "hi")
		require.Empty(t, c.take(), "nobody has accepted yet")
		to := h.accept("w1-a").To
		c.take()
		c.chat("1", "hi")
		require.Equal(t, []string{`{"type":"accepted","id":"1","run_id":"w1-a"}`}, c.take())
		c.chat("1", "other")
		require.Equal(t, protocol.InvalidMessage, c.last().Code)
		require.Empty(t, c.last().ID)
		h.chunk(to, 1, "Hello")
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 2, Finish: "stop"})
		c.take()
		require.Equal(t, 1, h.bus.jobCount())

		c.chat("1", "hi")
		require.Empty(t, c.take(), "it is not known yet whether the run is still there")
		again := h.bus.wordsOf(bus.ControlResume)
		require.Len(t, again, 1)
		to = again[0].To
		h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: "w1-a", Worker: remote, Name: "1"})
		require.Equal(t, []string{`{"type":"accepted","id":"1","run_id":"w1-a"}`}, c.take())
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 1, Seq: 1, Text: []byte("Hello")})
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 2, Finish: "stop"})
		require.Equal(t, []string{
			`{"type":"snapshot","id":"1","run_id":"w1-a","seq":1,"content":"Hello"}`,
			`{"type":"complete","id":"1","run_id":"w1-a","seq":2,"full_response":"Hello","finish_reason":"stop","provider":"","model":""}`,
		}, c.take())

		c.chat("1", "other")
		require.Equal(t, 2, h.bus.jobCount(), "an ended id may be used for something new")
		h.empty()
	})
}

// TestChatRepeatGone: a question whose run was let go of meanwhile has one end,
// under its own name, and no accept without one.
func TestChatRepeatGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-a").To, Run: "w1-a", Seq: 1, Finish: "stop"})
		c.take()
		c.chat("1", "hi")
		h.reply(h.bus.wordsOf(bus.ControlResume)[0].To, bus.Reply{Type: bus.ReplyMissing, Worker: remote})
		require.Equal(t, []string{"error 1 RUN_NOT_FOUND"}, c.tale())
		require.Equal(t, 1, h.bus.jobCount())

		for _, id := range []string{"2", "3", "4", "5"} { // as many as a connection may have
			c.chat(id, "hi")
		}
		c.take()
		c.chat("1", "hi")
		require.Equal(t, []string{"error 1 RUN_IN_PROGRESS"}, c.tale(), "a repeat takes a place as any other")
		h.empty()
	})
}

// TestChatCancel in every state.
func TestChatCancel(t *testing.T) {
	cancelled := `{"type":"cancelled","full_response":""}`
	tests := []struct {
		name string
		to   func(h *house, c *client) // brings the turn there
		then func(h *house)            // what happens after the cancel
		want []string
	}{
		{"offered, then accepted", func(*house, *client) {}, func(h *house) {
			to := h.accept("w1-a").To
			h.say(bus.Event{Type: bus.EventCancelled, To: to, Seq: 1})
		}, []string{cancelled}},
		{"offered, then no room", func(*house, *client) {}, func(h *house) {
			h.gateway.NoResponders(h.bus.lastJob(h.t).To)
		}, []string{cancelled}},
		{"accepted", func(h *house, _ *client) { h.accept("w1-a") }, func(h *house) {
			h.say(bus.Event{Type: bus.EventCancelled, To: h.bus.lastJob(h.t).To, Seq: 1})
		}, []string{cancelled}},
		{"streaming", func(h *house, _ *client) { h.chunk(h.accept("w1-a").To, 1, "Hel") }, func(h *house) {
			h.chunk(h.bus.lastJob(h.t).To, 2, "lo")
			h.say(bus.Event{Type: bus.EventCancelled, To: h.bus.lastJob(h.t).To, Seq: 3})
		}, []string{`{"type":"chunk","content":"Hel"}`, `{"type":"chunk","content":"lo"}`, `{"type":"cancelled","full_response":"Hello"}`}},
		{"nothing runs", func(h *house, c *client) {
			h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-a").To, Seq: 1})
			c.take()
		}, func(*house) {}, []string{`{"type":"error","for":"cancel","code":"NO_ACTIVE_RUN","message":"No turn is running that this could stop.","retryable":false}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.chat("", "hi")
				tt.to(h, c)
				c.ask(&protocol.Cancel{})
				tt.then(h)
				pass(0)
				require.Equal(t, tt.want, c.take())
				if tt.name != "nothing runs" && tt.name != "offered, then no room" {
					require.Len(t, h.bus.wordsOf(bus.ControlCancel), 1)
				}
				h.empty()
			})
		})
	}
	t.Run("queued", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			c.chat("1", "hi")
			h.gateway.NoResponders(h.bus.lastJob(t).To)
			c.ask(&protocol.Cancel{ID: "1"})
			require.Equal(t, []string{
				`{"type":"status","id":"1","state":"queued"}`,
				`{"type":"cancelled","id":"1","seq":1,"full_response":""}`,
			}, c.take())
			pass(5 * time.Second)
			require.Equal(t, 1, h.bus.jobCount(), "a cancelled turn was offered again")
			h.empty()
		})
	})
}
