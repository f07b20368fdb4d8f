package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// wide switches the limits off that a test with many clients would meet.
func wide(o *appOptions) {
	o.Config.Limits = limit.Config{}
	o.Config.Pool.MaxPerIP = 0
	o.Config.Pool.MaxConnections = 2000
}

// vendor is a provider of type openai that asks v.
func vendor(v *providertest.Server, keys ...string) provider.Config {
	c := provider.Config{Type: provider.TypeOpenAI, BaseURL: v.URL(), DefaultModel: "gpt-default"}
	for _, k := range keys {
		c.APIKeys = append(c.APIKeys, protocol.NewSecret([]byte(k)))
	}
	return c
}

// asking makes v the vendor of openai.
func asking(v *providertest.Server, keys ...string) func(*appOptions) {
	return with(func(c *config.Config) { c.Providers["openai"] = vendor(v, keys...) })
}

// slowly is an answer that is far from over when the test has seen enough of it.
func slowly(deltas ...string) providertest.Script {
	s := providertest.Say(deltas...)
	s.Stall = 1 + len(deltas) // behind the event that names the role
	return s
}

// mute says nothing, not even headers.
func mute() providertest.Script { return providertest.Script{Stall: -1} }

func TestVendorAnswersAStream(t *testing.T) {
	s := providertest.Say("Hello", " there", "!")
	s.Model = "gpt-as-it-calls-itself"
	v := providertest.New(t, s)
	w := start(t, asking(v, "sk-deployment"))
	c := w.dial("/ws/chat/s1")

	c.send(`{"type":"chat","id":"a","content":"hi","provider":"openai","model":"gpt-x","temperature":0.5,"max_tokens":99999,"system":"be kind"}`)
	run := c.next().RunID
	require.Equal(t, `{"type":"chunk","id":"a","seq":1,"content":"Hello"}`, c.raw())
	require.Equal(t, `{"type":"chunk","id":"a","seq":2,"content":" there"}`, c.raw())
	require.Equal(t, `{"type":"chunk","id":"a","seq":3,"content":"!"}`, c.raw())
	require.Equal(t, `{"type":"complete","id":"a","run_id":"`+run+`","seq":4,"full_response":"Hello there!","finish_reason":"stop",`+
		`"provider":"openai","model":"gpt-as-it-calls-itself","attempts":1,"usage":{"input_tokens":8,"output_tokens":3,"estimated":false}}`, c.raw())

	c.send(`{"type":"chat","content":"mine","provider":"openai","messages":[],"api_keys":{"openai":"sk-of-the-user","other":"sk-unwanted"}}`)
	text, _ := c.answer()
	require.Equal(t, "Hello there!", text)

	asked := v.Requests()
	require.Len(t, asked, 2)
	require.Equal(t, "Bearer sk-deployment", asked[0].Authorization)
	require.Equal(t, "Bearer sk-of-the-user", asked[1].Authorization)
	require.Equal(t, []string{"gpt-x", "gpt-default"}, []string{asked[0].Model, asked[1].Model})
	var body struct {
		Temperature float64                          `json:"temperature"`
		MaxTokens   int                              `json:"max_tokens"`
		Messages    []struct{ Role, Content string } `json:"messages"`
		Stream      bool                             `json:"stream"`
	}
	require.NoError(t, json.Unmarshal(asked[0].Body, &body))
	require.Equal(t, 0.5, body.Temperature)
	require.Equal(t, 8192, body.MaxTokens, "capped by chat.max_tokens")
	require.True(t, body.Stream)
	require.Equal(t, "[{system be kind} {user hi}]", fmt.Sprint(body.Messages))
	for _, r := range asked {
		require.NotContains(t, string(r.Body), "sk-")
	}
	require.NotContains(t, string(asked[1].Body), "deployment")
}

