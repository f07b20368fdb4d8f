package transport

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// forget wipes what arrived and was not decoded.
func (c *conn) forget() {
	clear(c.rest)
	c.rest = nil
}

// consume decodes what is there, up to the first message that the session has
// to ask for. It tells whether the session was called.
func (c *conn) consume() (delivered bool) {
	for len(c.rest) > 0 {
		if wanted, listening := c.attention(); !listening {
			c.rest = nil
			return delivered
		} else if !wanted {
			return delivered
		}
		rest, ev, err := c.decoder.feed(c.rest)
		c.rest = rest
		if err != nil {
			c.refuse(err)
			return delivered
		}
		if ev.op != ws.OpContinuation {
			c.set.metrics.framesIn.Add(1)
			c.handle(ev)
			delivered = delivered || ev.op.IsData()
		}
	}
	c.stamp()
	return delivered
}

// attention tells whether decoding may go on, and whether anything the client
// says still matters.
func (c *conn) attention() (wanted, listening bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.phase {
	case phaseOpen:
		return c.state.wanted, true
	case phaseClosing:
		return true, true
	default:
		return false, false
	}
}

// stamp tells the sweep since when a message is incomplete.
func (c *conn) stamp() {
	switch {
	case !c.decoder.midway():
		c.began.Store(0)
	case c.began.Load() == 0:
		c.began.Store(int64(c.set.now()))
	}
}

// handle is the table of contents of what a client can say.
func (c *conn) handle(ev event) {
	if ev.op.IsControl() && ev.op != ws.OpClose && !c.control.take(c.set.now()) {
		c.refuse(abused("too many control frames: at most 10 a second"))
		return
	}
	switch ev.op {
	case ws.OpText, ws.OpBinary:
		if c.set.echoes {
			c.echo(ev)
			return
		}
		c.deliver(ev.data)
	case ws.OpPing:
		c.pong(ev.data)
	case ws.OpClose:
		c.closedByPeer(ev.code)
	}
}

// deliver hands one request over. The bytes are wiped before the session sees
// the request, which shares nothing with them.
func (c *conn) deliver(data []byte) {
	c.began.Store(0)
	defer c.decoder.release()
	c.mu.Lock()
	open := c.state.phase == phaseOpen
	if open {
		c.state.wanted = false
	}
	c.mu.Unlock()
	if !open {
		return // we said close: what was under way is not answered any more
	}
	r := protocol.Decode(data, protocol.Bounds{})
	clear(data)
	c.session.Receive(r)
}

// closedByPeer answers a close frame with its own code (1000 when it has none)
// and closes the descriptor once the answer is out.
func (c *conn) closedByPeer(code ws.StatusCode) {
	if code.Empty() {
		code = ws.StatusNormalClosure
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.state.phase == phaseOpen
	c.leave(phaseDraining, protocol.CauseClient)
	c.state.cutAfter = true
	if first {
		c.queueControl(appendClose(nil, code, ""))
	} else if c.state.out == nil {
		c.kill()
	}
}

// refuse fails the socket for what the decoder found.
func (c *conn) refuse(err error) {
	c.forget()
	c.began.Store(0)
	var v *violation
	if errors.As(err, &v) {
		c.fail(v)
	}
}

// crashed logs a panic of this socket's code and fails the socket, and only it.
// It returns true if the socket is still to be drained.
func (c *conn) crashed(p any) bool {
	c.set.metrics.panics.Add(1)
	connection, address := c.who()
	c.set.log.Error().Str("connection", connection).Str("address", address).
		Str("panic", panicText(p)).Bytes("stack", debug.Stack()).
		Msg("WebSocket connection error")
	c.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != phaseOpen {
		return false
	}
	c.failLocked(&violation{
		close: ws.StatusInternalServerError, cause: protocol.CauseServer,
		code: protocol.Internal, reason: string(protocol.Internal),
	})
	return true
}

// who names the client in logs, once its session is open.
func (c *conn) who() (connection, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return "", ""
	}
	return c.session.Who()
}

// panicText says what a panic was about without quoting a value, which may hold
// what a user sent. The runtime's own errors hold only types and numbers.
func panicText(p any) string {
	var err runtime.Error
	if e, ok := p.(error); ok && errors.As(e, &err) {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// end is the last thing a reader does.
func (c *conn) end() {
	defer c.set.remove(c)
	defer c.guard()
	clean, cause := c.bury()
	c.forget()
	if c.decoder != nil {
		c.decoder.release()
	}
	c.link.shut(clean)
	if c.session != nil {
		c.session.Closed(cause)
	}
}

// bury makes Next, Send and Close void and returns the cause. It is clean if
// everything queued was written.
func (c *conn) bury() (clean bool, cause protocol.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(phaseDead, protocol.CauseGone)
	clean = c.state.out == nil
	c.state.out = nil // a flusher may still hold its bytes: it is left to the collector
	c.account()
	return clean, c.state.cause
}

// guard keeps a panic inside one socket. It is deferred by everybody who works
// on a socket and is not its reader.
func (c *conn) guard() {
	if p := recover(); p != nil {
		c.crashed(p)
		c.cut(protocol.CauseServer)
	}
}
