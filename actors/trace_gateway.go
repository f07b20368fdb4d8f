package actors

import (
	"sync"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// connectionTraces are the open spans of a gateway's connections; nil where
// nothing is traced. They live outside the connections: an actor that crashed
// cannot end its own, and an idle connection that is not traced holds nothing.
// Safe for concurrent use, but what belongs to one connection is its actor's
// until that has terminated, its supervisor's afterwards.
type connectionTraces struct {
	tracer *trace.Tracer

	mu sync.Mutex
	of map[*Session]*connectionTrace // guarded by mu
}

// connectionTrace is what is traced of one connection.
type connectionTrace struct {
	admission *trace.Span
	chats     map[*chatTrace]struct{} // open ones
}

func newConnectionTraces(t *trace.Tracer) *connectionTraces {
	if t == nil {
		return nil
	}
	return &connectionTraces{tracer: t, of: map[*Session]*connectionTrace{}}
}

func (t *connectionTraces) get(s *Session) *connectionTrace {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[s]
}

// open begins the admission of a client.
func (t *connectionTraces) open(s *Session) {
	if t == nil {
		return
	}
	k := &connectionTrace{
		admission: t.tracer.Begin(trace.SpanConnection, trace.Server, s.client.Trace, nil, trace.Word(trace.KeyKind, s.client.Kind.String())),
		chats:     map[*chatTrace]struct{}{},
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of[s] = k
}

// limited notes what the limiter, or the fallback in its place, decided about a
// connection.
func (t *connectionTraces) limited(s *Session, m *decided) {
	if t == nil {
		return
	}
	if k := t.get(s); k != nil {
		result := "rejected"
		if m.decision.OK {
			result = "allowed"
		}
		k.admission.Set(trace.Word(trace.KeyLimiter, result), trace.Flag(trace.KeyFallback, m.replaced))
	}
}

// pooled notes what the pool decided.
func (t *connectionTraces) pooled(s *Session, result string) {
	if t == nil {
		return
	}
	if k := t.get(s); k != nil {
		k.admission.Set(trace.Word(trace.KeyPool, result))
	}
}

// What the pool decides, as a span says it.
const (
	poolGranted = "granted"
	poolFull    = "full"
	poolFullFor = "full_address"
	poolTooLate = "late"
)

func poolWord(scope limit.Scope) string {
	if scope == limit.ScopeAddress {
		return poolFullFor
	}
	return poolFull
}

// admitted ends an admission; a code says why the client was refused.
func (t *connectionTraces) admitted(s *Session, refusal protocol.Code) {
	if t == nil {
		return
	}
	if k := t.get(s); k != nil && !k.admission.Ended() {
		if refusal != "" {
			k.admission.Fail(refusal)
		}
		k.admission.End()
	}
}

// drop ends what a connection left open.
func (t *connectionTraces) drop(s *Session) {
	if t == nil {
		return
	}
	k := t.get(s)
	if k == nil {
		return
	}
	t.mu.Lock()
	delete(t.of, s)
	t.mu.Unlock()
	if !k.admission.Ended() {
		k.admission.Abandon()
	}
	for c := range k.chats {
		c.abandon()
	}
}

// chat begins a question: in the trace that its frame names, else in that of the
// request which opened the connection. A WebSocket without either begins a trace
// with each question; they are linked to its admission.
func (t *connectionTraces) chat(s *Session, chat *protocol.Chat, provider string) *chatTrace {
	if t == nil {
		return nil
	}
	k := t.get(s)
	if k == nil {
		return nil
	}
	attrs := []trace.Attr{trace.Operation(), trace.Flag(trace.KeyNamed, chat.ID != "")}
	if provider != "" {
		attrs = append(attrs, trace.Word(trace.KeyProvider, provider))
	}
	var span *trace.Span
	of, request := t.tracer.Taken(chat.Trace), t.tracer.Taken(s.client.Trace)
	switch {
	case of != nil:
		span = t.tracer.Begin(trace.SpanChat, trace.Server, of, nil, attrs...)
	case s.client.Kind == protocol.HTTP:
		span = k.admission.Child(trace.SpanChat, trace.Server, attrs...)
	case request != nil:
		span = t.tracer.Begin(trace.SpanChat, trace.Server, request, nil, attrs...)
	default:
		span = t.tracer.Begin(trace.SpanChat, trace.Server, nil, k.admission, attrs...)
	}
	if span == nil {
		return nil
	}
	c := &chatTrace{of: k, span: span}
	k.chats[c] = struct{}{}
	return c
}

// refused is a question that came to nothing at once.
func (t *connectionTraces) refused(s *Session, chat *protocol.Chat, why protocol.Code) {
	if c := t.chat(s, chat, ""); c != nil {
		c.span.Set(trace.Word(trace.KeyOutcome, string(protocol.TypeError)))
		c.span.Fail(why)
		c.over()
	}
}

// chatTrace is one traced question; nil is one that is not. It is its turn's.
type chatTrace struct {
	of       *connectionTrace
	span     *trace.Span
	dispatch *trace.Span // of the newest attempt
	attempt  int         // that one
	offers   int         // of it
	begun    bool        // the client was shown something
}

// offered notes that a job goes out, and returns what it carries along: one span
// for each attempt, however often it is offered.
func (c *chatTrace) offered(attempt int) string {
	if c == nil {
		return ""
	}
	if c.attempt != attempt || c.dispatch.Ended() {
		c.dispatched(false)
		c.attempt, c.offers = attempt, 0
		c.dispatch = c.span.Child(trace.SpanDispatch, trace.Producer, trace.Number(trace.KeyAttempt, attempt))
	}
	c.offers++
	if parent := c.dispatch.Parent(); parent != nil {
		return parent.String()
	}
	return ""
}

// dispatched ends the present attempt's search for a worker.
func (c *chatTrace) dispatched(accepted bool) {
	if c == nil || c.dispatch.Ended() {
		return
	}
	result := "failed"
	if accepted {
		result = "accepted"
	}
	c.dispatch.Set(trace.Word(trace.KeyDispatch, result), trace.Number(trace.KeyOffers, c.offers))
	c.dispatch.End()
}

// shown notes the first word that reached the client's connection.
func (c *chatTrace) shown() {
	if c != nil && !c.begun {
		c.begun = true
		c.span.Event(trace.EventFirstToken)
	}
}

// event notes what happened on the way.
func (c *chatTrace) event(name string) {
	if c != nil {
		c.span.Event(name)
	}
}

// ended is the turn's terminal frame.
func (c *chatTrace) ended(t *turn, f *protocol.Frame) {
	if c == nil {
		return
	}
	c.dispatched(false)
	c.span.Set(trace.Word(trace.KeyOutcome, string(f.Type)), trace.Number(trace.KeyChunks, int(t.seq)), trace.Number(trace.KeyAttempts, t.attempt))
	if u := f.Usage; u != nil {
		c.span.Set(trace.Usage(u.InputTokens, u.OutputTokens, u.Estimated)...)
	}
	c.span.Set(finishOf(f.Finish)...)
	if f.Type == protocol.TypeError {
		c.span.Fail(f.Code)
	}
	c.over()
}

// abandon ends a question whose connection ended first.
func (c *chatTrace) abandon() {
	if c == nil || c.span.Ended() {
		return
	}
	c.dispatched(false)
	c.span.Abandon()
	delete(c.of.chats, c)
}

func (c *chatTrace) over() {
	c.span.End()
	delete(c.of.chats, c)
}

// finishOf is why a model stopped, where it is a word of the contract.
func finishOf(reason string) []trace.Attr {
	switch reason {
	case protocol.FinishStop, protocol.FinishLength:
		return []trace.Attr{trace.Finish(reason)}
	}
	return nil
}
