package protocol

import "encoding/hex"

// TraceParent is a place in a trace, as W3C Trace Context names it in a
// traceparent. https://www.w3.org/TR/trace-context/#traceparent-header
type TraceParent struct {
	Trace   [16]byte
	Span    [8]byte
	Sampled bool // whoever began the trace keeps it
}

// traceParentLen is the length of a traceparent of version 00:
// 00-<32 hex digits>-<16 hex digits>-<2 hex digits>.
const traceParentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

// ParseTraceParent reads a traceparent of version 00, the only one there is;
// nil where s is anything else. It allocates nothing but the result.
func ParseTraceParent(s string) *TraceParent {
	if len(s) != traceParentLen || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return nil
	}
	var flags [1]byte
	var p TraceParent
	if !unhex(p.Trace[:], s[3:35]) || !unhex(p.Span[:], s[36:52]) || !unhex(flags[:], s[53:]) {
		return nil
	}
	if p.Trace == [16]byte{} || p.Span == [8]byte{} {
		return nil
	}
	p.Sampled = flags[0]&1 != 0
	return &p
}

// traceParent reads the field of a frame. A text that is no traceparent is as
// none: a trace is never a reason to refuse a question.
func (r *reader) traceParent(raw []byte) *TraceParent {
	if r.skip(raw) {
		return nil
	}
	if raw[0] != '"' {
		r.invalid(fieldTraceParent.String() + " must be a string")
		return nil
	}
	if len(raw) != traceParentLen+len(`""`) {
		return nil
	}
	return ParseTraceParent(string(body(raw)))
}

// unhex reads lower-case digits alone: a traceparent has no others.
func unhex(dst []byte, s string) bool {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// String is the traceparent.
func (p *TraceParent) String() string {
	var room [traceParentLen]byte
	b := append(room[:0], "00-"...)
	b = append(hex.AppendEncode(b, p.Trace[:]), '-')
	b = append(hex.AppendEncode(b, p.Span[:]), '-')
	if p.Sampled {
		return string(append(b, "01"...))
	}
	return string(append(b, "00"...))
}
