package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/bus/natsproc"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// otlp is a collector of traces, as small as one can be.
type otlp struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request) bool // true: it took the request
	spans  []roleSpan
	bodies []byte
	asked  int
}

// roleSpan is a span and the role of the process that it came from.
type roleSpan struct {
	*tracepb.Span
	role string
}

func newOTLP(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) *otlp {
	t.Helper()
	o := &otlp{t: t, answer: answer}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

// ServeHTTP implements http.Handler.
func (o *otlp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.asked++
	o.mu.Unlock()
	if o.answer != nil && !o.answer(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Tenant") != "one" || proto.Unmarshal(body, &data) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bodies = append(o.bodies, body...)
	for _, rs := range data.GetResourceSpans() {
		role := attrOf(rs.GetResource().GetAttributes(), "troupe.role")
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				o.spans = append(o.spans, roleSpan{s, role})
			}
		}
	}
}

func attrOf(attrs []*commonpb.KeyValue, key string) string {
	for _, a := range attrs {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

func (o *otlp) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// trace is the one span of each name in a trace, once all names are there.
func (o *otlp) trace(id string, names ...string) map[string]roleSpan {
	o.t.Helper()
	var out map[string]roleSpan
	require.Eventually(o.t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		out = map[string]roleSpan{}
		for _, s := range o.spans {
			if hex.EncodeToString(s.GetTraceId()) == id {
				out[s.GetName()] = s
			}
		}
		for _, name := range names {
			if out[name].Span == nil {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond, "%v of trace %s", names, id)
	require.Len(o.t, out, len(names))
	return out
}

// traces sends a process's spans to a collector.
func traces(to string) func(*appOptions) {
	return with(func(c *config.Config) {
		c.Traces.Endpoint, c.Traces.Clients = to, true
		c.Traces.Headers = []protocol.Secret{protocol.NewSecret([]byte("X-Tenant: one"))}
		c.Traces.Timeout = 300 * time.Millisecond
	})
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-01"
)

func allSpans() []string {
	return []string{
		"troupe.connection", "troupe.chat", "troupe.dispatch", "troupe.run", "provider.call", "provider.first_token", "provider.stream",
	}
}

// chain checks the parents of one trace and on which side its spans were made.
func chain(t *testing.T, got map[string]roleSpan, gateway, worker string) {
	t.Helper()
	for child, wanted := range map[string]string{
		"troupe.dispatch": "troupe.chat", "troupe.run": "troupe.dispatch", "provider.call": "troupe.run",
		"provider.first_token": "provider.call", "provider.stream": "provider.call",
	} {
		require.Equal(t, got[wanted].GetSpanId(), got[child].GetParentSpanId(), "%s is not under %s", child, wanted)
	}
	for name, s := range got {
		role := worker
		if name == "troupe.connection" || name == "troupe.chat" || name == "troupe.dispatch" {
			role = gateway
		}
		require.Equal(t, role, s.role, name)
		require.GreaterOrEqual(t, s.GetEndTimeUnixNano(), s.GetStartTimeUnixNano())
	}
}

// TestTraceInOneProcess: a trace that a client began goes on to the vendor, on
// both doors.
func TestTraceInOneProcess(t *testing.T) {
	o := newOTLP(t, nil)
	w := start(t, traces(o.URL))
	c := w.dial("/ws/chat/canary-s", "traceparent", parent)
	c.send(`{"type":"chat","id":"canary-1","content":"canary one two","model":"echo-1ms"}`)
	_, last := c.answer()
	require.Equal(t, "complete", last.Type)
	got := o.trace(traceID, allSpans()...)
	chain(t, got, roleServe, roleServe)
	require.Equal(t, "00f067aa0ba902b7", hex.EncodeToString(got["troupe.chat"].GetParentSpanId()))
	require.Equal(t, "00f067aa0ba902b7", hex.EncodeToString(got["troupe.connection"].GetParentSpanId()))

	other := strings.Replace(parent, "4bf9", "5bf9", 1)
	c.send(fmt.Sprintf(`{"type":"chat","id":"canary-2","content":"canary","model":"canary","traceparent":%q,"api_keys":{"echo":"sk-canary"}}`, other))
	_, last = c.answer()
	require.Equal(t, "error", last.Type)
	require.Equal(t, "UNKNOWN_MODEL", attrOf(o.trace(other[3:35], "troupe.chat", "troupe.dispatch", "troupe.run")["troupe.chat"].GetAttributes(), "troupe.code"))

	third := strings.Replace(parent, "4bf9", "6bf9", 1)
	status, _, _ := w.post("/api/chat", `{"content":"canary"}`, "traceparent", third)
	require.Equal(t, http.StatusOK, status)
	got = o.trace(third[3:35], allSpans()...)
	chain(t, got, roleServe, roleServe)
	require.Equal(t, got["troupe.connection"].GetSpanId(), got["troupe.chat"].GetParentSpanId(), "one exchange")

	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotContains(t, string(o.bodies), "canary")
	require.NotContains(t, string(o.bodies), last.RunID)
	require.NotContains(t, string(o.bodies), "127.0.0.1")
	require.NotEqual(t, "0", w.metric(`troupe_trace_spans_total{result="exported"}`))
	require.Equal(t, "0", w.metric(`troupe_trace_spans_total{result="dropped"}`))
}

// TestTraceHostileClients: what is no traceparent is as none.
func TestTraceHostileClients(t *testing.T) {
	o := newOTLP(t, nil)
	w := start(t, traces(o.URL))
	for _, bad := range []string{"x", parent + "0", strings.ToUpper(parent), "00-" + strings.Repeat("0", 32) + parent[35:], strings.Repeat("a", 4000)} {
		c := w.dial("/ws/chat/s", "traceparent", bad)
		c.send(fmt.Sprintf(`{"type":"chat","id":"1","content":"hi","traceparent":%q}`, bad))
		_, last := c.answer()
		require.Equal(t, "complete", last.Type)
	}
	twice := w.dial("/ws/chat/s", "traceparent", parent, "traceparent", parent)
	twice.send(`{"type":"chat","id":"1","content":"hi","traceparent":""}`)
	_, last := twice.answer()
	require.Equal(t, "complete", last.Type)
	require.NoError(t, w.traces.Flush(t.Context()))
	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotEmpty(t, o.spans)
	for _, s := range o.spans {
		require.NotEqual(t, traceID, hex.EncodeToString(s.GetTraceId()))
		if s.GetName() == "troupe.chat" || s.GetName() == "troupe.connection" {
			require.Empty(t, s.GetParentSpanId())
		}
	}
}

// TestTraceThroughAFleet: gateway and worker are two sides of a real NATS.
func TestTraceThroughAFleet(t *testing.T) {
	s, err := natsproc.Start(t.Context(), natsproc.Options{Dir: t.TempDir(), Name: "traces"})
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	side := func(role string) func(*appOptions) {
		return func(a *appOptions) { a.Role, a.Config.Bus.URL = role, s.URL() }
	}
	o := newOTLP(t, nil)
	worker := start(t, side(roleWorker), traces(o.URL))
	w := start(t, side(roleGateway), traces(o.URL))
	w.knows(1)
	c := w.dial("/ws/chat/s", "traceparent", parent)
	c.send(`{"type":"chat","id":"1","content":"one two"}`)
	c.answer()
	chain(t, o.trace(traceID, allSpans()...), roleGateway, roleWorker)

	c.send(`{"type":"chat","id":"2","content":"not kept","traceparent":"` + strings.TrimSuffix(parent, "01") + `00"}`)
	c.answer()
	require.NoError(t, w.traces.Flush(t.Context()))
	require.NoError(t, worker.traces.Flush(t.Context()))
	o.trace(traceID, allSpans()...)
}

// TestTraceCollectorAway: whatever the collector does, chat goes on, one line
// says so, and the end does not wait.
func TestTraceCollectorAway(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"down": nil,
		"hangs": func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body) // else the server would not notice that nobody waits
			<-r.Context().Done()
			return false
		},
		"says 500": func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return false },
		"says 503": func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return false },
		"cuts":     func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"sends it on": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOTLP(t, answer)
			if name == "down" {
				o.Close()
			}
			w := start(t, wide, traces(o.URL), with(func(c *config.Config) { c.Traces.Queue = 8 }))
			c := w.dial("/ws/chat/s")
			for i := range 10 {
				c.send(fmt.Sprintf(`{"type":"chat","id":"%d","content":"one two","model":"echo-1ms"}`, i))
				_, last := c.answer()
				require.Equal(t, "complete", last.Type)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			require.Error(t, w.traces.Flush(ctx))
			if name != "down" {
				require.Positive(t, o.requests())
			}
			_ = w.traces.Flush(ctx)
			require.Len(t, w.logged("Traces cannot be exported: chat goes on, spans are dropped when traces.queue is full"), 1)
			require.NotContains(t, w.log.String(), "X-Tenant")
			require.Equal(t, "0", w.metric(`troupe_trace_spans_total{result="exported"}`))
			began := time.Now()
			w.stop(t.Context())
			require.Less(t, time.Since(began), time.Second)
		})
	}
}

// TestTraceLeavesWithTheProcess: what ended before SIGTERM is exported, though
// the batch had not waited long enough.
func TestTraceLeavesWithTheProcess(t *testing.T) {
	o := newOTLP(t, nil)
	s := bustest.Server(t)
	binary := compiled(t)
	more := []string{"--traces.endpoint=" + o.URL, "--traces.clients=true", "--traces.headers=X-Tenant: one"}
	worker := launch(t, binary, roleWorker, s, more...)
	gateway := launch(t, binary, roleGateway, s, more...)
	until(t, "the gateway knows the worker", func() bool { return gateway.workers() == 1 })
	c := gateway.dial("/ws/chat/s")
	c.send(`{"type":"chat","id":"1","content":"one","model":"echo-1ms","traceparent":"` + parent + `"}`)
	c.answer()
	for _, p := range []*process{gateway, worker} {
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	}
	require.Zero(t, gateway.ended(10*time.Second))
	require.Zero(t, worker.ended(10*time.Second))
	chain(t, o.trace(traceID, allSpans()[1:]...), roleGateway, roleWorker)
}
