package transport

import "sync/atomic"

// edgeMetrics counts what happens between the sockets and the actors. All
// sockets of one server share it; every field is safe for concurrent use.
// Counters only grow; outboxBytes is a gauge that returns to zero when every
// client has read what it was sent.
type edgeMetrics struct {
	handshakesOK   atomic.Uint64 // upgrades answered 101
	handshakesBad  atomic.Uint64 // upgrades refused by RFC 6455's rules (400, 405, 426) or while stopping (503)
	pings          atomic.Uint64 // pings sent to silent clients
	slowConsumers  atomic.Uint64 // sockets cut because their outbox bound or its 30 s without progress was reached
	protocolErrors atomic.Uint64 // sockets failed because the client broke RFC 6455 or a bound
	panics         atomic.Uint64 // panics caught at the edge, each of which ended one socket
	framesIn       atomic.Uint64 // messages and control frames received whole
	framesOut      atomic.Uint64 // frames queued, before chunks are joined
	writes         atomic.Uint64 // write(2) calls, or Write calls where a connection has no descriptor of its own (TLS)
	outboxBytes    atomic.Int64  // bytes that wait for slow readers, all sockets together
}
