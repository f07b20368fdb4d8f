package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// The server's own encoder writes what the hot path must read, in every shape.
func TestParseReadsWhatTheServerWrites(t *testing.T) {
	text := []byte(`a \"quoted\" \\ word`)
	for _, tt := range []struct {
		name  string
		frame protocol.Frame
		want  event
	}{
		{"chunk", protocol.Frame{Type: protocol.TypeChunk, Text: text}, event{kind: evChunk, text: text, hasText: true}},
		{
			"named chunk",
			protocol.Frame{Type: protocol.TypeChunk, Named: true, ID: "7", Seq: 12, Text: text},
			event{kind: evChunk, id: []byte("7"), seq: 12, text: text, hasText: true},
		},
		{
			"joined chunk",
			protocol.Frame{Type: protocol.TypeChunk, Named: true, ID: "7", Seq: 12, From: 3, Text: text},
			event{kind: evChunk, id: []byte("7"), seq: 12, from: 3, text: text, hasText: true},
		},
		{"empty chunk", protocol.Frame{Type: protocol.TypeChunk, Text: []byte{}}, event{kind: evChunk, text: []byte{}, hasText: true}},
		{"complete", protocol.Frame{Type: protocol.TypeComplete, Text: text}, event{kind: evComplete, full: text, hasFull: true}},
		{
			"named complete",
			protocol.Frame{
				Type: protocol.TypeComplete, Named: true, ID: "7", RunID: "r", Seq: 13, Text: text, Finish: "stop", Provider: "p", Model: "m",
				Usage: &protocol.Usage{InputTokens: 1},
			},
			event{kind: evComplete, id: []byte("7"), runID: []byte("r"), seq: 13, full: text, hasFull: true},
		},
	} {
		b := tt.frame.Append(nil)
		var got, slow event
		newTroupe(scenario.Default()).parse(b, &got)
		require.Equal(t, tt.want, got, tt.name)
		parseAny(b, &slow)
		require.Equal(t, got.kind, slow.kind, tt.name)
		require.Equal(t, string(got.text)+string(got.full), string(slow.text)+string(slow.full), tt.name)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			got = event{}
			new(troupe).parse(b, &got)
		}), "%s costs no allocation", tt.name)
	}
}

func TestParseReadsTheRest(t *testing.T) {
	parse := func(text string) (e event) {
		new(troupe).parse([]byte(text), &e)
		return e
	}
	e := parse(`{"type":"error","id":"3","run_id":"r","code":"WORKER_LOST","message":"gone","retryable":true,"retry_after":2,"partial":"so far"}`)
	require.Equal(t, evError, e.kind)
	require.Equal(t, "WORKER_LOST", e.code)
	require.Equal(t, "so far", string(e.text))
	require.InDelta(t, 2, e.after.Seconds(), 0)
	require.Equal(t, "resume", parse(`{"type":"error","for":"resume","run_id":"r","code":"RUN_NOT_FOUND","message":"m"}`).about)
	require.Equal(t, evSnapshot, parse(`{"type":"snapshot","id":"1","run_id":"r","seq":4,"content":"x"}`).kind)
	require.InDelta(t, 0.25, parse(`{"type":"reconnect","after_ms":250}`).after.Seconds(), 0)
	require.Equal(t, "r", string(parse(`{"type":"accepted","id":"1","run_id":"r"}`).runID))
	require.Equal(t, evOther, parse(`{"type":"status","id":"1","state":"waiting"}`).kind)
	require.Equal(t, evBad, parse(`{"type":"surprise"}`).kind)
	require.Equal(t, evBad, parse(`{"type":"chunk","content":"x"`).kind)
	require.Equal(t, evBad, parse(`nonsense`).kind)
	// What differs from the exact shape goes the long way, to the same meaning.
	e = parse(`{"type":"chunk", "seq":2,"id":"1","content":"x","more":{"content":"y"}}`)
	require.Equal(t, evChunk, e.kind)
	require.Equal(t, "x", string(e.text))
	require.Equal(t, uint64(2), e.seq)
	e = parse(`{"type":"chunk","content":"x","extra":"z"}`)
	require.Equal(t, "x", string(e.text))
}

func TestQuestions(t *testing.T) {
	s := scenario.Default()
	s.Questions.Provider = "echo"
	c := &client{session: "s", key: "k"}
	turn := &turn{id: 3, content: "why", model: newModel("echo", "echo-0s-2w", false), runID: "r", seq: 9}
	require.Equal(t, `{"type":"chat","provider":"echo","model":"echo-0s-2w","messages":[],"content":"why"}`, string(newTroupe(s).question(nil, c, turn)))
	s.Questions.Named, s.Reconnect.Resume, s.Questions.Memory, s.Questions.MaxTokens = true, true, true, 5
	d := newTroupe(s)
	require.Equal(t, `{"type":"chat","id":"3","on_disconnect":"grace","client_key":"k","provider":"echo","model":"echo-0s-2w","max_tokens":5,"content":"why"}`, string(d.question(nil, c, turn)))
	b, ok := d.resume(nil, c, turn)
	require.True(t, ok)
	require.Equal(t, `{"type":"resume","id":"3","run_id":"r","after":9}`, string(b))
	turn.runID = ""
	b, _ = d.resume(nil, c, turn)
	require.Contains(t, string(b), `"repeat":true`)
	b, ok = d.cancel(nil, turn)
	require.True(t, ok)
	require.Equal(t, `{"type":"cancel","id":"3"}`, string(b))
}
