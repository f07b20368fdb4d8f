package actors

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// traced makes a plan whose spans are recorded and whose clients are trusted.
func traced(p *plan) *tracetest.SpanRecorder {
	r := tracetest.NewSpanRecorder()
	config := trace.Default()
	config.Clients = true
	p.trace = trace.Into(r, trace.Options{Config: config, Role: "test", Version: "test"})
	return r
}

// spansOf are the ended spans of one name, in the order of their ends.
func spansOf(r *tracetest.SpanRecorder, name string) (out []sdk.ReadOnlySpan) {
	for _, s := range r.Ended() {
		if s.Name() == name {
			out = append(out, s)
		}
	}
	return out
}

func theSpan(t *testing.T, r *tracetest.SpanRecorder, name string) sdk.ReadOnlySpan {
	t.Helper()
	all := spansOf(r, name)
	require.Len(t, all, 1, "%s in %s", name, names(r))
	return all[0]
}

func names(r *tracetest.SpanRecorder) (out []string) {
	for _, s := range r.Ended() {
		out = append(out, s.Name())
	}
	return out
}

// attr is what a span says under a key; nil where it says nothing.
func attr(s sdk.ReadOnlySpan, key string) any {
	for _, a := range s.Attributes() {
		if a.Key == attribute.Key(key) {
			return a.Value.AsInterface()
		}
	}
	return nil
}

func under(t *testing.T, parent, child sdk.ReadOnlySpan) {
	t.Helper()
	require.Equal(t, parent.SpanContext().TraceID(), child.SpanContext().TraceID(), "%s is in another trace", child.Name())
	require.Equal(t, parent.SpanContext().SpanID(), child.Parent().SpanID(), "%s is not under %s", child.Name(), parent.Name())
}

// allEnded checks that no span was left open.
func allEnded(t *testing.T, r *tracetest.SpanRecorder) {
	t.Helper()
	ended := map[string]int{}
	for _, s := range r.Ended() {
		ended[s.SpanContext().SpanID().String()]++
	}
	for _, s := range r.Started() {
		require.Equal(t, 1, ended[s.SpanContext().SpanID().String()], "%s was started and not ended once", s.Name())
	}
}

const clientTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceOfAQuestion: one trace from the client through both sides.
func TestTraceOfAQuestion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("Hel", "lo")
		r := traced(&p)
		h := build(t, p)
		c := h.knock(protocol.Client{Connection: "c", Address: "192.0.2.1", Session: "s", Trace: protocol.ParseTraceParent(clientTrace)})
		c.chat("1", "hi")
		pass(time.Second)
		require.Equal(t, protocol.TypeComplete, c.last().Type)
		h.empty()

		open := theSpan(t, r, trace.SpanConnection)
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", open.SpanContext().TraceID().String())
		require.Equal(t, "00f067aa0ba902b7", open.Parent().SpanID().String())
		require.Equal(t, "websocket", attr(open, trace.KeyKind))
		require.Equal(t, "allowed", attr(open, trace.KeyLimiter))
		require.Equal(t, "granted", attr(open, trace.KeyPool))

		chat, dispatch := theSpan(t, r, trace.SpanChat), theSpan(t, r, trace.SpanDispatch)
		require.Equal(t, open.Parent(), chat.Parent())
		under(t, chat, dispatch)
		require.Equal(t, "accepted", attr(dispatch, trace.KeyDispatch))
		require.EqualValues(t, 1, attr(dispatch, trace.KeyOffers))
		require.Equal(t, "complete", attr(chat, trace.KeyOutcome))
		require.EqualValues(t, 2, attr(chat, trace.KeyChunks))
		require.Equal(t, trace.EventFirstToken, chat.Events()[0].Name)

		run, call := theSpan(t, r, trace.SpanRun), theSpan(t, r, trace.SpanCall)
		under(t, dispatch, run)
		under(t, run, call)
		under(t, call, theSpan(t, r, trace.SpanFirstToken))
		stream := theSpan(t, r, trace.SpanStream)
		under(t, call, stream)
		require.EqualValues(t, 2, attr(stream, trace.KeyChunks))
		require.Equal(t, "echo", attr(call, "gen_ai.provider.name"))
		require.Equal(t, []string{"stop"}, attr(call, "gen_ai.response.finish_reasons"))
		require.InDelta(t, pace.Seconds(), attr(call, "gen_ai.response.time_to_first_chunk"), 0.001)
		require.Equal(t, RunHash(c.last().RunID), attr(run, trace.KeyRunHash))
		require.Equal(t, pace, stream.StartTime().Sub(call.StartTime()), "the first word took one pace")
		allEnded(t, r)
	})
}

