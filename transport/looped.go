//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package transport

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// looped is the link of a conn whose descriptor an event loop watches. The
// descriptor is ours alone: net's connection gave it up, so that an idle socket
// costs neither a goroutine nor the runtime's own bookkeeping.
//
// Writes happen wherever Send is called, under the conn's mu, as do those of the
// loop; so does the close, which is why nobody writes to a number that belongs
// to somebody else by then.
type looped struct {
	c    *conn
	loop *loop
	fd   int // -1 = closed. Changed by the loop, under the conn's mu

	// Owned by the loop.
	readable bool // the kernel may have bytes, or an end
	last     bool // the end is there, or behind the bytes: no event will tell of it again
	ended    bool

	// Guarded by the conn's mu.
	pending bool // there is something to read for whoever wants it
	watched bool
	waiting bool // watched for room too, from the first time that there was none

	queued bool // in the loop's list: guarded by its mu
}

// newLooped takes the descriptor out of nc, which is closed in any case.
func newLooped(c *conn, l *loop, nc *net.TCPConn) (*looped, error) {
	fd, err := takeDescriptor(nc)
	if err != nil {
		return nil, err
	}
	return &looped{c: c, loop: l, fd: fd}, nil
}

// takeDescriptor moves the connection to a descriptor of our own: closing the
// first one takes it out of the runtime's poller, and leaves the connection.
func takeDescriptor(nc *net.TCPConn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var err2 error
	err = raw.Control(func(old uintptr) { fd, err2 = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = err2
	}
	if err != nil {
		return -1, err
	}
	_ = nc.Close() // its descriptor only; ours keeps the connection
	return fd, nil
}

// start has the descriptor watched: what the client says comes as an event, but
// for what came together with the handshake.
func (k *looped) start() {
	if k.watch() {
		return
	}
	k.c.cut(protocol.CauseServer) // the loop ends it
}

// watch is nothing for a socket that has ended already.
func (k *looped) watch() bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if k.fd < 0 {
		return true
	}
	k.watched = true
	if k.loop.watch(k) != nil {
		return false
	}
	if len(k.c.rest) > 0 || k.c.state.phase == phaseDead {
		k.loop.wake(k)
	}
	return true
}

// interrupt leaves a socket that is still being opened to start: until then the
// loop knows neither it nor its session.
func (k *looped) interrupt() {
	if k.watched {
		k.loop.wake(k)
	}
}

// attend wakes the loop only where there is something to read by now: what
// comes later comes as an event.
func (k *looped) attend() {
	if k.pending {
		k.pending = false
		k.loop.wake(k)
	}
}

func (k *looped) direct() bool { return true }

func (k *looped) offer(b []byte) (int, error) {
	if k.fd < 0 {
		return 0, net.ErrClosed
	}
	return writeOnce(uintptr(k.fd), b)
}

// flush has the kernel tell when there is room, from now on: most sockets never
// want for it. Where it cannot, the stall timeout ends the socket.
func (k *looped) flush() {
	if k.waiting {
		return
	}
	k.waiting = true
	if k.watched && k.fd >= 0 {
		_ = k.loop.poll.room(k.fd)
	}
}

func (k *looped) shutWrite() { _ = unix.Shutdown(k.fd, unix.SHUT_WR) } // where it fails the close timeout ends the socket

func (k *looped) room(bytes int) {
	_ = unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes) // the kernel's own bound holds where this one is refused
}

// shut closes the descriptor, which also takes it out of the loop's poller. By
// then the loop has forgotten it: the number may be somebody else's at once.
func (k *looped) shut(bool) {
	k.c.mu.Lock()
	fd := k.fd
	k.loop.forget(k)
	k.fd = -1
	k.c.mu.Unlock()
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// turn is one socket's share of the loop's time: it writes what waits, reads
// what came, at most readsPerTurn buffers of it, and ends a dead socket. A panic
// stays inside it.
func (k *looped) turn(writable bool) {
	c := k.c
	defer func() {
		if r := recover(); r != nil {
			c.decoder = nil
			clear(k.loop.buf) // it was not given back: what was read may carry keys
			if c.crashed(r) {
				k.loop.wake(k) // only to drain: see crashed
				return
			}
			k.end()
		}
	}()
	if writable && c.waits() {
		c.writable(k.offer)
	}
	for range readsPerTurn {
		more, alive := k.step()
		if !alive {
			k.end()
			return
		}
		if !more {
			return
		}
	}
	k.loop.wake(k) // others first
}

// step reads and decodes once. It tells whether there may be more to do now, and
// whether the socket goes on.
func (k *looped) step() (more, alive bool) {
	c := k.c
	wanted, alive := k.wants()
	if !wanted || !alive {
		return false, alive
	}
	if len(c.rest) > 0 { // came with the handshake, or behind a request
		k.decode()
		return true, true
	}
	if !k.readable {
		return false, true
	}
	b := k.loop.buf
	n, err := unix.Read(k.fd, b)
	for err == unix.EINTR {
		n, err = unix.Read(k.fd, b)
	}
	switch {
	case err == unix.EAGAIN:
		k.readable = false
		return false, true
	case err != nil || n == 0:
		return false, false
	}
	c.heard.Store(int64(c.set.now()))
	k.readable = n == len(b) || k.last // less than there is room for: that was all, and news comes as an event
	c.rest = b[:n]
	k.decode()
	k.keep(b[:n])
	return true, true
}

// decode lends the loop's decoder to a socket that is between two messages, as
// nearly all are nearly always.
func (k *looped) decode() {
	c := k.c
	if c.decoder == nil {
		k.loop.decoder = c.set.decoder()
		c.decoder = &k.loop.decoder
	}
	c.consume()
	if len(c.rest) == 0 {
		c.rest = nil // an empty slice would hold its array
	}
	switch {
	case !c.decoder.midway():
		c.decoder = nil
	case c.decoder == &k.loop.decoder:
		own := k.loop.decoder
		c.decoder = &own
	}
}

// keep copies what was not decoded out of the loop's buffer, which is wiped:
// questions may carry keys.
func (k *looped) keep(used []byte) {
	if len(k.c.rest) > 0 {
		k.c.rest = append([]byte(nil), k.c.rest...)
	}
	clear(used)
}

func (k *looped) end() {
	if k.ended {
		return
	}
	k.ended = true
	k.c.end()
}

// waits tells whether the link is to write.
func (c *conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.flushing
}

// wants tells whether to read now, and whether the socket lives.
func (k *looped) wants() (wanted, alive bool) {
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted, alive = c.state.wanted || c.state.phase != phaseOpen, c.state.phase != phaseDead
	k.pending = !wanted && (k.readable || len(c.rest) > 0)
	return wanted, alive
}
