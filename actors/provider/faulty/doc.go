// Package faulty is a model vendor that fails on demand: a real HTTP server on
// the loopback address that speaks the wires of three vendors as a script tells
// it, faults included.
//
// It stands behind the provider type of the same name, where operators rehearse
// failures, behind the tests of the clients, and opposite the vendors' own
// client libraries, so the shapes on its wires are meant to be exact. They are
// written after the vendors' public references, named in wire_openai.go,
// wire_anthropic.go and wire_gemini.go with the month they were read; none is a
// recording. It always streams: a question that asks for a whole answer gets a
// stream all the same.
//
// # Paths
//
// One server answers all wires, told apart by path. Every path starts with a
// segment that nobody can guess, so that nobody else on the machine is served:
//
//	POST URL/v1/chat/completions                               openai, also without /v1
//	POST URL/v1/messages                                       anthropic
//	POST URL/v1beta/models/{model}:streamGenerateContent?alt=sse   gemini
//	GET  URL/models, URL/v1/models, URL/v1beta/models          the models, by wire
//
// OpenAI and Anthropic both list their models at /v1/models; a request that
// carries anthropic-version or x-api-key there is Anthropic's.
//
// # Models
//
// Where no script is given, the model's name chooses one (ParseModel); the
// answer is the last user message, said back word by word:
//
//	model = kind [ "-" pace ]      pace: time.ParseDuration, 0 to 10s, between two events
//
//	ok                 an orderly answer
//	429-once 500-once  fails once a question, then answers: a question is known
//	                   by the run in the header X-Client-Request-Id: <run>.<n>, or by
//	                   its body where the header is missing
//	429                always, with Retry-After: 1
//	503                always
//	reset              the connection is reset before a byte is said
//	silent             takes the question and says nothing, no header either
//	slow-first         silent for 3s or, where given, for the pace; then answers at once
//	cut-1 … cut-99     breaks the connection after so many per cent of the bytes
//	stall              says half of the answer, then nothing
//	malformed          an event in the answer is no JSON
//	no-done            ends in good order, but without the wire's end marker
//	context-too-long   refuses the question as too long
//	content-filter     says half of the answer, then stops at a filter
//	error-in-stream    says half of the answer, then an error event
//	flap               good and 503 in turn, over all questions
//	panic              answers as ok does: what panics is the client's business
//
// # Blocking, ordering, bounds
//
// A Server answers every request in a goroutine of net/http; its only own one,
// which accepts, is started through Options.Go. All methods are safe for use
// from any goroutine. A request's header is bounded by 64 KiB, its body by
// 16 MiB and 10 s, what is remembered of questions that failed once by 4096
// entries. No request is kept. Close ends every answer, also one that stalls,
// and returns when the last connection is gone (TestCloseEndsEverything).
package faulty