func TestVendorWithTheUsersKeyAlone(t *testing.T) {
	v := providertest.New(t, providertest.Say("yes"))
	w := start(t, asking(v))
	status, body, _ := w.post("/api/chat", `{"content":"q","provider":"openai","api_keys":{"openai":"sk-user"}}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "Bearer sk-user", v.Requests()[0].Authorization)

	bare := start(t) // nobody configured openai
	require.Equal(t, "needs_key", offer(t, bare, "openai").State)
	for _, own := range []string{``, `,"api_keys":{"anthropic":"sk-other"}`} {
		status, body, _ = bare.post("/api/chat", `{"content":"q","provider":"openai"`+own+`}`)
		require.Equal(t, http.StatusUnauthorized, status, body)
		f := parse(t, body)
		require.Equal(t, "PROVIDER_UNAUTHORIZED", f.Code)
		require.Contains(t, f.Message, "api_keys.openai")
		require.Contains(t, f.Message, "OPENAI_API_KEY")
	}
}

// offer reads one entry of GET /api/providers.
func offer(t *testing.T, w *whole, name string) protocol.Offer {
	t.Helper()
	_, body, _ := w.get("/api/providers")
	var list struct{ Providers []protocol.Offer }
	require.NoError(t, json.Unmarshal([]byte(body), &list), body)
	for _, o := range list.Providers {
		if o.Name == name {
			return o
		}
	}
	t.Fatalf("no provider %s in %s", name, body)
	return protocol.Offer{}
}

func TestCancelClosesTheVendor(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "mute" {
			return mute()
		}
		return slowly("some", " text")
	})
	w := start(t, asking(v, "sk-1"))
	c := w.dial("/ws/chat/s1")
	gone := 0
	for _, model := range []string{"mute", "talks"} {
		for _, id := range []string{"", `"id":"` + model + `",`} {
			c.send(`{"type":"chat",` + id + `"content":"q","provider":"openai","model":"` + model + `"}`)
			v.WaitOpen(t, 1, 5*time.Second)
			want := ""
			if model == "talks" {
				for want != "some text" {
					if f := c.next(); f.Type == "chunk" {
						want += f.Content
					}
				}
			}
			at := time.Now()
			c.send(`{"type":"cancel"}`)
			gone++
			v.WaitLeft(t, gone, time.Second)
			v.WaitOpen(t, 0, time.Second)
			f := c.next()
			for ; !f.terminal(); f = c.next() {
				require.NotEqual(t, "chunk", f.Type)
			}
			require.Less(t, time.Since(at), time.Second)
			require.Equal(t, []string{"cancelled", want}, []string{f.Type, f.FullResponse}, model+id)
		}
	}
}

func TestVendorIsLeftWithItsClient(t *testing.T) {
	for name, script := range map[string]providertest.Script{"before the first token": mute(), "mid-stream": slowly("some")} {
		t.Run(name, func(t *testing.T) {
			v := providertest.New(t, script)
			w := start(t, asking(v, "sk-1"), with(func(c *config.Config) { c.Runs.Grace = time.Hour }))

			c := w.dial("/ws/chat/s1")
			c.send(`{"type":"chat","content":"q","provider":"openai"}`)
			v.WaitOpen(t, 1, 5*time.Second)
			c.CloseNow()
			v.WaitLeft(t, 1, time.Second)

			c = w.dial("/ws/chat/s1")
			c.send(`{"type":"chat","id":"n","on_disconnect":"cancel","content":"q","provider":"openai"}`)
			v.WaitOpen(t, 1, 5*time.Second)
			c.CloseNow()
			v.WaitLeft(t, 2, time.Second)

			for i, accept := range []string{"application/json", "text/event-stream"} {
				ctx, cancel := context.WithCancel(t.Context())
				over := w.postAsync(ctx, accept, `{"content":"q","provider":"openai"}`)
				v.WaitOpen(t, 1, 5*time.Second)
				cancel()
				v.WaitLeft(t, 3+i, time.Second)
				<-over
			}
		})
	}
}

// postAsync asks over HTTP until ctx ends; the channel closes when it is over.
func (w *whole) postAsync(ctx context.Context, accept, body string) <-chan struct{} {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http("/api/chat"), strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	return over
}

func TestGraceKeepsTheVendorForANamedTurn(t *testing.T) {
	const grace = 400 * time.Millisecond
	v := providertest.New(t, slowly("some"))
	w := start(t, asking(v, "sk-1"), with(func(c *config.Config) { c.Runs.Grace = grace }))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"q","provider":"openai"}`)
	run := c.next().RunID
	require.Equal(t, "chunk", c.next().Type)
	c.CloseNow()

	back := w.dial("/ws/chat/s1") // within the grace: the run goes on
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, []string{"snapshot", "some"}, firstTwo(back.next()))
	at := time.Now()
	back.CloseNow()
	v.WaitLeft(t, 1, grace+2*time.Second)
	require.GreaterOrEqual(t, time.Since(at), grace)
	require.Len(t, v.Requests(), 1)

	again := w.dial("/ws/chat/s1")
	again.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, "snapshot", again.next().Type)
	last := again.next()
	require.Equal(t, []string{"cancelled", "some"}, []string{last.Type, last.FullResponse})
}

func TestContinueNeedsNobody(t *testing.T) {
	s := providertest.Say("a ", "b ", "c")
	s.Before, s.Pace = 100*time.Millisecond, 10*time.Millisecond
	v := providertest.New(t, s)
	w := start(t, asking(v, "sk-1"), with(func(c *config.Config) { c.Runs.Grace = 0 }))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","id":"n","content":"q","provider":"openai","on_disconnect":"continue"}`)
	run := c.next().RunID
	c.CloseNow()
	require.Eventually(t, func() bool {
		return w.metric(`troupe_runs_total{outcome="complete",provider="openai"}`) == "1"
	}, 5*time.Second, 5*time.Millisecond)
	require.Zero(t, v.Left())
	back := w.dial("/ws/chat/s1")
	back.send(`{"type":"resume","run_id":"` + run + `"}`)
	require.Equal(t, []string{"snapshot", "a b c"}, firstTwo(back.next()))
	require.Equal(t, "complete", back.next().Type)
}

