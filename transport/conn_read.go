package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// intake is what the reader holds of the bytes that arrived.
type intake struct {
	buf  []byte // from the pool; nil while parked in a raw read
	rest []byte // not decoded yet: a part of buf, or what came with the handshake
	op   rawRead
	deep bool // this goroutine handled a request
}

// receive is the reader goroutine.
//
// A goroutine keeps the deepest stack it ever had, and decoding a request and
// calling the session is deep. So one that did that does not park for bytes
// again: it hands the connection to a fresh one, for a microsecond a request.
func (c *conn) receive() {
	handedOver := false
	defer func() {
		switch p := recover(); {
		case handedOver:
		case p != nil && c.crashed(p):
			go c.receive() // only to drain: see crashed
		default:
			c.end()
		}
	}()
	for c.mayRead() {
		if c.in.deep && len(c.in.rest) == 0 {
			c.in.deep, handedOver = false, true
			go c.receive()
			return
		}
		if c.fill() != nil {
			return
		}
		c.consume()
	}
}

// mayRead parks until the session wants a request or the socket is on its way
// out, and returns false when there is nothing left to read for.
func (c *conn) mayRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.state.wanted && c.state.phase == phaseOpen {
		c.wake.Wait()
	}
	return c.state.phase != phaseDead
}

// fill makes sure that there is something to decode. It parks.
func (c *conn) fill() error {
	if len(c.in.rest) > 0 {
		return nil
	}
	c.release()
	buf, err := c.readSome()
	if err != nil {
		return err
	}
	c.in.buf, c.in.rest = buf, buf
	c.heard.Store(int64(c.set.now()))
	return nil
}

func (c *conn) readSome() ([]byte, error) {
	if c.raw.ok() {
		return c.raw.read(&c.in.op, c.set.buffers)
	}
	buf := c.set.buffers.small()
	n, err := c.nc.Read(buf)
	if n > 0 {
		return buf[:n], nil // an error comes again
	}
	c.set.buffers.put(buf, 0)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

// release gives the read buffer back, wiped.
func (c *conn) release() {
	clear(c.in.rest)
	c.in.rest = nil
	if c.in.buf != nil {
		c.set.buffers.put(c.in.buf, len(c.in.buf))
		c.in.buf = nil
	}
}

// consume decodes what is there, up to the first message that the session has
// to ask for.
func (c *conn) consume() {
	for len(c.in.rest) > 0 {
		if wanted, listening := c.attention(); !listening {
			c.in.rest = nil
			return
		} else if !wanted {
			return
		}
		rest, ev, err := c.decoder.feed(c.in.rest)
		c.in.rest = rest
		if err != nil {
			c.refuse(err)
			return
		}
		if ev.op != ws.OpContinuation {
			c.set.metrics.framesIn.Add(1)
			c.handle(ev)
		}
	}
	c.stamp()
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
	case ws.OpText:
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
	c.in.deep = true
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
	c.release()
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
	c.set.log.Error().Str("connection", c.id).Str("address", c.address).
		Str("panic", panicText(p)).Bytes("stack", debug.Stack()).
		Msg("WebSocket connection error")
	c.in = intake{}
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
	c.release()
	c.decoder.release()
	if inner, ok := c.nc.(interface{ NetConn() net.Conn }); ok && !clean {
		_ = inner.NetConn().Close() // a TLS goodbye would wait for the peer
	}
	_ = c.nc.Close() // it is given up: there is nobody to tell
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

// guard keeps a panic inside one socket. It is deferred by every goroutine
// that receive does not cover.
func (c *conn) guard() {
	if p := recover(); p != nil {
		c.crashed(p)
		c.cut(protocol.CauseServer)
	}
}
