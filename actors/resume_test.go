package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestResume: unknown runs, clashes, and where the control goes.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.ask(&protocol.Resume{RunID: "w9-x"})
		c.ask(&protocol.Resume{RunID: "sk-not-a-run"})
		c.ask(&protocol.Resume{RunID: "AAAAAAAAAAAA-BBBBBBBBBBBBBBBBBBBBBBBBBB"})
		notFound := func(run string) string {
			return `{"type":"error","for":"resume",` + run + `"code":"RUN_NOT_FOUND","message":"No run with this run_id can be reached. It may have ended, expired or never existed.","retryable":false}`
		}
		require.Equal(t, []string{
			notFound(""), notFound(""), notFound(`"run_id":"AAAAAAAAAAAA-BBBBBBBBBBBBBBBBBBBBBBBBBB",`),
		}, c.take(), "only what looks like a run_id is echoed")
		require.Empty(t, h.bus.wordsOf(bus.ControlResume), "a client's bytes became an address")

		c.ask(&protocol.Resume{ID: "v", RunID: "w1-x", After: 2})
		sent := h.bus.wordsOf(bus.ControlResume)
		require.Len(t, sent, 1)
		require.Equal(t, remote, sent[0].worker)
		require.EqualValues(t, 2, sent[0].Cut)
		require.Zero(t, sent[0].After, "the whole text is needed for the end")
		c.ask(&protocol.Resume{ID: "v", RunID: "w1-y"})
		require.Equal(t, protocol.InvalidMessage, c.last().Code)
		c.take()
		to := sent[0].To
		h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: "w1-x", Worker: remote})
		c.ask(&protocol.Resume{RunID: "w1-x"})
		require.Equal(t, protocol.InvalidMessage, c.last().Code)
		c.take()
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 1, Seq: 2, More: true, Text: []byte("ab")})
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 3, Seq: 3, Text: []byte("c")})
		h.chunk(to, 4, "d")
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 5, Finish: "stop"})
		require.Equal(t, []string{
			`{"type":"snapshot","id":"v","run_id":"w1-x","seq":3,"content":"c"}`,
			`{"type":"chunk","id":"v","seq":4,"content":"d"}`,
			`{"type":"complete","id":"v","run_id":"w1-x","seq":5,"full_response":"abcd","finish_reason":"stop","provider":"","model":""}`,
		}, c.take())

		c.ask(&protocol.Resume{RunID: "w1-z"})
		pass(offerTimeout)
		require.Equal(t, []string{notFound("")}, c.take(), "nobody answered")
		h.empty()
	})
}

// TestResumeLostPart: where a part of the snapshot is lost, what comes instead
// still ends where the client's own text ends.
func TestResumeLostPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.ask(&protocol.Resume{ID: "v", RunID: "w1-x", After: 2})
		to := h.bus.wordsOf(bus.ControlResume)[0].To
		h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: "w1-x", Worker: remote})
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 3, Seq: 3, Text: []byte("c")})
		sent := h.bus.wordsOf(bus.ControlResume)
		require.Len(t, sent, 2)
		require.EqualValues(t, 2, sent[1].Cut)
		h.empty()
	})
}

// TestRemoteCancel: another socket stops a run it knows by name, and hears the
// end of it and nothing else.
func TestRemoteCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		for _, kind := range []protocol.Kind{protocol.WebSocket, protocol.HTTP} {
			c := h.knock(protocol.Client{Session: "s", Kind: kind})
			c.ask(&protocol.Cancel{RunID: "w1-x"})
			sent := h.bus.wordsOf(bus.ControlCancel)
			to := sent[len(sent)-1].To
			h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: "w1-x", Worker: remote})
			h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 1, Seq: 2, Text: []byte("ab")})
			h.say(bus.Event{Type: bus.EventCancelled, To: to, Seq: 3})
			require.Equal(t, []string{`{"type":"cancelled","run_id":"w1-x","seq":3,"full_response":"ab"}`}, c.take())
			require.Equal(t, kind == protocol.HTTP, len(c.closed()) > 0)
		}
		h.empty()
	})
}

// TestHTTPExchange: one turn, then the connection is over.
func TestHTTPExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.knock(protocol.Client{Session: "s", NewSession: true, Kind: protocol.HTTP})
		c.chat("", "hi")
		h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-a").To, Seq: 1, Finish: "stop"})
		require.Equal(t, protocol.TypeComplete, c.last().Type)
		require.True(t, c.last().Named)
		require.Equal(t, []protocol.Code{""}, c.closed())

		c = h.knock(protocol.Client{Session: "s", Kind: protocol.HTTP})
		c.ask(&protocol.Chat{Content: "hi", Provider: "nobody"})
		require.Equal(t, protocol.UnknownProvider, c.last().Code)
		require.Equal(t, []protocol.Code{""}, c.closed())
		h.empty()
	})
}

func TestCloseAfterComplete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.chat.CloseAfterComplete = true
		h := build(t, p)
		c := h.open("s")
		c.ask(&protocol.Resume{RunID: "w9-x"})
		require.Empty(t, c.closed(), "a resume is no unnamed turn")
		c.chat("1", "hi")
		h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-a").To, Seq: 1})
		require.Empty(t, c.closed(), "a named turn keeps its socket")
		c.chat("", "hi")
		h.say(bus.Event{Type: bus.EventComplete, To: h.accept("w1-b").To, Seq: 1})
		require.Equal(t, []protocol.Code{""}, c.closed())
		h.empty()
	})
}
