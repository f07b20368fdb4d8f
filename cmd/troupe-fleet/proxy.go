package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// acceptPause keeps a proxy that is out of descriptors from spinning.
const acceptPause = 20 * time.Millisecond

// proxy is the wire between one process and one NATS server: plain TCP on
// 127.0.0.1, each connection passed on to the target in both directions. A
// target that cannot be reached closes the connection.
//
// Its methods may be called from any goroutine and return at once, but for
// close. It starts two goroutines a connection and holds at most 64 KiB and one
// unfinished message of each; what it does not take stays in the sender's follow.Record.
type proxy struct {
	target   string
	listener net.Listener
	ctx      context.Context // ends with close
	stop     context.CancelFunc
	crew     crew.Crew

	tampering atomic.Pointer[tamper]
	refusing  atomic.Bool

	mu    sync.Mutex
	wires map[*wire]struct{}
	pass  chan struct{} // closed while bytes may move
}

// newProxy listens on a free port and passes everything to target, host:port.
func newProxy(target string) (*proxy, error) {
	if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, fmt.Errorf("proxy: the target must be host:port: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &proxy{target: target, listener: l, wires: map[*wire]struct{}{}, pass: make(chan struct{})}
	close(p.pass)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.crew.Start("proxy accept", p.accept)
	return p, nil
}

// addr is the host and port that the process is given for the server.
func (p *proxy) addr() string { return p.listener.Addr().String() }

// cut closes every connection now, with a reset, black hole or not. Later ones
// pass.
func (p *proxy) cut() {
	for _, w := range p.open() {
		w.close()
	}
}

// blackHole holds every byte back, in both directions, and the end of a
// connection as well. New connections are accepted and hear nothing. Off: all of
// it goes on, nothing is lost. What was being written at the moment of on is
// still written.
func (p *proxy) blackHole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.pass:
		if on {
			p.pass = make(chan struct{})
		}
	default:
		if !on {
			close(p.pass)
		}
	}
}

// refuse closes new connections at once. Those there are stay.
func (p *proxy) refuse(on bool) { p.refusing.Store(on) }

// tamper changes what servers' messages meet from the next one on; nil is off.
// Messages that are already late stay late.
func (p *proxy) tamper(t *tamper) { p.tampering.Store(t) }

// failure is the panic of one of the proxy's goroutines, if ever.
func (p *proxy) failure() error {
	if failed := p.crew.Failures(); len(failed) > 0 {
		return fmt.Errorf("proxy to %s: %s", p.target, failed[0])
	}
	return nil
}

// close ends the listener and every connection, and waits for the goroutines.
func (p *proxy) close() {
	p.stop()
	_ = p.listener.Close()
	p.cut()
	p.crew.Wait()
}

func (p *proxy) accept() {
	defer func() { _ = p.listener.Close() }()
	for {
		conn, err := p.listener.Accept()
		switch {
		case err == nil && p.refusing.Load():
			reset(conn)
		case err == nil:
			p.admit(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if !crew.Sleep(p.ctx, acceptPause) {
				return
			}
		}
	}
}

// admit gives a connection its wire, unless the proxy is closing.
func (p *proxy) admit(conn net.Conn) {
	w := newWire(p, conn)
	p.mu.Lock()
	closing := p.ctx.Err() != nil // close stops before it cuts: no wire slips through
	if !closing {
		p.wires[w] = struct{}{}
	}
	p.mu.Unlock()
	if closing {
		w.close()
		return
	}
	p.crew.Start("proxy wire", w.run)
}

func (p *proxy) forget(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wires, w)
}

func (p *proxy) open() []*wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.wires))
}

// passing is closed while bytes may move.
func (p *proxy) passing() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass
}
