package trace

import (
	"go.opentelemetry.io/otel/attribute"
)

// Attr is one attribute of a span or an event.
type Attr = attribute.KeyValue

// Names of spans.
const (
	SpanConnection = "troupe.connection"    // from the open socket until it is admitted or refused
	SpanChat       = "troupe.chat"          // a question on the gateway's side
	SpanDispatch   = "troupe.dispatch"      // one attempt: from the job until a run has it
	SpanRun        = "troupe.run"           // a generation on the worker's side
	SpanCall       = "provider.call"        // one call of a vendor
	SpanFirstToken = "provider.first_token" // of it: until the first word
	SpanStream     = "provider.stream"      // of it: from there to the end
)

// Events inside spans.
const (
	EventQueued     = "queued"
	EventFirstToken = "first_token"
	EventWorkerLost = "worker_lost"
	EventMoved      = "moved"
	EventHealed     = "healing"
)

// Keys of attributes. gen_ai.* and error.type are OpenTelemetry's, of its
// semantic conventions 1.41.
const (
	KeyKind      = "troupe.connection.kind" // websocket, http
	KeyLimiter   = "troupe.limiter.result"  // allowed, rejected
	KeyFallback  = "troupe.limiter.fallback"
	KeyPool      = "troupe.pool.result" // granted, full, full_address, late
	KeyNamed     = "troupe.chat.named"
	KeyProvider  = "troupe.provider" // the operator's name for it
	KeyAttempt   = "troupe.attempt"
	KeyAttempts  = "troupe.attempts"
	KeyOffers    = "troupe.dispatch.offers"
	KeyDispatch  = "troupe.dispatch.result" // accepted, failed
	KeyOutcome   = "troupe.outcome"         // complete, cancelled, error, abandoned
	KeyCode      = "troupe.code"            // of the closed list of codes
	KeyChunks    = "troupe.chunks"
	KeyBytes     = "troupe.output.bytes"
	KeyCalls     = "troupe.provider.calls"
	KeyCall      = "troupe.provider.call" // 1, 2, … of one run
	KeyUserKey   = "troupe.provider.user_key"
	KeyEstimated = "troupe.usage.estimated"
	KeyRunHash   = "troupe.run_hash" // as in usage records
	KeyPosition  = "troupe.queue.position"

	keyOperation = "gen_ai.operation.name"
	keyVendor    = "gen_ai.provider.name"
	keyModel     = "gen_ai.request.model"
	keyFinish    = "gen_ai.response.finish_reasons"
	keyInput     = "gen_ai.usage.input_tokens"
	keyOutput    = "gen_ai.usage.output_tokens"
	keyFirst     = "gen_ai.response.time_to_first_chunk"
	keyError     = "error.type"
)

// Outcomes besides the bus's complete, cancelled and error.
const OutcomeAbandoned = "abandoned" // the actor that owned it ended before it did

// Word is an attribute of a closed list.
func Word(key, word string) Attr { return attribute.String(key, word) }

// Number is an attribute that counts.
func Number(key string, n int) Attr { return attribute.Int(key, n) }

// Flag is an attribute that is so or not.
func Flag(key string, on bool) Attr { return attribute.Bool(key, on) }

// Operation says that a model is asked.
func Operation() Attr { return attribute.String(keyOperation, "chat") }

// Vendor names the one whose wire is spoken, for a type of provider.
func Vendor(kind string) Attr {
	if kind == "gemini" {
		kind = "gcp.gemini"
	}
	return attribute.String(keyVendor, kind)
}

// Model names the model that is asked for. It must be one that the operator
// configured: what a client writes there may be anything.
func Model(name string) Attr { return attribute.String(keyModel, name) }

// Finish says why a model stopped, as a word of the contract.
func Finish(reason string) Attr { return attribute.StringSlice(keyFinish, []string{reason}) }

// Usage counts tokens.
func Usage(input, output int, estimated bool) []Attr {
	return []Attr{attribute.Int(keyInput, input), attribute.Int(keyOutput, output), attribute.Bool(KeyEstimated, estimated)}
}

// FirstChunk is how long the first word took, in seconds.
func FirstChunk(seconds float64) Attr { return attribute.Float64(keyFirst, seconds) }
