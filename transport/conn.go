package transport

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	closeTimeout   = 5 * time.Second  // from our close frame to the peer's, or to the end of the queue
	stallTimeout   = 30 * time.Second // without a byte of progress while something waits
	messageTimeout = 10 * time.Second // from a message's first byte to its last

	// sendBuffer bounds what the kernel queues for one client. Without it the
	// outbox bound would be a fiction: the kernel alone may queue megabytes.
	sendBuffer = 64 << 10
)

// phase is how far a socket is on its way out. It only grows.
type phase uint8

const (
	phaseOpen     phase = iota
	phaseClosing        // our close frame is queued or sent; messages are ignored until the peer's comes
	phaseDraining       // nothing the peer says matters any more; what is queued still goes out
	phaseDead           // the reader is about to close the descriptor
)

// link is how a conn reaches its descriptor. There are two: parked, a goroutine
// that waits in a read, and looped, an event loop that watches many. Whichever
// it is, it is the reader: it alone feeds the decoder, calls the session, closes
// the descriptor and calls end, once. But for start and shut, every method is
// called under the conn's mu, and none blocks.
type link interface {
	// start begins to read. Called once, after the session was opened.
	start()
	// attend tells the reader that a request is wanted or the phase has changed.
	attend()
	// interrupt makes the reader, and a flusher, give up at once: phaseDead.
	interrupt()

	// direct tells whether offer is possible. It never changes.
	direct() bool
	// offer gives b to the kernel once; 0 bytes and no error: it takes none now.
	offer(b []byte) (int, error)
	// flush has what waits written as the kernel takes it. Called once for each
	// time that state.flushing is set.
	flush()

	// shutWrite ends our direction. On TLS it writes, and may therefore wait.
	shutWrite()
	// room bounds what the kernel queues for the client.
	room(bytes int)
	// shut closes the descriptor. Not clean: bytes were lost, so no goodbye.
	shut(clean bool)
}

// conn is one WebSocket: the Socket of one session.
//
// The reader of its link feeds what arrives to consume, which decodes it and
// calls the session. Everybody else (the session, the sweep) changes the state
// under mu and goes on: no method blocks on the network.
//
// Flow. One request is outstanding at a time: after Receive nothing is read
// until Next, with at most one read buffer of further bytes in hand; the rest
// stays in the kernel, and TCP slows the client down. While it waits for Next it
// reads nothing, so it notices neither FIN, RST nor pongs and no ping is sent; a
// peer that went away is noticed at Next, or by a write that fails.
//
// End. phase and cause are set by whoever decides first. The descriptor is
// closed after both close frames have passed, or after closeTimeout.
type conn struct {
	// Set once, before the reader starts.
	set     *sockets
	link    link
	session Session // nil before it is open; set under mu, for those who do not wait for the reader

	place int // among all sockets: guarded by their mu

	// Owned by the reader.
	rest    []byte   // arrived and not decoded yet
	decoder *decoder // nil between messages, on an event loop
	control rate

	// Moments of the sockets' clock, for the sweep.
	heard atomic.Int64 // the last byte from the client; before the first Next when it was opened
	began atomic.Int64 // the first byte of the message under way; 0 = none

	mu    sync.Mutex
	state connState // guarded by mu
}

// connState is the part of a conn that its mutex guards.
type connState struct {
	phase    phase
	admitted bool // Next was called once
	wanted   bool // the reader may read and hand over one request
	flushing bool // the link writes what waits
	cutAfter bool // close the descriptor as soon as the queue is empty
	halfOpen bool // shut our direction as soon as the queue is empty
	cause    protocol.Cause
	out      *outbox // nil while nothing waits
	counted  int     // bytes of out that the gauge knows of
	pinged   time.Duration
	leaving  time.Duration // when phase left phaseOpen
}

func newConn(s *sockets, early []byte) *conn {
	now := s.now()
	k := &conn{
		set:     s,
		rest:    early,
		control: newRate(now),
	}
	k.heard.Store(int64(now))
	return k
}

// Next implements Socket.
func (c *conn) Next() {
	now := c.set.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.admitted, c.state.wanted = true, true
	c.state.pinged = 0
	c.heard.Store(int64(now)) // it could not be heard while nobody read
	c.link.attend()
}

// Close implements Socket.
func (c *conn) Close(code protocol.Code) {
	status, reason := ws.StatusNormalClosure, ""
	if code != "" {
		reason = string(code)
		if n := protocol.Lookup(code).Close; n != 0 {
			status = ws.StatusCode(n)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != phaseOpen {
		return
	}
	c.leave(phaseClosing, protocol.CauseServer)
	c.queueControl(appendClose(nil, status, reason))
}

// fail ends a socket whose client, or whose own code, broke a rule: an error
// frame where v has a code, the close frame, then our direction is shut. Bytes
// of the client are thrown away until it ends too; without that a reset could
// overtake the close frame.
func (c *conn) fail(v *violation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(v)
}

func (c *conn) failLocked(v *violation) {
	switch c.state.phase {
	case phaseOpen:
	case phaseClosing: // our close frame is out: there is nothing more to say
		c.state.phase = phaseDraining
		c.kill()
		return
	default:
		return
	}
	if v.cause == protocol.CauseProtocol || v.cause == protocol.CauseTooBig {
		c.set.metrics.protocolErrors.Add(1)
	}
	c.leave(phaseDraining, v.cause)
	c.state.halfOpen = true
	if v.code != "" {
		c.outbox().add(&protocol.Frame{Type: protocol.TypeError, Code: v.code, Message: c.explain(v)}, false)
		c.set.metrics.framesOut.Add(1)
		c.set.told(v.code)
	}
	c.queueControl(appendClose(nil, v.close, v.reason))
}

// explain is the sentence of the error frame in front of a close frame.
func (c *conn) explain(v *violation) string {
	switch v.cause {
	case protocol.CauseTooBig:
		return "The message is larger than " + strconv.Itoa(c.set.cfg.MaxMessageBytes) +
			" bytes. Send a shorter one, or raise websocket.max_message_bytes."
	case protocol.CauseAdmission:
		return "The server did not admit this connection within " + c.set.cfg.HandshakeTimeout.String() +
			". Connect again."
	default:
		return "The server failed on this connection. Connect again; what was running can be resumed."
	}
}

// leave moves on from phaseOpen. The first cause stays.
func (c *conn) leave(to phase, cause protocol.Cause) {
	if c.state.phase == phaseOpen {
		c.state.leaving = c.set.now()
	}
	c.state.phase = max(c.state.phase, to)
	c.blame(cause)
	c.link.attend()
}

func (c *conn) blame(cause protocol.Cause) {
	if c.state.cause == 0 {
		c.state.cause = cause
	}
}

// kill makes the link give up at once. It does not close the descriptor itself:
// that is the reader's.
func (c *conn) kill() {
	if c.state.phase == phaseDead {
		return
	}
	c.leave(phaseDead, 0)
	c.link.interrupt()
}

// cut ends a socket without a word.
func (c *conn) cut(cause protocol.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blame(cause)
	c.kill()
}
