package transport

import "github.com/troupe-chat/troupe/transport/protocol"

// Gateway is what the transport needs from the house of actors.
// None of its methods blocks.
type Gateway interface {
	// Open introduces a client and its socket. The answer arrives at the
	// socket: Next when the client is admitted, an error frame and Close when
	// not. The transport calls Session.Closed exactly once, whoever ends it.
	Open(s Socket, c protocol.Client) Session

	Status() protocol.Status
	Health() protocol.Health
	// Ready is what /readyz asks; the string says why not.
	Ready() (bool, string)
	Offers() []protocol.Offer
	// ResetLimits clears every window, the fallback and what offenders did, and
	// tells how many keys went.
	ResetLimits() int
	// Offended counts a handshake that was made to break the protocol against its
	// client's address. There is no session of it.
	Offended(c protocol.Client)
	// Product tells the name of a configured product; ok is false for an id
	// that a configured table does not hold. An empty table knows every id.
	Product(id string) (name string, ok bool)
}

// Session takes what a client says to its connection actor. It never blocks.
type Session interface {
	// Who names the client in logs.
	Who() (connection, address string)
	// Receive hands over one request. The socket reads on after its Next.
	Receive(r protocol.Request)
	// Closed says that the socket is gone and why. Called exactly once; nothing
	// is sent to the socket afterwards.
	Closed(cause protocol.Cause)
}

// Socket is what a connection actor holds of its client. Safe for use by one
// goroutine at a time; no method blocks.
type Socket interface {
	// Next asks for one more request. Until the first Next nothing is read.
	Next()
	// Send queues a frame. The frame and its Text are borrowed until it returns.
	// A client that reads too slowly is cut by the socket itself.
	Send(f *protocol.Frame)
	// Queue is Send for a frame that another one follows at once: it may wait
	// for that Send, so that both go out in one write.
	Queue(f *protocol.Frame)
	// Close ends the socket after everything queued is written. The code's
	// table entry gives the WebSocket close code; an empty code closes 1000.
	Close(code protocol.Code)
}
