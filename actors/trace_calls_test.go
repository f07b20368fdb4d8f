package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestTraceOfASecondAttempt: both attempts stand in one trace.
func TestTraceOfASecondAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		first := h.accept(remote + "-1")
		h.gateway.sys.root.Send(c.session.pid.Load(), &workerLost{to: first.To})
		pass(time.Millisecond)
		second := h.accept(remote + "-2")
		require.NotEqual(t, first.Trace, second.Trace)
		require.Equal(t, first.Trace[:35], second.Trace[:35], "one trace")
		h.chunk(second.To, 1, "x")
		h.say(bus.Event{Type: bus.EventComplete, To: second.To, Seq: 2, Run: remote + "-2", Finish: "of its own making"})
		chat := theSpan(t, r, trace.SpanChat)
		attempts := spansOf(r, trace.SpanDispatch)
		require.Len(t, attempts, 2)
		for i, s := range attempts {
			under(t, chat, s)
			require.EqualValues(t, i+1, attr(s, trace.KeyAttempt))
		}
		require.EqualValues(t, 2, attr(chat, trace.KeyAttempts))
		require.Nil(t, attr(chat, "gen_ai.response.finish_reasons"), "a word that is not on the list")
		require.Equal(t, trace.EventWorkerLost, chat.Events()[0].Name)
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceOfFailover: each call of a vendor is a span with its number and code.
func TestTraceOfFailover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		n := 0
		p.talk = fakeProvider(func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			if n++; n == 1 {
				return provider.Result{Fault: provider.FaultVendor}, &protocol.Error{Code: protocol.ProviderUnavailable, Message: "sk-canary"}
			}
			sink.Text([]byte("hello"))
			return provider.Result{Finish: protocol.FinishStop, Usage: &protocol.Usage{InputTokens: 7, OutputTokens: 3}}, nil
		})
		p.setup.DefaultModel = "echo-1"
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		pass(time.Second)
		calls := spansOf(r, trace.SpanCall)
		require.Len(t, calls, 2)
		run := theSpan(t, r, trace.SpanRun)
		for i, s := range calls {
			under(t, run, s)
			require.EqualValues(t, i+1, attr(s, trace.KeyCall))
			require.Equal(t, "echo-1", attr(s, "gen_ai.request.model"))
		}
		require.Equal(t, "PROVIDER_UNAVAILABLE", attr(calls[0], "error.type"))
		require.Equal(t, codes.Unset, calls[1].Status().Code)
		require.EqualValues(t, 7, attr(calls[1], "gen_ai.usage.input_tokens"))
		require.EqualValues(t, 3, attr(run, "gen_ai.usage.output_tokens"))
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceOfACancel: who stops his answer sees no failure.
func TestTraceOfACancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("a", "b", "c", "d")
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		pass(pace + pace/2)
		c.ask(&protocol.Cancel{ID: "1"})
		pass(time.Second)
		for _, name := range []string{trace.SpanChat, trace.SpanRun, trace.SpanCall, trace.SpanStream} {
			s := theSpan(t, r, name)
			require.Equal(t, "cancelled", attr(s, trace.KeyOutcome), name)
			require.Equal(t, codes.Unset, s.Status().Code, name)
		}
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceOfADeafCall: a call that does not return has a span that does not
// wait for it.
func TestTraceOfADeafCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		p := defaultPlan()
		p.talk = fakeProvider(func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
			<-release
			return provider.Result{}, nil
		})
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		c.ask(&protocol.Cancel{ID: "1"})
		pass(3 * time.Second)
		require.Equal(t, trace.OutcomeAbandoned, attr(theSpan(t, r, trace.SpanCall), trace.KeyOutcome))
		require.Equal(t, "INTERNAL", attr(theSpan(t, r, trace.SpanRun), trace.KeyCode))
		close(release)
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceOfAPanickingAdapter: the call is abandoned, the run says INTERNAL.
func TestTraceOfAPanickingAdapter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = fakeProvider(func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) { panic("sk-canary") })
		r := traced(&p)
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		pass(time.Second)
		require.Equal(t, trace.OutcomeAbandoned, attr(theSpan(t, r, trace.SpanCall), trace.KeyOutcome))
		require.Equal(t, "INTERNAL", attr(theSpan(t, r, trace.SpanRun), trace.KeyCode))
		h.empty()
		allEnded(t, r)
	})
}

// TestTraceEverywherePanic: whatever panics, every span that was started ends,
// once.
func TestTraceEverywherePanic(t *testing.T) {
	for i, c := range panicCases() {
		t.Run(fmt.Sprintf("%02d %s/%T", i, c.kind, c.message), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var early []sabotage
				if c.early {
					early = append(early, c.aim())
				}
				var r *tracetest.SpanRecorder
				s := newSceneOf(t, func(p *plan) { r = traced(p) }, early...)
				c.provoke(s)
				pass(6 * time.Second)
				s.empty()
				s.stop()
				require.Empty(t, s.gateway.traces.of, "connections leaked")
				require.GreaterOrEqual(t, len(spansOf(r, trace.SpanChat)), 1)
				allEnded(t, r)
				saysNothing(t, r, "canary")
			})
		})
	}
}
