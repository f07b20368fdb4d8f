package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Span is one recorded part of a trace; nil is one that is not recorded.
type Span struct {
	tracer *Tracer
	span   otel.Span
}

// Kind tells on which side of a call a span stands.
type Kind uint8

// Kinds of spans.
const (
	Internal Kind = iota
	Server        // answers a client
	Producer      // puts something on the bus
	Consumer      // takes it from there
	Client        // asks somebody else
)

func (k Kind) option() otel.SpanStartOption {
	return otel.WithSpanKind([...]otel.SpanKind{
		otel.SpanKindInternal, otel.SpanKindServer, otel.SpanKindProducer, otel.SpanKindConsumer, otel.SpanKindClient,
	}[k])
}

// Child begins a span inside this one.
func (s *Span) Child(name string, k Kind, attrs ...Attr) *Span {
	if s == nil {
		return nil
	}
	return s.tracer.start(otel.ContextWithSpan(context.Background(), s.span), name, k.option(), otel.WithAttributes(attrs...))
}

// Set adds attributes.
func (s *Span) Set(attrs ...Attr) {
	if s != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Event notes that something happened now.
func (s *Span) Event(name string, attrs ...Attr) {
	if s != nil {
		s.span.AddEvent(name, otel.WithAttributes(attrs...))
	}
}

// Fail says with which code of the closed list it went wrong. A code that is not
// on the list is INTERNAL.
func (s *Span) Fail(code protocol.Code) {
	if s == nil {
		return
	}
	known := string(protocol.Lookup(code).Code)
	s.failed(known)
	s.span.SetAttributes(attribute.String(KeyCode, known))
}

// Abandon ends a span whose owner ended first.
func (s *Span) Abandon() {
	if s == nil {
		return
	}
	s.failed(OutcomeAbandoned)
	s.span.SetAttributes(attribute.String(KeyOutcome, OutcomeAbandoned))
	s.span.End()
}

func (s *Span) failed(why string) {
	s.span.SetStatus(codes.Error, why)
	s.span.SetAttributes(attribute.String(keyError, why))
}

// End ends the span. Only the first end counts.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Ended tells whether it has ended; nil has.
func (s *Span) Ended() bool { return s == nil || !s.span.IsRecording() }

// Parent is this span as the traceparent of what follows from it elsewhere; nil
// where it is not recorded.
func (s *Span) Parent() *protocol.TraceParent {
	if s == nil {
		return nil
	}
	c := s.span.SpanContext()
	return &protocol.TraceParent{Trace: c.TraceID(), Span: c.SpanID(), Sampled: true}
}