// TestTraceOfAFrame: a frame's own parent wins over its connection's; without
// either each question is a trace, linked to the admission.
func TestTraceOfAFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("hello")
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		pass(time.Second)
		c.ask(&protocol.Chat{ID: "2", Content: "hi", Trace: protocol.ParseTraceParent(clientTrace)})
		pass(time.Second)
		open, chats := theSpan(t, r, trace.SpanConnection), spansOf(r, trace.SpanChat)
		require.Len(t, chats, 2)
		require.False(t, chats[0].Parent().IsValid())
		require.Equal(t, open.SpanContext().SpanID(), chats[0].Links()[0].SpanContext.SpanID())
		require.Equal(t, "00f067aa0ba902b7", chats[1].Parent().SpanID().String())

		web := h.knock(protocol.Client{Kind: protocol.HTTP, Session: "s", Address: "192.0.2.1"})
		web.chat("", "hi")
		pass(time.Second)
		opens := spansOf(r, trace.SpanConnection)
		under(t, opens[1], spansOf(r, trace.SpanChat)[2])
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceNotKept: where the client does not keep its trace, or chance does
// not, nothing is recorded and the job says nothing.
func TestTraceNotKept(t *testing.T) {
	for name, test := range map[string]struct {
		clients bool
		sample  float64
		parent  string
		kept    bool
	}{
		"client keeps it":         {true, 0, clientTrace, true},
		"client does not":         {true, 1, strings.TrimSuffix(clientTrace, "01") + "00", false},
		"chance does not":         {true, 0, "", false},
		"chance keeps its own":    {true, 1, "", true},
		"a stranger would":        {false, 0, clientTrace, false},
		"a stranger would rather": {false, 1, strings.TrimSuffix(clientTrace, "01") + "00", true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := defaultPlan()
				p.talk = talker("hello")
				r := tracetest.NewSpanRecorder()
				config := trace.Default()
				config.Clients, config.Sample = test.clients, test.sample
				p.trace = trace.Into(r, trace.Options{Config: config})
				h := build(t, p)
				c := h.knock(protocol.Client{Session: "s", Address: "192.0.2.1", Trace: protocol.ParseTraceParent(test.parent)})
				c.chat("1", "hi")
				pass(time.Second)
				require.Equal(t, test.kept, len(r.Ended()) > 0, names(r))
				require.Equal(t, test.kept, h.bus.lastJob(t).Trace != "")
				h.empty()
				allEnded(t, r)
			})
		})
	}
}

// TestTraceStrangersCannotKeep: unless traces.clients is set a client's parent
// counts for nothing.
func TestTraceStrangersCannotKeep(t *testing.T) {
	r := tracetest.NewSpanRecorder()
	config := trace.Default()
	config.Sample = 0
	tracer := trace.Into(r, trace.Options{Config: config})
	require.Nil(t, tracer.Begin("a", trace.Server, protocol.ParseTraceParent(clientTrace), nil))
	require.NotNil(t, tracer.Continue("b", trace.Consumer, clientTrace), "the bus is no stranger")
}

