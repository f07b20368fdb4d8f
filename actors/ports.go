package actors

import "github.com/troupe-chat/troupe/transport/protocol"

// Socket is what a connection holds of its client. The connection calls it from
// one goroutine at a time; no method blocks.
type Socket interface {
	// Next asks for one more request of the client. Until the first Next
	// nothing is read.
	Next()
	// Send queues a frame. The socket borrows the frame and its Text until it
	// returns, and cuts a client that reads too slowly by itself.
	Send(f *protocol.Frame)
	// Queue is Send for a frame that another one follows at once: it may wait
	// for that Send, so that both go out together.
	Queue(f *protocol.Frame)
	// Close ends the socket after everything queued is written. The code's
	// table entry gives the WebSocket close code; an empty code closes 1000.
	Close(code protocol.Code)
}
