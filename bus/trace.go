package bus

import "github.com/nats-io/nats.go"

// headerTrace carries the trace of a job. https://www.w3.org/TR/trace-context/
const headerTrace = "traceparent"

// Bounds of a trace's header.
const (
	traceLen  = 55 // of a traceparent
	traceRoom = 96 // bytes of a message that the header takes with all around it
)

// requestTraced is request with the trace in a header. A job that has no room for
// it, or a server that knows no headers, goes without: a trace is never a reason
// to refuse.
func (b *Bus) requestTraced(subject, reply string, data []byte, trace string) error {
	if len(data)+traceRoom > b.MaxPayload() || !b.nc.HeadersSupported() || len(trace) != traceLen {
		return b.request(subject, reply, data)
	}
	return b.publishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data, Header: nats.Header{headerTrace: {trace}}})
}

// traceOf is the trace that a job came with. One that is not as long as a
// traceparent, or does not come alone, is none.
func traceOf(m *nats.Msg) string {
	if named := m.Header[headerTrace]; len(named) == 1 && len(named[0]) == traceLen {
		return named[0]
	}
	return ""
}