// TestTraceOfStrangersStandsAsAnyOther: without traces.clients a question lies
// where it would without the client's word: under its request, or beside its
// socket, to which it is linked.
func TestTraceOfStrangersStandsAsAnyOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("hello")
		r := tracetest.NewSpanRecorder()
		p.trace = trace.Into(r, trace.Options{Config: trace.Default()})
		h := build(t, p)
		parent := protocol.ParseTraceParent(clientTrace)
		for i, kind := range []protocol.Kind{protocol.HTTP, protocol.WebSocket} {
			c := h.knock(protocol.Client{Kind: kind, Session: "s", Address: "192.0.2.1", Trace: parent})
			c.ask(&protocol.Chat{ID: "1", Content: "hi", Trace: parent})
			pass(time.Second)
			require.Len(t, spansOf(r, trace.SpanConnection), i+1)
			require.Len(t, spansOf(r, trace.SpanChat), i+1)
		}
		opens, chats := spansOf(r, trace.SpanConnection), spansOf(r, trace.SpanChat)
		under(t, opens[0], chats[0])
		require.False(t, chats[1].Parent().IsValid())
		require.Len(t, chats[1].Links(), 1)
		require.Equal(t, opens[1].SpanContext().SpanID(), chats[1].Links()[0].SpanContext.SpanID())
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceRefusals: who is refused leaves a span with the code.
func TestTraceRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.pool.MaxConnections = 1
		p.limits.Messages = limit.Rule{Max: 1, Window: time.Minute}
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		h.knock(protocol.Client{Session: "s2", Address: "192.0.2.2"})
		h.knock(protocol.Client{Session: "!", Address: "192.0.2.2"})
		opens := spansOf(r, trace.SpanConnection)
		require.Len(t, opens, 3)
		require.Equal(t, "full", attr(opens[1], trace.KeyPool))
		require.Equal(t, "CONNECTION_LIMIT_EXCEEDED", attr(opens[1], trace.KeyCode))
		require.Equal(t, codes.Error, opens[1].Status().Code)
		require.Equal(t, "INVALID_SESSION", attr(opens[2], trace.KeyCode))

		c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "nobody"})
		c.chat("2", "hi")
		c.chat("3", "hi")
		chats := spansOf(r, trace.SpanChat)
		require.Equal(t, "UNKNOWN_PROVIDER", attr(chats[0], trace.KeyCode))
		require.Equal(t, "RATE_LIMIT_EXCEEDED", attr(chats[1], trace.KeyCode))
		h.empty()
		require.Equal(t, trace.OutcomeAbandoned, attr(spansOf(r, trace.SpanChat)[2], trace.KeyOutcome), "its client left before a worker answered")
		allEnded(t, r)
	})
}

// TestTraceSaysNothing: canaries in all that clients, vendors and workers say.
func TestTraceSaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		n := 0
		p.talk = fakeProvider(func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			if n++; n == 2 {
				return provider.Result{Model: "canary-m", Finish: "canary-f"}, &protocol.Error{Code: "canary-c", Message: "canary-e"}
			}
			sink.Reasoning([]byte("canary-r"))
			sink.Text([]byte("canary-t"))
			return provider.Result{Model: "canary-m", Finish: "canary-f"}, nil
		})
		p.products = map[string]Product{"canary-p": {System: "canary-y", ClientChoice: true}}
		r := traced(&p)
		h := build(t, p)
		c := h.knock(protocol.Client{
			Connection: "canary-c", Address: "canary-a", Session: "canary-s", Origin: "https://canary", Product: "canary-p", Customer: true,
		})
		for _, id := range []string{"canary-1", "canary-2", "canary-3"} {
			c.ask(&protocol.Chat{
				ID: id, Content: "canary-q", Provider: map[string]string{"canary-3": "canary-v"}[id], Model: "canary-m", System: "canary-y", ClientKey: protocol.ClientKey{1},
				Messages: []protocol.Message{{Role: "user", Content: "canary-h"}}, HasMessages: true, Reasoning: true,
				Keys: map[string]protocol.Secret{"vendor": secret("sk-canary")},
			})
			pass(time.Second)
		}
		h.empty()
		require.Len(t, spansOf(r, trace.SpanChat), 3)
		require.Len(t, spansOf(r, trace.SpanRun), 2)
		saysNothing(t, r, "canary")
		for _, f := range c.seen() {
			if f.RunID != "" {
				saysNothing(t, r, f.RunID)
			}
		}
	})
}

// saysNothing searches all that would leave the process.
func saysNothing(t *testing.T, r *tracetest.SpanRecorder, what string) {
	t.Helper()
	all, err := json.Marshal(tracetest.SpanStubsFromReadOnlySpans(r.Ended()))
	require.NoError(t, err)
	require.Contains(t, string(all), trace.SpanChat, "the search is blind")
	require.NotContains(t, string(all), what)
}
