package transport

import (
	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Send implements Socket. With nothing waiting the frame goes out in one
// write(2) on the caller's goroutine; otherwise it is queued.
func (c *conn) Send(f *protocol.Frame) {
	if f.Type == protocol.TypeError {
		c.set.told(f.Code)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enqueue(f) {
		c.push()
	}
}

// Queue implements Socket. What waits goes out with the frame that follows.
func (c *conn) Queue(f *protocol.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enqueue(f) && c.state.out.pending() >= queueWrite {
		c.push()
	}
}

// queueWrite is how much may wait for the frame that follows at once.
const queueWrite = 16 << 10

// enqueue puts a frame into the outbox, or ends a client that does not read.
func (c *conn) enqueue(f *protocol.Frame) bool {
	if c.state.phase != phaseOpen {
		return false
	}
	if !c.outbox().add(f, c.state.flushing || !c.link.direct()) {
		c.slow()
		return false
	}
	c.set.metrics.framesOut.Add(1)
	return true
}

// pong answers a ping. Like any frame it must fit into the outbox.
func (c *conn) pong(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.phase != phaseOpen:
	case !c.outbox().fits(len(payload)):
		c.slow()
	default:
		c.queueControl(appendControl(nil, ws.OpPong, payload))
	}
}

// outbox returns the queue, with a clock that starts now if it is new.
func (c *conn) outbox() *outbox {
	if c.state.out == nil {
		c.state.out = c.set.buffers.outbox(c.set.cfg.OutboxBytes)
		c.state.out.progress = c.set.now()
	}
	return c.state.out
}

// queueControl queues an encoded control frame behind everything else.
func (c *conn) queueControl(frame []byte) {
	c.outbox().addEncoded(frame)
	c.set.metrics.framesOut.Add(1)
	c.push()
}

// push writes what the kernel takes now and leaves the rest to a flusher.
func (c *conn) push() {
	if !c.state.flushing {
		if c.link.direct() {
			c.writeNow()
		}
		if c.state.out != nil {
			c.state.flushing = true
			c.link.flush()
		}
	}
	c.account()
}

// writeNow offers everything queued to the kernel in one write.
func (c *conn) writeNow() {
	b := c.state.out.take(0)
	c.set.metrics.writes.Add(1)
	n, err := c.link.offer(b)
	c.wrote(n, err)
}

// wrote books the outcome of a write.
func (c *conn) wrote(n int, err error) {
	c.state.out.wrote(n, c.set.now())
	switch {
	case err != nil:
		c.deaf()
	case c.state.out.empty():
		c.emptied()
	}
}

// deaf gives up writing after an error. The peer's close frame, or its end, may
// still be unread: the reader finds out which, within closeTimeout.
func (c *conn) deaf() {
	c.state.out = nil
	c.leave(phaseClosing, 0)
	if c.state.phase == phaseDraining {
		c.kill()
	}
}

// emptied runs when the last queued byte is written.
func (c *conn) emptied() {
	c.set.buffers.putOutbox(c.state.out)
	c.state.out = nil
	switch {
	case c.state.cutAfter:
		c.kill()
	case c.state.halfOpen && c.link.direct():
		c.link.shutWrite()
	}
}

// account tells the gauge what waits now.
func (c *conn) account() {
	waiting := 0
	if c.state.out != nil {
		waiting = c.state.out.pending()
	}
	c.set.metrics.outboxBytes.Add(int64(waiting - c.state.counted))
	c.state.counted = waiting
}

// slow ends a client that does not read. What it has not begun to receive is
// dropped; for the rest of a begun frame and the close frame the kernel gets a
// little more room, so that even a client that is far behind finds the reason
// when it gets there. Usually that takes all of it and the socket is cut in
// this very call.
func (c *conn) slow() {
	c.set.metrics.slowConsumers.Add(1)
	c.leave(phaseDraining, protocol.CauseSlowConsumer)
	c.state.cutAfter = true
	out := c.outbox()
	out.abandon()
	out.addEncoded(appendClose(nil, ws.StatusCode(protocol.Lookup(protocol.SlowConsumer).Close), string(protocol.SlowConsumer)))
	c.link.room(2*sendBuffer + 2*out.pending())
	if c.link.direct() {
		c.writeNow()
	}
	if c.state.out != nil {
		c.push()
	}
	c.account()
}

// writable writes until the kernel takes no more or nothing waits, and tells
// whether it is the latter.
func (c *conn) writable(write func([]byte) (int, error)) (done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.account()
	for c.state.out != nil && c.state.phase != phaseDead {
		c.set.metrics.writes.Add(1)
		n, err := write(c.state.out.take(0))
		c.wrote(n, err)
		if n == 0 && err == nil {
			return false
		}
	}
	c.state.flushing = false
	return true
}

// lend takes bytes to a write that may wait; nil ends the flusher.
func (c *conn) lend() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.out == nil || c.state.phase == phaseDead {
		c.state.flushing = false
		return nil
	}
	c.set.metrics.writes.Add(1)
	return c.state.out.take(streamWrite)
}

// giveBack books a write and tells whether our direction is to be shut.
func (c *conn) giveBack(n int, err error) (shut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.account()
	if c.state.out == nil { // buried meanwhile
		return false
	}
	c.wrote(n, err)
	return c.state.out == nil && c.state.halfOpen && c.state.phase == phaseDraining
}
