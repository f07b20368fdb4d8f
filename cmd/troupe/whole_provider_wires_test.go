package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// wires are the types of provider that ask a vendor, each with its own wire.
func wires() []string {
	return []string{provider.TypeOpenAI, provider.TypeAnthropic, provider.TypeGemini}
}

// speaking is a provider that asks v on one of its wires.
func speaking(v *providertest.Server, wire string, keys ...string) provider.Config {
	c := vendor(v, keys...)
	c.Type, c.BaseURL = wire, v.BaseURL(faulty.Wire(wire))
	return c
}

// entries adds providers to the configuration, over those of the same name.
func entries(more map[string]provider.Config) func(*appOptions) {
	return with(func(c *config.Config) { maps.Copy(c.Providers, more) })
}

// everyWire has v behind a provider of each type, under the type's own name.
func everyWire(v *providertest.Server) func(*appOptions) {
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		all[wire] = speaking(v, wire, "sk-"+wire)
	}
	return entries(all)
}

// keyOf is the key that a question came with, whatever its wire calls it.
func keyOf(r providertest.Request) string {
	for _, name := range []string{"X-Api-Key", "X-Goog-Api-Key"} {
		if k := r.Header.Get(name); k != "" {
			return k
		}
	}
	return strings.TrimPrefix(r.Authorization, "Bearer ")
}

// chat is a chat frame: these fields and nothing else.
func chat(fields map[string]any) string {
	all := map[string]any{"type": "chat", "content": "q"}
	maps.Copy(all, fields)
	frame, err := json.Marshal(all)
	if err != nil {
		panic(err) // a test's own literals
	}
	return string(frame)
}

// Every wire brings text, usage, finish reason and model through, and carries
// the question in its vendor's own shape.
func TestEveryWireAnswersAStream(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		s := providertest.Say("Hel", "lo, ", "wörld 🦉")
		s.Model, s.Usage = "as-it-calls-itself", &protocol.Usage{InputTokens: 21, OutputTokens: 5}
		if r.Model == "long" {
			s.Finish = faulty.FinishLength
		}
		return s
	})
	w := start(t, wide, everyWire(v))
	for _, wire := range wires() {
		t.Run(wire, func(t *testing.T) {
			before := len(v.Requests())
			c := w.dial("/ws/chat/s1")
			for _, model := range []string{"short", "long"} {
				c.send(chat(map[string]any{
					"id": model, "provider": wire, "model": model, "system": "be kind", "temperature": 0.5, "max_tokens": 77,
					"messages": []map[string]string{{"role": "user", "content": "before"}, {"role": "assistant", "content": "indeed"}},
				}))
				text, f := c.answer()
				require.Equal(t, "Hello, wörld 🦉", text)
				finish := map[string]string{"short": protocol.FinishStop, "long": protocol.FinishLength}[model]
				require.Equal(t, []string{"complete", finish, wire, "as-it-calls-itself"}, []string{f.Type, f.FinishReason, f.Provider, f.Model}, f.Message)
				require.Equal(t, []any{21, 5, false, 1}, []any{f.Usage.InputTokens, f.Usage.OutputTokens, f.Usage.Estimated, f.Attempts})
			}
			c.send(chat(map[string]any{"provider": wire})) // no model, and what this socket remembers
			_, f := c.answer()
			require.Equal(t, "complete", f.Type, f.Message)

			asked := v.Requests()[before:]
			require.Len(t, asked, 3)
			require.Equal(t, "sk-"+wire, keyOf(asked[0]))
			require.NotContains(t, string(asked[0].Body)+asked[0].Path, "sk-")
			require.Regexp(t, `^[A-Z2-7]+\.1$`, asked[0].Header.Get(provider.CallHeader))
			requireVendorShape(t, wire, asked[0])
			require.Equal(t, "gpt-default", asked[2].Model)
			require.Equal(t, 2, strings.Count(string(asked[2].Body), "Hello, wörld 🦉"), "the memory of this socket")
		})
	}
}

