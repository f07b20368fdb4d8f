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
// The descriptors are watched edge-triggered, for reading and writing, from
// their first turn to their close: one system call in a socket's life. What
// does not come as an event, that a session wants its next request or that a
// socket is given up, comes through wake.
type loop struct {
	// Set once.
	poll *poller

	// Owned by run.
	table   []*looped // by descriptor
	buf     []byte
	decoder decoder
	turns   []*looped

	mu     sync.Mutex
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
			if e.fd < len(l.table) && l.table[e.fd] != nil {
				k := l.table[e.fd]
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
		if l.watch(k) {
			k.turn(false)
		}
	}
	clear(l.turns) // a socket that ends must not be kept alive by the list
}

// watch begins to watch a socket at its first turn. One that cannot be watched
// is ended.
func (l *loop) watch(k *looped) bool {
	if k.watched || k.ended {
		return !k.ended
	}
	k.watched = true
	for k.fd >= len(l.table) {
		l.table = append(l.table, make([]*looped, max(64, len(l.table)))...)
	}
	l.table[k.fd] = k
	if err := l.poll.add(k.fd); err != nil {
		k.end()
		return false
	}
	return true
}

// forget stops looking for a socket, before its descriptor is closed.
func (l *loop) forget(k *looped) {
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
