//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package transport

import (
	"context"
	"net"
	"sync"
)

const (
	loopBuffer   = 64 << 10
	loopEvents   = 256
	readsPerTurn = 4 // buffers that one socket may fill before others have their turn
)

// loop reads for many sockets on one goroutine. It never waits for a socket, a
// session or a lock that is held while somebody waits; what a client may make it
// do at once is bounded by readsPerTurn and websocket.max_message_bytes.
//
// The descriptors are watched edge-triggered from start to close: one system
// call in a socket's life, and a second one where the kernel's buffer fills up.
// What does not come as an event, that a session wants its next request or that
// a socket is given up, comes through wake.
type loop struct {
	// Set once.
	poll *poller

	// Owned by run.
	buf     []byte
	decoder decoder
	turns   []*looped

	mu     sync.Mutex
	table  []*looped // by descriptor
	queue  []*looped
	rung   bool // the poller was told of the queue
	closed bool
}

func newLoop() (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &loop{poll: p, buf: make([]byte, loopBuffer)}, nil
}

// wake gives a socket a turn soon.
func (l *loop) wake(k *looped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.queued || l.closed {
		return
	}
	k.queued = true
	l.queue = append(l.queue, k)
	if !l.rung {
		l.rung = true
		l.poll.ring()
	}
}

// run serves until ctx ends. By then all sockets are gone.
func (l *loop) run(ctx context.Context) {
	defer context.AfterFunc(ctx, l.ring)()
	events := make([]pollEvent, loopEvents)
	for ctx.Err() == nil {
		n := l.poll.wait(events)
		for _, e := range events[:n] {
			if k := l.find(e.fd); k != nil {
				k.readable = k.readable || e.readable
				k.last = k.last || e.ended
				k.turn(e.writable)
			}
		}
		l.serveWoken()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.poll.close()
}

// ring makes run look whether it is over.
func (l *loop) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.poll.ring()
	}
}

// serveWoken gives each socket that was woken until now one turn. Those that
// are woken meanwhile come after the next events.
func (l *loop) serveWoken() {
	l.mu.Lock()
	l.turns, l.queue = l.queue, l.turns[:0]
	l.rung = false
	for _, k := range l.turns {
		k.queued = false
	}
	l.mu.Unlock()
	for _, k := range l.turns {
		if !k.ended {
			k.turn(false)
		}
	}
	clear(l.turns) // a socket that ends must not be kept alive by the list
}

// watch begins to watch a socket. The caller holds the conn's mu.
func (l *loop) watch(k *looped) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	for k.fd >= len(l.table) {
		l.table = append(l.table, make([]*looped, max(64, len(l.table)))...)
	}
	l.table[k.fd] = k // before its first event
	return l.poll.add(k.fd, k.waiting)
}

// find is whose descriptor it is; nil: of one that is gone.
func (l *loop) find(fd int) *looped {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd >= len(l.table) {
		return nil
	}
	return l.table[fd]
}

// forget stops looking for a socket, before its descriptor is closed.
func (l *loop) forget(k *looped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.fd >= 0 && k.fd < len(l.table) && l.table[k.fd] == k {
		l.table[k.fd] = nil
	}
}

// link takes a connection's descriptor over.
func (l *loop) link(c *conn, nc *net.TCPConn) (link, error) {
	k, err := newLooped(c, l, nc)
	if err != nil {
		return nil, err
	}
	return k, nil
}
