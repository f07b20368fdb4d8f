package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// pieceSize is what one read takes from a socket.
	pieceSize = 32 << 10

	// reachTimeout is for a target whose machine does not answer.
	reachTimeout = 5 * time.Second
)

// wire is one connection through a proxy. An end of the stream travels on like
// its bytes do; a broken connection breaks the other one.
type wire struct {
	proxy  *proxy
	ctx    context.Context // ends with close
	stop   context.CancelFunc
	client net.Conn

	mu     sync.Mutex
	server net.Conn // nil until dialled
}

func newWire(p *proxy, client net.Conn) *wire {
	w := &wire{proxy: p, client: client}
	w.ctx, w.stop = context.WithCancel(p.ctx)
	return w
}

// run owns the wire from the dial to its end.
func (w *wire) run() {
	defer w.proxy.forget(w)
	defer w.close()
	if !w.gate() {
		return
	}
	dialer := net.Dialer{Timeout: reachTimeout}
	server, err := dialer.DialContext(w.ctx, "tcp", w.proxy.target)
	if err != nil || !w.attach(server) {
		return
	}
	upEnded := make(chan struct{})
	w.proxy.crew.Start("proxy wire up", func() {
		defer close(upEnded)
		ended := false
		defer func() {
			if !ended { // a panic: down must not wait for ever
				w.close()
			}
		}()
		w.up(server)
		ended = true
	})
	w.down(server)
	<-upEnded
}

// attach keeps the dialled end, unless the wire was closed meanwhile.
func (w *wire) attach(server net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		reset(server)
		return false
	}
	w.server = server
	return true
}

// up moves the client's bytes, untouched.
func (w *wire) up(server net.Conn) {
	piece := make([]byte, pieceSize)
	for {
		n, err := w.client.Read(piece)
		if !w.gate() || !w.write(server, piece[:n]) {
			return
		}
		if err != nil {
			w.end(server, err)
			return
		}
	}
}

// down moves the server's bytes through the tamperer, which may want some sent
// later: a read then lasts no longer than that.
func (w *wire) down(server net.Conn) {
	var x tamperer
	piece := make([]byte, pieceSize)
	for {
		_ = server.SetReadDeadline(x.next()) // fails on a closed connection, as the read does
		n, err := server.Read(piece)
		if !w.gate() {
			return
		}
		out := x.feed(w.proxy.tampering.Load(), piece[:n], time.Now())
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if w.write(w.client, out) && w.write(w.client, x.rest()) {
				w.end(w.client, err)
			}
			return
		}
		if !w.write(w.client, out) {
			return
		}
	}
}

// gate waits while the proxy is a black hole. False: the wire is closed.
func (w *wire) gate() bool {
	select {
	case <-w.proxy.passing():
		return w.ctx.Err() == nil
	case <-w.ctx.Done():
		return false
	}
}

// write passes bytes on, and breaks the wire when the other side takes none.
func (w *wire) write(to net.Conn, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if _, err := to.Write(b); err != nil {
		w.close()
		return false
	}
	return true
}

// end passes on how one side stopped talking: a proper end is one for the other
// side too, and its answers still travel; anything else breaks the wire.
func (w *wire) end(to net.Conn, err error) {
	half, ok := to.(*net.TCPConn)
	if !ok || !errors.Is(err, io.EOF) || half.CloseWrite() != nil {
		w.close()
	}
}

// close breaks both sides at once; a second call does nothing.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
	reset(w.client)
	if w.server != nil {
		reset(w.server)
	}
}

// reset closes a connection with an RST: what was not sent yet never is.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
