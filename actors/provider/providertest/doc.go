// Package providertest is a model vendor for tests: an HTTP server that speaks
// the openai wire as a script tells it, faults included.
//
// The shapes are written after the vendor's public reference,
// https://platform.openai.com/docs/api-reference/chat-streaming and
// https://platform.openai.com/docs/guides/error-codes; none is a recording.
//
// A Server answers every request in its own goroutine, as net/http does. All
// methods are safe for use from any of them. Closing the server, which the
// test's Cleanup does, ends every answer, also one that stalls.
package providertest