func firstTwo(f said) []string { return []string{f.Type, f.Content} }

func TestVendorClocks(t *testing.T) {
	const clock = 250 * time.Millisecond
	dripping := providertest.Script{Deltas: []string{"drip "}, Repeats: 1000, Pace: 20 * time.Millisecond}
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		return map[string]providertest.Script{"mute": mute(), "stalls": slowly("one ", "two"), "drips": dripping}[r.Model]
	})
	first, stall, whole := vendor(v), vendor(v), vendor(v)
	first.FirstTokenTimeout, stall.StallTimeout, whole.Timeout = clock, clock, clock
	w := start(t, with(func(c *config.Config) {
		c.Providers["first"], c.Providers["stall"], c.Providers["whole"] = first, stall, whole
	}))
	c := w.dial("/ws/chat/s1")
	left := 0
	for _, tt := range []struct{ provider, model, partial string }{
		{"first", "mute", ""},
		{"stall", "stalls", "one two"},
		{"whole", "drips", "drip "},
		{"whole", "mute", ""},
	} {
		at := time.Now()
		c.send(`{"type":"chat","id":"` + tt.provider + tt.model + `","content":"q","provider":"` + tt.provider + `","model":"` + tt.model + `"}`)
		text, f := c.answer()
		took := time.Since(at)
		left++
		v.WaitLeft(t, left, time.Second)
		require.Equal(t, "PROVIDER_TIMEOUT", f.Code, tt)
		require.Equal(t, text, f.Partial)
		require.True(t, strings.HasPrefix(text, tt.partial), text)
		require.GreaterOrEqual(t, took, clock)
		require.Less(t, took, clock+time.Second)
	}
	status, body, _ := w.post("/api/chat", `{"content":"q","provider":"first","model":"mute"}`)
	require.Equal(t, http.StatusGatewayTimeout, status, body)
	require.Equal(t, "PROVIDER_TIMEOUT", parse(t, body).Code)
}

// Comments and reasoning are progress: a model that thinks is not silent.
func TestThinkingIsNoSilence(t *testing.T) {
	v := providertest.New(t, providertest.Script{
		Reasoning: strings.Split("a b c d e f g h i j k l", " "), Deltas: []string{"done"}, Pace: 60 * time.Millisecond,
	})
	p := vendor(v)
	p.FirstTokenTimeout, p.StallTimeout = 400*time.Millisecond, 400*time.Millisecond
	w := start(t, with(func(c *config.Config) { c.Providers["openai"] = p }))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"q","provider":"openai"}`)
	text, f := c.answer()
	require.Equal(t, []string{"done", "complete"}, []string{text, f.Type}, f.Message)
}

func TestWhatBreaksOffIsNeverComplete(t *testing.T) {
	scripts := map[string]providertest.Script{
		"cut":      {Deltas: []string{"some ", "text ", "that ", "breaks"}, Cut: 900},
		"at-once":  {Deltas: []string{"never said"}, Cut: -1},
		"no-done":  {Deltas: []string{"whole text"}, NoDone: true},
		"error-in": {Deltas: []string{"some "}, Error: providertest.ErrorObject("VENDOR-BODY", "x", "y")},
	}
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script { return scripts[r.Model] })
	for model := range scripts {
		w := start(t, asking(v, "sk-1")) // one each: a vendor that breaks off often is left alone
		c := w.dial("/ws/chat/s1")
		c.send(`{"type":"chat","id":"` + model + `","content":"q","provider":"openai","model":"` + model + `"}`)
		text, f := c.answer()
		require.Equal(t, []string{"error", "PROVIDER_INTERRUPTED"}, []string{f.Type, f.Code}, model)
		require.Equal(t, text, f.Partial, model)
		if model != "at-once" {
			require.NotEmpty(t, text, model)
		}
		require.NotContains(t, f.Message, "VENDOR-BODY")

		c.send(`{"type":"chat","content":"q","provider":"openai","model":"` + model + `"}`)
		var raw string
		for raw = c.raw(); strings.HasPrefix(raw, `{"type":"chunk"`); raw = c.raw() {
		}
		require.Regexp(t, `^\{"type":"error","message":"[^"]+","code":"PROVIDER_INTERRUPTED"\}$`, raw)

		status, body, _ := w.post("/api/chat", `{"content":"q","provider":"openai","model":"`+model+`"}`)
		require.Equal(t, http.StatusBadGateway, status, body)
	}
}