// requireVendorShape compares the first question of TestEveryWireAnswersAStream with
// what its vendor's reference wants.
func requireVendorShape(t *testing.T, wire string, r providertest.Request) {
	t.Helper()
	want := map[string]struct{ path, body string }{
		provider.TypeOpenAI: {"/v1/chat/completions", `{"model":"short","stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"max_tokens":77,
			"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"before"},{"role":"assistant","content":"indeed"},{"role":"user","content":"q"}]}`},
		provider.TypeAnthropic: {"/v1/messages", `{"model":"short","stream":true,"temperature":0.5,"max_tokens":77,"system":"be kind",
			"messages":[{"role":"user","content":"before"},{"role":"assistant","content":"indeed"},{"role":"user","content":"q"}]}`},
		provider.TypeGemini: {"/v1beta/models/short:streamGenerateContent", `{"systemInstruction":{"parts":[{"text":"be kind"}]},
			"generationConfig":{"temperature":0.5,"maxOutputTokens":77},
			"contents":[{"role":"user","parts":[{"text":"before"}]},{"role":"model","parts":[{"text":"indeed"}]},{"role":"user","parts":[{"text":"q"}]}]}`},
	}[wire]
	require.Equal(t, want.path, r.Path)
	require.JSONEq(t, want.body, string(r.Body))
	if wire == provider.TypeAnthropic {
		require.NotEmpty(t, r.Header.Get("Anthropic-Version"))
	}
}

// A cancel closes the vendor's socket on every wire, before the first word and
// in the middle of an answer: 99 of 100 within 250 ms.
func TestCancelClosesEveryVendor(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "mute" {
			return mute()
		}
		return providertest.Script{Deltas: []string{"drop "}, Repeats: 500, Pace: 10 * time.Millisecond}
	})
	w := start(t, wide, everyWire(v))
	left, late := 0, 0
	for _, wire := range wires() {
		var took []time.Duration
		for i := range 24 {
			model := []string{"mute", "talks"}[i%2]
			c := w.dial("/ws/chat/s1") // each on its own: one socket may not cancel so many so fast
			c.send(chat(map[string]any{"id": "x", "provider": wire, "model": model}))
			v.WaitOpen(t, 1, 5*time.Second)
			for model == "talks" && c.next().Type != "chunk" {
			}
			at := time.Now()
			c.send(`{"type":"cancel"}`)
			left++
			v.WaitLeft(t, left, 5*time.Second)
			took = append(took, time.Since(at))
			v.WaitOpen(t, 0, time.Second)
			f := c.next()
			for ; !f.terminal(); f = c.next() {
			}
			require.Equal(t, "cancelled", f.Type, wire+" "+model)
			require.Equal(t, model == "talks", strings.HasPrefix(f.FullResponse, "drop "))
			require.NotNil(t, f.Usage)
			c.CloseNow()
		}
		slices.Sort(took)
		median, slowest := took[len(took)/2], took[len(took)-1]
		t.Logf("%s: from cancel to closed: median %s, slowest %s of %d", wire, median, slowest, len(took))
		require.LessOrEqual(t, median, 100*time.Millisecond, wire)
		for _, d := range took {
			if d > 250*time.Millisecond {
				late++
			}
		}
	}
	require.LessOrEqual(t, late, 1, "of %d", left)
	require.Len(t, v.Requests(), left, "what was cancelled is not asked again")
}

// wrong is one way an answer goes wrong after the vendor took the question.
type wrong struct {
	script  providertest.Script
	clock   func(*provider.Config)
	code    string
	partial bool // something was said before
	leaves  bool // it is us who end it
}

func wrongs() map[string]wrong {
	const clock = 300 * time.Millisecond
	words := strings.SplitAfter("this answer goes wrong somewhere on its way to the end", " ")
	return map[string]wrong{
		"filter":    {script: providertest.Script{Deltas: words, Finish: faulty.FinishFilter}, code: "PROVIDER_REJECTED", partial: true},
		"error":     {script: providertest.Script{Deltas: words, Fault: &faulty.Fault{Why: faulty.Overloaded, Message: "VENDOR-WORDS overloaded"}}, code: "PROVIDER_UNAVAILABLE", partial: true},
		"cut":       {script: providertest.Script{Deltas: words, CutPercent: 80}, code: "PROVIDER_INTERRUPTED", partial: true},
		"no-end":    {script: providertest.Script{Deltas: words, NoDone: true}, code: "PROVIDER_INTERRUPTED", partial: true},
		"malformed": {script: providertest.Script{Deltas: words, Malformed: true}, code: "PROVIDER_INTERRUPTED", partial: true},
		"stall": {
			script: providertest.Script{Deltas: words, StallPercent: 60}, code: "PROVIDER_TIMEOUT", partial: true, leaves: true,
			clock: func(c *provider.Config) { c.StallTimeout = clock },
		},
		"silent": {
			script: mute(), code: "PROVIDER_TIMEOUT", leaves: true,
			clock: func(c *provider.Config) { c.FirstTokenTimeout = clock },
		},
		"drip": {
			script: providertest.Script{Deltas: words, Repeats: 30, Pace: 20 * time.Millisecond}, code: "PROVIDER_TIMEOUT", partial: true, leaves: true,
			clock: func(c *provider.Config) { c.Timeout = 2 * clock },
		},
	}
}

