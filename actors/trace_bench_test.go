package actors

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// nowhere is a processor that lets go of what ends.
type nowhere struct{}

func (nowhere) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (nowhere) OnEnd(sdk.ReadOnlySpan)                     {}
func (nowhere) Shutdown(context.Context) error             { return nil }
func (nowhere) ForceFlush(context.Context) error           { return nil }

// tracedAnswer is all that one answer asks of tracing, on both sides, around the
// judgement of its chunks.
type tracedAnswer struct {
	traces  *connectionTraces
	worker  *Worker
	session *Session
	chat    *protocol.Chat
	job     *bus.Job
	target  target
	setup   *ProviderSetup
	sink    sink
	frame   *protocol.Frame
	end     *bus.Event
	result  provider.Result
	text    []byte
}

func newTracedAnswer(t *trace.Tracer) *tracedAnswer {
	usage := &protocol.Usage{InputTokens: 8, OutputTokens: 3}
	a := &tracedAnswer{
		traces: newConnectionTraces(t), worker: &Worker{sys: &System{trace: t}}, session: &Session{},
		chat: &protocol.Chat{ID: "1"}, job: &bus.Job{Provider: "openai"}, setup: &ProviderSetup{Config: provider.Config{Type: provider.TypeOpenAI}},
		frame:  &protocol.Frame{Type: protocol.TypeComplete, Finish: protocol.FinishStop, Usage: usage},
		end:    &bus.Event{Type: bus.EventComplete, Finish: protocol.FinishStop, Attempts: 1, Usage: &bus.Usage{InputTokens: 8}},
		result: provider.Result{Finish: protocol.FinishStop, Usage: usage}, text: []byte("twenty bytes of text"),
	}
	a.target = target{name: "openai", model: "gpt-4.1", served: &served{}, setup: a.setup}
	a.traces.open(a.session)
	return a
}

// floor is the answer without a word to tracing.
func (a *tracedAnswer) floor() {
	tn := turn{id: "1", named: true, state: turnAccepted}
	for seq := range uint64(answerChunks) {
		tn.chunk(seq+1, a.text)
	}
}

func (a *tracedAnswer) run() {
	c := a.traces.chat(a.session, a.chat, "openai")
	a.job.Trace = c.offered(1)
	r := a.worker.traceRun("RUN", a.job)
	c.dispatched(true)
	a.sink.trace = r.calling(1, a.target, a.setup)
	tn := turn{id: "1", named: true, state: turnAccepted, attempt: 1}
	for seq := range uint64(answerChunks) {
		if a.sink.trace != nil {
			a.sink.trace.spoke(1)
		}
		if tn.chunk(seq+1, a.text); seq == 0 {
			c.shown()
		}
	}
	a.sink.trace.end(context.Background(), a.result, nil)
	a.sink.trace.abandon()
	r.end(a.end, answerChunks, 0)
	c.ended(&tn, a.frame)
}

// TestTraceOffAllocatesNothing: an answer that is not traced allocates what it
// would without tracing.
func TestTraceOffAllocatesNothing(t *testing.T) {
	a := newTracedAnswer(nil)
	require.InDelta(t, testing.AllocsPerRun(100, a.floor), testing.AllocsPerRun(100, a.run), 0.5)
}

// BenchmarkTrace is one answer of 512 chunks: without a word to tracing, off,
// and with a share of the traces kept.
func BenchmarkTrace(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		a := newTracedAnswer(nil)
		b.ReportAllocs()
		for b.Loop() {
			a.floor()
		}
	})
	b.Run("off", func(b *testing.B) {
		a := newTracedAnswer(nil)
		b.ReportAllocs()
		for b.Loop() {
			a.run()
		}
	})
	for _, share := range []float64{0.01, 1} {
		b.Run(fmt.Sprintf("sample=%g", share), func(b *testing.B) {
			config := trace.Default()
			config.Sample = share
			a := newTracedAnswer(trace.Into(nowhere{}, trace.Options{Config: config}))
			b.ReportAllocs()
			for b.Loop() {
				a.run()
			}
		})
	}
}