func TestVendorStatuses(t *testing.T) {
	const mark = "VENDOR-BODY-MARK"
	wait := http.Header{"Retry-After": {"7"}}
	object := func(message, kind, code string) string { return providertest.ErrorObject(mark+" "+message, kind, code) }
	tests := []struct {
		model  string
		script providertest.Script
		code   string
		http   int
		retry  int
	}{
		{"m400", providertest.Script{Status: 400, Body: object("bad", "invalid_request_error", "")}, "PROVIDER_REJECTED", 422, 0},
		{"m401", providertest.Script{Status: 401, Body: object("no", "invalid_request_error", "invalid_api_key")}, "PROVIDER_UNAUTHORIZED", 401, 0},
		{"m402", providertest.Script{Status: 402, Body: object("pay", "", "")}, "PROVIDER_UNAUTHORIZED", 401, 0},
		{"m403", providertest.Script{Status: 403, Body: object("no", "", "")}, "PROVIDER_UNAUTHORIZED", 401, 0},
		{"m404", providertest.Script{Status: 404, Body: object("nothing here", "", "")}, "PROVIDER_REJECTED", 422, 0},
		{"m404m", providertest.Script{Status: 404, Body: object("no", "", "model_not_found")}, "UNKNOWN_MODEL", 400, 0},
		{"m408", providertest.Script{Status: 408, Body: mark}, "PROVIDER_UNAVAILABLE", 502, 0},
		{"m413", providertest.Script{Status: 413, Body: mark}, "PROVIDER_REJECTED", 422, 0},
		{"m429", providertest.Script{Status: 429, Header: wait, Body: object("slow down", "", "")}, "PROVIDER_RATE_LIMITED", 429, 7},
		{"m429n", providertest.Script{Status: 429, Body: object("slow down", "", "")}, "PROVIDER_RATE_LIMITED", 429, 5},
		{"m429q", providertest.Script{Status: 429, Body: object("", "insufficient_quota", "insufficient_quota")}, "PROVIDER_RATE_LIMITED", 429, 0},
		{"m500", providertest.Script{Status: 500, Body: object("oops", "", "")}, "PROVIDER_UNAVAILABLE", 502, 0},
		{"m503", providertest.Script{Status: 503, Header: wait, Body: mark}, "PROVIDER_UNAVAILABLE", 502, 7},
		{"m529", providertest.Script{Status: 529, Body: object("overloaded", "overloaded_error", "")}, "PROVIDER_UNAVAILABLE", 502, 5},
		{"html", providertest.Script{Status: 502, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<h1>" + mark}, "PROVIDER_UNAVAILABLE", 502, 0},
		{"long", providertest.Script{Status: 400, Body: object("maximum context length is 8", "", "context_length_exceeded")}, "PROVIDER_REJECTED", 422, 0},
		{"filter", providertest.Script{Deltas: []string{"some"}, Finish: "content_filter"}, "PROVIDER_REJECTED", 422, 0},
		{"moved", providertest.Script{Status: 307, Header: http.Header{"Location": {"http://127.0.0.1:1/elsewhere"}}, Body: mark}, "PROVIDER_UNAVAILABLE", 502, 0},
	}
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		for _, tt := range tests {
			if tt.model == r.Model {
				return tt.script
			}
		}
		return providertest.Say("fine")
	})
	for _, tt := range tests {
		w := start(t, wide, asking(v, "sk-1")) // one each, and a user's key: what is refused is left alone
		c := w.dial("/ws/chat/s1")
		question := `"content":"q","provider":"openai","api_keys":{"openai":"sk-2"},"model":"` + tt.model + `"}`
		c.send(`{"type":"chat","id":"` + tt.model + `",` + question)
		var raw string
		for raw = c.raw(); !parse(t, raw).terminal(); raw = c.raw() {
		}
		f := parse(t, raw)
		require.Equal(t, []string{"error", tt.code}, []string{f.Type, f.Code}, tt.model+": "+raw)
		require.Equal(t, tt.retry, f.RetryAfter, tt.model)
		require.NotContains(t, raw, mark)

		status, body, header := w.post("/api/chat", `{`+question)
		require.Equal(t, tt.http, status, tt.model+": "+body)
		require.NotContains(t, body, mark)
		want := ""
		if tt.retry > 0 {
			want = strconv.Itoa(tt.retry)
		}
		require.Equal(t, want, header.Get("Retry-After"), tt.model)
		c.send(`{"type":"chat","content":"echo is well"}`)
		text, _ := c.answer()
		require.Equal(t, "echo is well", text, "the socket is none the worse for it")
	}
	v.WaitOpen(t, 0, time.Second)
}