// What goes wrong is an error on every wire, with what was said so far, and
// never a complete; the vendor's socket is closed, and it is asked once. Each
// case has a provider of its own, so that none rests for another's failures.
func TestWhatGoesWrongIsNeverComplete(t *testing.T) {
	cases := wrongs()
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script { return cases[r.Model].script })
	all := map[string]provider.Config{}
	for _, wire := range wires() {
		for name, wr := range cases {
			c := speaking(v, wire)
			if wr.clock != nil {
				wr.clock(&c)
			}
			all[wire+"-"+name] = c
		}
	}
	w := start(t, wide, entries(all))
	leaves := 0
	named, unnamed := map[string]*peer{}, map[string]*peer{}
	for _, wire := range wires() {
		for name, wr := range cases {
			at := wire + "-" + name
			ask := map[string]any{"provider": at, "model": name}
			unnamed[at] = w.dial("/ws/chat/u-" + at)
			unnamed[at].send(chat(ask))
			ask["id"] = "x"
			named[at] = w.dial("/ws/chat/n-" + at)
			named[at].send(chat(ask))
			if wr.leaves {
				leaves += 2
			}
		}
	}
	for at, c := range named {
		_, name, _ := strings.Cut(at, "-")
		wr := cases[name]
		text, f := c.answer()
		require.Equal(t, []string{"error", wr.code}, []string{f.Type, f.Code}, at+": "+f.Message)
		require.Equal(t, text, f.Partial, at)
		require.Equal(t, wr.partial, text != "", at)
		require.NotContains(t, f.Message, "VENDOR-WORDS")
		plain, f := unnamed[at].answer()
		require.Equal(t, []string{"error", wr.code, ""}, []string{f.Type, f.Code, f.Partial}, at)
		require.Equal(t, wr.partial, plain != "", at)
	}
	v.WaitOpen(t, 0, time.Second)
	v.WaitLeft(t, leaves, time.Second)
	require.Len(t, v.Requests(), 2*len(all))
}

// A system message in the middle of a history, and what comes without one, in
// each vendor's shape.
func TestHistoriesFitEveryWire(t *testing.T) {
	v := providertest.New(t, providertest.Say("ok"))
	w := start(t, wide, everyWire(v))
	shapes := map[string]string{
		provider.TypeOpenAI:    `[{"role":"assistant","content":"hello"},{"role":"system","content":"be brief"},{"role":"user","content":"one"},{"role":"user","content":"q"}]`,
		provider.TypeAnthropic: `[{"role":"assistant","content":"hello"},{"role":"user","content":"one\n\nq"}]`,
		provider.TypeGemini:    `[{"role":"model","parts":[{"text":"hello"}]},{"role":"user","parts":[{"text":"one"},{"text":"q"}]}]`,
	}
	for _, wire := range wires() {
		status, body, _ := w.post("/api/chat", chat(map[string]any{"provider": wire, "messages": []map[string]string{
			{"role": "assistant", "content": "hello"}, {"role": "system", "content": "be brief"}, {"role": "user", "content": "one"},
		}}))
		require.Equal(t, http.StatusOK, status, body)
		asked := v.Requests()[len(v.Requests())-1]
		var sent struct {
			System            string
			Messages          []json.RawMessage
			Contents          json.RawMessage
			SystemInstruction struct{ Parts []struct{ Text string } }
		}
		require.NoError(t, json.Unmarshal(asked.Body, &sent))
		switch wire {
		case provider.TypeAnthropic:
			require.Equal(t, "be brief", sent.System)
			sent.Messages = sent.Messages[1:] // the opening that lets an assistant's word come first
		case provider.TypeGemini:
			require.Equal(t, "be brief", sent.SystemInstruction.Parts[0].Text)
			require.JSONEq(t, shapes[wire], string(sent.Contents))
			continue
		}
		got, err := json.Marshal(sent.Messages)
		require.NoError(t, err)
		require.JSONEq(t, shapes[wire], string(got), wire)
	}
}
