package transport

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// streamWrite is the most that a flusher without a descriptor writes at once:
// one TLS record, so that progress is seen.
const streamWrite = 16 << 10

// parked is the link of a conn with a goroutine of its own, which waits in a
// read as long as the socket lives. A flusher goroutine lives only while the
// kernel takes no more. It is the only link for TLS and on systems without an
// event loop.
type parked struct {
	// Set once.
	c   *conn
	nc  net.Conn
	raw rawConn

	// Owned by the reader.
	buf     []byte // from the pool; nil while parked in a raw read
	op      rawRead
	decoder decoder

	wake sync.Cond // on the conn's mu: wanted or phase changed
}

func newParked(c *conn, nc net.Conn) *parked {
	p := &parked{c: c, nc: nc, raw: newRawConn(nc), decoder: c.set.decoder()}
	p.wake.L = &c.mu
	c.decoder = &p.decoder
	return p
}

func (p *parked) start()     { go p.receive(false) }
func (p *parked) attend()    { p.wake.Broadcast() }
func (p *parked) interrupt() { _ = p.nc.SetDeadline(time.Unix(1, 0)) } // long past; on a dead connection there is nobody to wake

// receive is the reader goroutine.
//
// A goroutine keeps the deepest stack it ever had, and decoding a request and
// calling the session is deep. So one that did that does not park for bytes
// again: it hands the connection to a fresh one, for a microsecond a request.
func (p *parked) receive(drain bool) {
	c, handedOver := p.c, false
	defer func() {
		switch r := recover(); {
		case handedOver:
		case r != nil && c.crashed(r):
			go p.receive(true) // only to drain: see crashed
		default:
			c.end()
		}
	}()
	for deep := drain; p.mayRead(); {
		if deep && len(c.rest) == 0 {
			handedOver = true
			go p.receive(false)
			return
		}
		if p.fill() != nil {
			return
		}
		deep = c.consume() || deep
	}
}

// mayRead parks until the session wants a request or the socket is on its way
// out, and returns false when there is nothing left to read for.
func (p *parked) mayRead() bool {
	c := p.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.state.wanted && c.state.phase == phaseOpen {
		p.wake.Wait()
	}
	return c.state.phase != phaseDead
}

// fill makes sure that there is something to decode. It parks.
func (p *parked) fill() error {
	if len(p.c.rest) > 0 {
		return nil
	}
	p.release()
	buf, err := p.readSome()
	if err != nil {
		return err
	}
	p.buf, p.c.rest = buf, buf
	p.c.heard.Store(int64(p.c.set.now()))
	return nil
}

func (p *parked) readSome() ([]byte, error) {
	if p.raw.ok() {
		return p.raw.read(&p.op, p.c.set.buffers)
	}
	buf := p.c.set.buffers.small()
	n, err := p.nc.Read(buf)
	if n > 0 {
		return buf[:n], nil // an error comes again
	}
	p.c.set.buffers.put(buf, 0)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

// release gives the read buffer back, wiped.
func (p *parked) release() {
	if p.buf != nil {
		p.c.set.buffers.put(p.buf, len(p.buf))
		p.buf = nil
	}
}

func (p *parked) direct() bool { return p.raw.ok() }

func (p *parked) offer(b []byte) (int, error) { return p.raw.write(b, p.c.set.buffers) }

func (p *parked) flush() { go p.flushAll() }

// flushAll is the flusher goroutine: it writes until nothing waits.
func (p *parked) flushAll() {
	defer p.c.guard()
	if !p.raw.ok() {
		p.flushStream()
		return
	}
	if err := p.raw.whenWritable(p.c.writable); err != nil {
		p.c.cut(protocol.CauseGone) // killed, as a rule: then the cause is known already
	}
}

// flushStream does the same where writing may wait: outside the lock, a record
// at a time.
func (p *parked) flushStream() {
	for {
		b := p.c.lend()
		if b == nil {
			return
		}
		n, err := p.nc.Write(b)
		if p.c.giveBack(n, err) {
			p.shutWrite()
		}
	}
}

func (p *parked) shutWrite() {
	if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // where it fails the close timeout ends the socket
	}
}

func (p *parked) room(bytes int) {
	nc := p.nc
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = inner.NetConn()
	}
	if tcp, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
		_ = tcp.SetWriteBuffer(bytes) // the kernel's own bound holds where this one is refused
	}
}

func (p *parked) shut(clean bool) {
	p.release()
	if inner, ok := p.nc.(interface{ NetConn() net.Conn }); ok && !clean {
		_ = inner.NetConn().Close() // a TLS goodbye would wait for the peer
	}
	_ = p.nc.Close() // it is given up: there is nobody to tell
}
