// Package providertest is the faulty vendor for tests: the same engine as
// package faulty, started and closed with a test, which can wait for what the
// vendor sees and look at what it was asked.
//
// A Server speaks the wires of all vendors at once and minds no missing key. It
// answers every request in its own goroutine, as net/http does. All methods are
// safe for use from any of them. Closing the server, which the test's Cleanup
// does, ends every answer, also one that stalls.
package providertest
