// Package provider speaks to model vendors behind one small interface.
//
// A Provider is asked once per attempt and reports what the vendor says, as it
// says it. It holds no state about runs; clocks, sequence numbers and the
// transcript belong to the run that asks.
//
// # Blocking, ordering, bounds
//
// Stream runs in the caller's goroutine and calls the Sink from it, in the
// order of the vendor's bytes. No goroutine is started here; net/http has its
// own. There is no clock of a run in here either: the run cancels ctx, and the
// cause it gives (context.Cause) is in the chain of the returned error. One
// line or event of a vendor is bounded by 1 MiB, an error body by 8 KiB, the
// headers by 64 KiB.
//
// # Complete means complete
//
// An answer is complete only where the vendor said so: the openai wire ends
// with "data: [DONE]", the anthropic wire with message_stop, the gemini wire
// with a finishReason and the orderly end of the response. Whatever ends before
// that is PROVIDER_INTERRUPTED (TestCutIsNeverComplete cuts at every byte).
//
// # One call
//
// Stream is one call with one key. Which key, whether to ask again and whom
// else is decided by who calls; a Result's Fault says what a failed call means
// for the next one.
//
// # Keys
//
// A key travels in the vendor's header for it only. That header is a Go string
// that net/http copies into its write buffer: it cannot be wiped, only dropped.
// HTTP/2's table of headers takes none in (TestHTTP2KeepsNoKey).
// No error built here holds a key, also where a vendor echoes it (redact).
//
// # Models of the echo provider
//
// The echo provider needs no key and no network: it streams the question back.
// Its model name says how fast and how much:
//
//	model  = "echo" *( "-" part )        each kind of part at most once, in any order
//	part   = pace / words / kib / clock  words and kib exclude each other, kib and clock too
//	pace   = a time.ParseDuration        between two pieces, 0 to 10s; default 15ms
//	words  = 1*DIGIT "w"                 exactly so many words, 1 to 1000000
//	kib    = 1*DIGIT "kb"                exactly so many KiB, 1 to 16384
//	clock  = "clock"                     each word is the time at which it was said
//
// "echo-5ms-200w" says the question again and again, one space between two
// repetitions, for 200 words, a word every 5 ms. The kib form repeats the
// question without anything between and ends at the last whole character that
// fits. A piece is a word with the white space after it; only the kib form
// without a pace ("echo-0s-64kb") says pieces of up to 4 KiB. With clock each
// word is replaced by the Unix time in microseconds at which it was said, so that
// a client on the same machine can tell how long it was under way; such an answer
// is never the same twice.
package provider

import (
	"context"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Provider is one vendor's wire.
type Provider interface {
	// Stream asks the vendor once and blocks until the answer ended, broke or
	// ctx was cancelled. Before it returns the vendor's connection for this
	// call is closed or back in its pool, so a return after a cancel is the
	// proof that the vendor was stopped.
	//
	// An answer that ended as the vendor's protocol says returns a nil error.
	// Everything else returns a *protocol.Error, whose Message is ours and
	// never the vendor's body; Result then holds what is known so far.
	Stream(ctx context.Context, q *Question, sink Sink) (Result, error)
}

// Sink takes what a vendor says. It never blocks.
type Sink interface {
	// Text takes the next piece of the answer: one or more whole UTF-8
	// characters. The bytes are borrowed until the call returns.
	Text(piece []byte)
	// Reasoning takes the next piece of what the model thinks aloud, which is
	// no part of the answer. Borrowed like Text.
	Reasoning(piece []byte)
	// Progress says that the vendor is alive though it said no text: it took
	// the question and begins to stream, a comment, a ping, an event that
	// means nothing to us.
	Progress()
}

// Question is what a vendor is asked. It is read-only.
type Question struct {
	Model       string // empty = the provider's default
	System      string
	Messages    []protocol.Message // earlier turns and, last, the question
	Temperature *float64
	MaxTokens   int             // 0 = the vendor's own default
	Reasoning   bool            // the asker wants to see the model's reasoning; wires that must ask for it do
	Key         protocol.Secret // the one to use; empty = none
	Call        string          // names this call to the vendor, in CallHeader; server-made
}

// CallHeader carries the name of a call, for the vendor's support and for test
// vendors that count calls. https://platform.openai.com/docs/api-reference/debugging-requests
const CallHeader = "X-Client-Request-Id"

// Result is how an answer ended.
type Result struct {
	Finish string // protocol.FinishStop, protocol.FinishLength
	Model  string // what the vendor says it used
	Usage  *protocol.Usage
	Fault  Fault // of a call that failed
	Unsent bool  // the vendor was not called at all
}

// Fault is what a failed call means for the next one.
type Fault uint8

// Faults of a call.
const (
	FaultNone       Fault = iota // the question's own, or ours: another call would end alike
	FaultConnect                 // the vendor never got the question
	FaultVendor                  // the vendor is unwell: 5xx, a broken answer
	FaultLimited                 // 429: this key may ask later
	FaultKeyRefused              // 401: the vendor does not know this key
	FaultKeySpent                // 402, and 429 without credit
	FaultKeyDenied               // 403: this key may not do this
)
