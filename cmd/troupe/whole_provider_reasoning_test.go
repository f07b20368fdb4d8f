package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

// thinkAloud reads a turn to its end: what was reasoned, what was said, and
// whether any reasoning came behind the first chunk.
func thinkAloud(c *peer) (thought, text string, late bool, last said) {
	c.t.Helper()
	for f := c.next(); ; f = c.next() {
		switch {
		case f.terminal():
			return thought, text, late, f
		case f.Type == "reasoning":
			require.Zero(c.t, f.Seq, "it is no part of the answer")
			thought += f.Content
			late = late || text != ""
		case f.Type == "chunk":
			text += f.Content
		}
	}
}

// What the model thinks aloud is shown to who asks for it and can tell it from
// the answer, of which it is no part.
func TestReasoningIsShownToWhoAsks(t *testing.T) {
	s := providertest.Say("the ", "answer")
	s.Reasoning = []string{"first \"this\", ", "then 🦉"}
	v := providertest.New(t, s)
	w := start(t, wide, everyWire(v))
	for _, wire := range wires() {
		t.Run(wire, func(t *testing.T) {
			before := len(v.Requests())
			c := w.dial("/ws/chat/s1")
			c.send(chat(map[string]any{"id": "shown", "provider": wire, "reasoning": true}))
			thought, text, late, f := thinkAloud(c)
			require.Equal(t, []any{`first "this", then 🦉`, "the answer", false}, []any{thought, text, late})
			require.Equal(t, []string{"complete", text}, []string{f.Type, f.FullResponse}, f.Message)
			require.EqualValues(t, 3, f.Seq, "two chunks and the end")

			for _, unasked := range []map[string]any{
				{"id": "not asked", "provider": wire},
				{"id": "no", "provider": wire, "reasoning": false},
				{"provider": wire, "reasoning": true}, // cannot tell one frame from another
			} {
				c.send(chat(unasked))
				thought, text, _, f = thinkAloud(c)
				require.Equal(t, []string{"", "the answer", "complete", "the answer"}, []string{thought, text, f.Type, f.FullResponse})
			}

			question := map[string]any{"provider": wire, "reasoning": true}
			status, events, _ := w.post("/api/chat", chat(question), "Accept", "text/event-stream")
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, []string{`first "this", then 🦉`, "the answer"}, []string{contentOf(events, "reasoning"), contentOf(events, "chunk")})
			status, body, _ := w.post("/api/chat", chat(question))
			require.Equal(t, []any{http.StatusOK, "the answer"}, []any{status, parse(t, body).FullResponse})
			delete(question, "reasoning")
			_, events, _ = w.post("/api/chat", chat(question), "Accept", "text/event-stream")
			require.Equal(t, []string{"", "the answer"}, []string{contentOf(events, "reasoning"), contentOf(events, "chunk")})

			asked := v.Requests()[before:]
			require.Len(t, asked, 7)
			if wire == provider.TypeGemini { // this vendor thinks aloud only where it is asked to
				require.True(t, gjson.GetBytes(asked[0].Body, "generationConfig.thinkingConfig.includeThoughts").Bool(), string(asked[0].Body))
				require.False(t, gjson.GetBytes(asked[1].Body, "generationConfig.thinkingConfig").Exists(), string(asked[1].Body))
			}
			for _, r := range asked[1:] {
				require.NotContains(t, string(r.Body), "first", "no reasoning is remembered")
			}
		})
	}
}

// contentOf joins the contents of the events of one kind.
func contentOf(events, kind string) (text string) {
	for e := range strings.SplitSeq(events, "\n\n") {
		if !strings.Contains(e, "event: "+kind+"\n") {
			continue
		}
		for line := range strings.Lines(e) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				text += gjson.Get(data, "content").Str
			}
		}
	}
	return text
}

// Thoughts are told once: who resumes hears the answer alone.
func TestReasoningIsNotResumed(t *testing.T) {
	s := providertest.Script{Reasoning: []string{"hm "}, Deltas: []string{"said"}}
	v := providertest.New(t, s)
	w := start(t, wide, asking(v, "sk-1"))
	c := w.dial("/ws/chat/s1")
	c.send(chat(map[string]any{"id": "x", "provider": "openai", "reasoning": true}))
	run := c.next().RunID
	thought, _, _, f := thinkAloud(c)
	require.Equal(t, []string{"hm ", "complete"}, []string{thought, f.Type})
	back := w.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, []string{"snapshot", "said"}, firstTwo(back.next()))
	require.Equal(t, "complete", back.next().Type)
}
