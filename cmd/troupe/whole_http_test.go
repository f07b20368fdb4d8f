package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
)

// sse is one event as it was on the wire.
type sse struct{ event, id, data string }

// events reads a whole stream.
func events(t *testing.T, body string) (out []sse) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		var e sse
		for line := range strings.SplitSeq(block, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			require.True(t, ok || line == ":", "%q", line)
			switch name {
			case "event":
				e.event = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			}
		}
		if e != (sse{}) {
			out = append(out, e)
		}
	}
	return out
}

func keys(t *testing.T, body string) []string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &m), body)
	return slices.Sorted(maps.Keys(m))
}

func TestHTTPAnswer(t *testing.T) {
	w := start(t)
	status, body, header := w.post("/api/chat", `{"session_id":"s1","id":"q","content":"one two","model":"echo-0s"}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "application/json; charset=utf-8", header.Get("Content-Type"))
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, []string{"attempts", "finish_reason", "full_response", "id", "model", "provider", "run_id", "seq", "session_id", "type", "usage"}, keys(t, body))
	f := parse(t, body)
	require.Equal(t, []string{"complete", "q", "one two", "stop", "echo", "echo-0s", "s1"},
		[]string{f.Type, f.ID, f.FullResponse, f.FinishReason, f.Provider, f.Model, f.SessionID})
	require.Equal(t, 2, f.Usage.OutputTokens)

	_, body, _ = w.post("/api/chat", `{"content":"one two","model":"echo-0s"}`)
	require.Equal(t, []string{"attempts", "finish_reason", "full_response", "model", "provider", "run_id", "seq", "session_id", "type", "usage"}, keys(t, body))
	require.NotEmpty(t, parse(t, body).SessionID)
	_, body, _ = w.post("/api/chat", `{"product_id":"11","content":"one two","model":"echo-0s"}`)
	require.Equal(t, "one two", parse(t, body).FullResponse)
}

func TestHTTPStreamAndItsResume(t *testing.T) {
	w := start(t)
	status, body, header := w.post("/api/chat", `{"session_id":"s1","id":"q","content":"one two three"}`, "Accept", "text/event-stream")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"text/event-stream", "no-store", "no"},
		[]string{header.Get("Content-Type"), header.Get("Cache-Control"), header.Get("X-Accel-Buffering")})
	stream := events(t, body)
	require.Len(t, stream, 5)
	run := parse(t, stream[0].data).RunID
	for i, want := range []string{"accepted", "chunk", "chunk", "chunk", "complete"} {
		require.Equal(t, want, stream[i].event)
		require.Equal(t, want, parse(t, stream[i].data).Type, "event is the frame's type")
		require.Equal(t, run+":"+strconv.Itoa(i), stream[i].id)
	}
	require.Equal(t, `{"type":"chunk","id":"q","seq":2,"content":"two "}`, stream[2].data)
	require.Equal(t, "one two three", parse(t, stream[4].data).FullResponse)

	for after, want := range map[int]string{0: "one two three", 1: "two three", 3: ""} {
		status, body, _ = w.post("/api/chat", `{"session_id":"s1"}`, "Accept", "text/event-stream", "Last-Event-ID", fmt.Sprint(run, ":", after))
		require.Equal(t, http.StatusOK, status, body)
		again := events(t, body)
		require.Equal(t, []string{"snapshot", "complete"}, []string{again[0].event, again[1].event})
		require.Equal(t, want, parse(t, again[0].data).Content)
		require.Equal(t, run+":3", again[0].id)
	}
	for _, bad := range []struct {
		last, session, code string
		status              int
	}{
		{run + ":1", "s2", "RUN_NOT_FOUND", 404},
		{"unknown:1", "s1", "RUN_NOT_FOUND", 404},
		{run + ":99", "s1", "INVALID_MESSAGE", 400},
		{"nonsense", "s1", "INVALID_MESSAGE", 400},
	} {
		status, body, _ = w.post("/api/chat", `{"session_id":"`+bad.session+`"}`, "Accept", "text/event-stream", "Last-Event-ID", bad.last)
		require.Equal(t, bad.status, status, body)
		require.Equal(t, bad.code, parse(t, body).Code)
	}
}

// A named run whose SSE reader was lost goes on; its reader picks up where it
// was.
func TestHTTPStreamResumedMidway(t *testing.T) {
	w := start(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	lines := w.stream(ctx, `{"session_id":"s1","id":"q","content":"word","model":"echo-20ms-40w"}`)
	var last string
	var got strings.Builder
	for n := 0; n < 5; {
		line, ok := <-lines
		require.True(t, ok)
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			last = id
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			got.WriteString(parse(t, data).Content)
			n++
		}
	}
	leave()
	status, body, _ := w.post("/api/chat", `{"session_id":"s1"}`, "Accept", "text/event-stream", "Last-Event-ID", last)
	require.Equal(t, http.StatusOK, status, body)
	var end said
	for _, e := range events(t, body) {
		end = parse(t, e.data)
		got.WriteString(end.Content)
	}
	require.Equal(t, "complete", end.Type)
	require.Equal(t, end.FullResponse, got.String())
	require.Len(t, strings.Fields(got.String()), 40)
}

// stream posts a question and delivers the lines of the answer; the channel
// closes at its end.
func (w *whole) stream(ctx context.Context, body string) <-chan string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http("/api/chat"), strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { resp.Body.Close() })
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

func TestHTTPClientLeaves(t *testing.T) {
	w := start(t)
	for name, tt := range map[string]struct{ accept, model string }{
		"between two chunks": {"text/event-stream", "echo-10s-2w"},
		"mid-stream":         {"text/event-stream", "echo-20ms-5000w"},
		"JSON":               {"application/json", "echo-20ms-5000w"},
	} {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http("/api/chat"), strings.NewReader(`{"content":"word","model":"`+tt.model+`"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", tt.accept)
		over := make(chan error, 1)
		go func() {
			resp, err := http.DefaultClient.Do(r)
			if err == nil {
				_, err = bufio.NewReader(resp.Body).ReadString('\x00') // to the end
				resp.Body.Close()
			}
			over <- err
		}()
		until(t, name, func() bool { return w.worker.actors.Active() == 1 && w.status().Runs.Active == 1 })
		left := time.Now()
		leave()
		require.ErrorIs(t, <-over, context.Canceled)
		until(t, name, func() bool { return w.worker.actors.Active() == 0 })
		require.Less(t, time.Since(left), time.Second, name)
	}
	w.quiet(0)
	until(t, "counted", func() bool { return w.metric(`troupe_runs_total{outcome="cancelled",provider="echo"}`) == "3" })
}

func TestHTTPRefusals(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Products = map[string]actors.Product{"11": {}}
		c.Limits.Sessions.Max = 0
		c.WebSocket.MaxMessageBytes = 4096
	}))
	for name, tt := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no JSON":            {`{`, 400, "INVALID_MESSAGE"},
		"no object":          {`[]`, 400, "INVALID_MESSAGE"},
		"empty":              {``, 400, "INVALID_MESSAGE"},
		"no content":         {`{"session_id":"s1"}`, 400, "INVALID_MESSAGE"},
		"wrong type":         {`{"content":5}`, 400, "INVALID_MESSAGE"},
		"deep":               {`{"content":"x","messages":` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `}`, 400, "INVALID_MESSAGE"},
		"too big":            {`{"content":"` + strings.Repeat("x", 5000) + `"}`, 413, "MESSAGE_TOO_BIG"},
		"session":            {`{"session_id":"a b","content":"x"}`, 400, "INVALID_SESSION"},
		"product":            {`{"product_id":"<b>","content":"x"}`, 400, "INVALID_PRODUCT"},
		"product, not there": {`{"product_id":"12","content":"x"}`, 404, "PRODUCT_NOT_FOUND"},
		"provider":           {`{"provider":"nobody","content":"x"}`, 400, "UNKNOWN_PROVIDER"},
		"model":              {`{"model":"gpt","content":"x"}`, 400, "UNKNOWN_MODEL"},
		"key":                {`{"provider":"openai","content":"x"}`, 401, "PROVIDER_UNAUTHORIZED"},
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			status, body, header := w.post("/api/chat", tt.body, "Accept", accept)
			f := parse(t, firstObject(t, body))
			require.Equal(t, []string{"error", tt.code}, []string{f.Type, f.Code}, "%s: %s", name, body)
			require.NotEmpty(t, f.Message)
			if strings.HasPrefix(header.Get("Content-Type"), "text/event-stream") {
				require.Contains(t, []string{"UNKNOWN_MODEL", "PROVIDER_UNAUTHORIZED"}, tt.code, "only what a run found out comes after its accept")
				continue
			}
			require.Equal(t, tt.status, status, "%s: %s", name, body)
		}
	}
	for path, method := range map[string]string{"/api/chat": "GET", "/api/chat/x/cancel": "PUT", "/api/health": "POST", "/api/providers": "DELETE", "/livez": "POST"} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.http(path), nil)
		require.NoError(t, err)
		status, body, header := w.do(r)
		require.Equal(t, http.StatusMethodNotAllowed, status, path)
		require.Equal(t, "INVALID_MESSAGE", parse(t, body).Code)
		require.NotEmpty(t, header.Get("Allow"))
	}
	for _, path := range []string{"/nothing", "/api/chat/", "/api/", "/ws/chat", "/ws/chat/customer/1/2/3", "/api/chat/../debug", "//livez"} {
		status, body, _ := w.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.Equal(t, "error", parse(t, body).Type)
	}
	for _, kind := range []string{"text/plain", "", "application/jsonp", "multipart/form-data; boundary=x"} {
		status, body, _ := w.post("/api/chat", `{"content":"x"}`, "Content-Type", kind)
		require.Equal(t, http.StatusUnsupportedMediaType, status, kind)
		require.Contains(t, body, "application/json")
	}
	status, _, _ := w.post("/api/chat", `{"content":"x","model":"echo-0s"}`, "Content-Type", "application/json; charset=utf-8")
	require.Equal(t, http.StatusOK, status)
}

