// Package trace is what Troupe says to OpenTelemetry: one trace of a question
// from the client's socket through the bus to the vendor. It is the only user
// of the OpenTelemetry libraries, and no library's global state is touched.
//
// # Off
//
// Off is a nil *Tracer. Every method of a nil *Tracer and of a nil *Span does
// nothing and allocates nothing, so those who call need no condition of their
// own; only where arguments cost something do they look first.
//
// # What a span may hold
//
// Words are from closed lists (words.go), names are the operator's own, the rest
// are numbers. No text of a user or of a vendor, no key, no address, no session
// and no run_id ever becomes a part of a span.
//
// # Who waits
//
// Nobody. A span that ends is put into a bounded queue; where that is full the
// span is dropped and counted. One goroutine sends batches to the collector.
//
// Tracer and Span are safe for concurrent use. Whoever starts a span ends it;
// a second End is nothing.
package trace
