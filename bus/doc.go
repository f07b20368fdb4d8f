// Package bus is how gateways and workers speak: NATS, and everything that
// knows NATS. Nothing else in the project imports a NATS client.
//
// Ordering. One Bus is one connection. What one goroutine publishes arrives in
// that order. All that is meant for a gateway (replies and events) arrives on
// one subscription and is handed to one goroutine, so a reply that was sent
// before an event is seen before it. Events of an Outgoing keep their order per
// gateway. Nothing is promised between two subscriptions.
//
// Blocking. Publishing copies into the client's buffer and returns. It waits
// only while the client writes to a server that has stopped reading, and then
// two seconds at most before the connection is given up. Handlers run on the
// subscription's goroutine: a handler that blocks holds up its subscription,
// and past its pending bounds messages are dropped and counted.
//
// Buffering. Nothing is kept for a server that is away: publishing then fails
// with ErrDisconnected, so no stale question is asked after an outage. What a
// run has said is healed from its transcript, not from here.
//
// Ownership. Encoded bytes are copied before a publishing call returns; its
// arguments stay the caller's. What a handler is given belongs to the handler,
// except the Event of a GatewayHandler, which is borrowed until it returns (its
// Text may be kept).
//
// Panics. A handler that panics loses the one message or event it was given;
// the stack is logged and Panics counts it.
package bus