// firstObject is the body, or the data of its last event.
func firstObject(t *testing.T, body string) string {
	t.Helper()
	if strings.HasPrefix(body, "{") {
		return body
	}
	stream := events(t, body)
	return stream[len(stream)-1].data
}

// A gateway alone says what it lacks, and when to try again.
func TestGatewayAlone(t *testing.T) {
	nats := bustest.Server(t)
	w := start(t, func(o *appOptions) { o.Role = roleGateway }, with(func(c *config.Config) { c.Bus.URL = nats.URL() }))
	for _, provider := range []string{"echo", "openai"} {
		status, body, header := w.post("/api/chat", `{"content":"x","provider":"`+provider+`"}`)
		require.Equal(t, http.StatusServiceUnavailable, status, body)
		f := parse(t, body)
		require.Equal(t, "NO_WORKERS", f.Code)
		require.Equal(t, strconv.Itoa(f.RetryAfter), header.Get("Retry-After"))
		require.Positive(t, f.RetryAfter)
	}
	status, body, _ := w.post("/api/chat", `{"content":"x","provider":"nobody"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "UNKNOWN_PROVIDER", parse(t, body).Code)
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"x"}`)
	require.Equal(t, "NO_WORKERS", c.next().Code)
	c.admitted() // the socket stays open
	status, body, _ = w.get("/api/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"workers":0`)
	_, body, _ = w.get("/api/providers")
	require.JSONEq(t, `{"providers":[]}`, body)

	nats.Kill()
	until(t, "the bus is seen to be down", func() bool { return w.gateway.actors.Health().Bus == "down" })
	status, body, header := w.post("/api/chat", `{"content":"x"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "BUS_UNAVAILABLE", parse(t, body).Code)
	require.NotEmpty(t, header.Get("Retry-After"))
	nats.Start()
	began := time.Now()
	until(t, "the bus is back", func() bool { return w.gateway.actors.Health().Bus == "ok" })
	require.Less(t, time.Since(began), time.Second)
	c.send(`{"type":"chat","content":"x"}`)
	require.Equal(t, "NO_WORKERS", c.next().Code)
}

func TestProvidersList(t *testing.T) {
	w := start(t)
	_, body, _ := w.get("/api/providers")
	var list struct {
		Providers []map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	require.Len(t, list.Providers, 4)
	for i, want := range [][]any{
		{"anthropic", false, "needs_key"}, {"echo", true, "ready"}, {"gemini", false, "needs_key"}, {"openai", false, "needs_key"},
	} {
		p := list.Providers[i]
		require.Equal(t, want, []any{p["name"], p["default"], p["state"]})
		require.EqualValues(t, 1, p["workers"])
	}
}
