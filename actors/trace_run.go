package actors

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// runTrace is one traced run; nil is one that is not. It is in the run's record,
// so whoever settles a run that crashed ends its spans.
type runTrace struct {
	span *trace.Span

	mu   sync.Mutex
	call *callTrace // the newest one; guarded by mu
}

// traceRun goes on with the trace that a job came with.
func (w *Worker) traceRun(run string, job *bus.Job) *runTrace {
	if w.sys.trace == nil || job.Trace == "" {
		return nil
	}
	span := w.sys.trace.Continue(trace.SpanRun, trace.Consumer, job.Trace,
		trace.Word(trace.KeyProvider, job.Provider), trace.Word(trace.KeyRunHash, RunHash(run)), trace.Flag(trace.KeyUserKey, job.NeedsKey))
	if span == nil {
		return nil
	}
	return &runTrace{span: span}
}

// queued notes that the question waits for room at its provider.
func (r *runTrace) queued(position int) {
	if r != nil {
		r.span.Event(trace.EventQueued, trace.Number(trace.KeyPosition, position))
	}
}

// end is the run's terminal event.
func (r *runTrace) end(e *bus.Event, chunks uint64, bytes int) {
	if r == nil {
		return
	}
	r.span.Set(trace.Word(trace.KeyOutcome, e.Type), trace.Number(trace.KeyChunks, int(chunks)),
		trace.Number(trace.KeyBytes, bytes), trace.Number(trace.KeyCalls, e.Attempts))
	if u := e.Usage; u != nil {
		r.span.Set(trace.Usage(u.InputTokens, u.OutputTokens, u.Estimated)...)
	}
	r.span.Set(finishOf(e.Finish)...)
	if e.Type == bus.EventError {
		r.span.Fail(protocol.Code(e.Code))
	}
	r.newest().abandon() // a call that does not return after its end was told
	r.span.End()
}

// abandon ends what was left open.
func (r *runTrace) abandon() {
	if r == nil || r.span.Ended() {
		return
	}
	r.newest().abandon()
	r.span.Abandon()
}

func (r *runTrace) newest() *callTrace {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.call
}

// calling begins one call of a vendor, for the nth time.
func (r *runTrace) calling(n int, t target, setup *ProviderSetup) *callTrace {
	if r == nil {
		return nil
	}
	span := r.span.Child(trace.SpanCall, trace.Client, trace.Operation(), trace.Vendor(setup.Config.Type),
		trace.Word(trace.KeyProvider, t.name), trace.Number(trace.KeyCall, n))
	if model := t.modelName(); t.served.lists(&setup.Config, model) {
		span.Set(trace.Model(model))
	}
	c := &callTrace{span: span, phase: span.Child(trace.SpanFirstToken, trace.Internal), began: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call = c
	return c
}

// lists tells whether a model's name is one that the operator, or the vendor's
// own list, has: what a client wrote may be anything.
func (s *served) lists(c *provider.Config, model string) bool {
	if model == "" {
		return false
	}
	if model == c.DefaultModel || slices.Contains(c.Models, model) {
		return true
	}
	found := s.found.Load()
	return found != nil && slices.Contains(found.models, model)
}

// callTrace is one traced call of a vendor; nil is one that is not. It is the
// provider call's, but for abandon.
type callTrace struct {
	span  *trace.Span
	began time.Time

	mu     sync.Mutex
	phase  *trace.Span // until the first word, then of the stream; guarded by mu
	spoken bool        // guarded by mu
	pieces int         // guarded by mu
	over   bool        // guarded by mu
}

// spoke notes a piece of the answer, or with 0 of what the model thinks aloud:
// the first ends one phase and begins the next.
func (c *callTrace) spoke(pieces int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pieces += pieces
	if c.spoken || c.over {
		return
	}
	c.spoken = true
	c.phase.End()
	c.span.Set(trace.FirstChunk(time.Since(c.began).Seconds()))
	c.phase = c.span.Child(trace.SpanStream, trace.Internal)
}

// end is what the call came to. That we stopped it because its client wanted so
// is no failure.
func (c *callTrace) end(ctx context.Context, res provider.Result, err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	outcome, both := bus.EventComplete, []*trace.Span{c.phase, c.span}
	switch why := context.Cause(ctx); {
	case errors.Is(why, errCancelled):
		outcome = bus.EventCancelled
	case errors.Is(why, errTooLong):
		res.Finish = protocol.FinishLength
	case err != nil:
		outcome = bus.EventError
		code := codeOf(err)
		if ours, ok := errors.AsType[*protocol.Error](why); ok { // a clock of ours: what the vendor's side says came of it
			code = ours.Code
		}
		for _, s := range both {
			s.Fail(code)
		}
	}
	for _, s := range both {
		s.Set(trace.Word(trace.KeyOutcome, outcome), trace.Number(trace.KeyChunks, c.pieces))
		if u := res.Usage; u != nil {
			s.Set(trace.Usage(u.InputTokens, u.OutputTokens, u.Estimated)...)
		}
		s.Set(finishOf(res.Finish)...)
		s.End()
	}
}

// abandon ends a call that panicked, or does not return.
func (c *callTrace) abandon() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.over = true
		c.phase.Abandon()
		c.span.Abandon()
	}
}
