package transport

import (
	"bufio"
	"net"
	"net/http"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// serve makes a WebSocket of a request and introduces it to the gateway, or
// answers why not. It returns as soon as the session is open: from then on the
// socket has a goroutine of its own, and net/http's goroutine, buffers and
// request are let go of.
//
// The path and the Origin have been judged already.
func (s *sockets) serve(w http.ResponseWriter, r *http.Request, client protocol.Client) {
	if no := checkHandshake(r); no != nil {
		s.metrics.handshakesBad.Add(1)
		if spoken(r) {
			s.gateway.Offended(client)
		}
		no.answer(w)
		return
	}
	if s.closing() {
		s.metrics.handshakesBad.Add(1)
		answerErrorStatus(w, http.StatusServiceUnavailable,
			protocol.NewError(protocol.ShuttingDown, "The server is going away. Connect again.", 1))
		return
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.metrics.handshakesBad.Add(1)
		s.log.Debug().Err(err).Str("connection", client.Connection).Msg("connection cannot be upgraded")
		(&refusal{http.StatusBadRequest, "A WebSocket handshake needs HTTP/1.1."}).answer(w)
		return
	}
	first := early(buffered)
	if f, ok := nc.(*fronted); ok {
		nc, first = f.Conn, append(first, f.front...)
	}
	s.open(nc, first, r.Header.Get(headerKey), client)
}

// early copies the bytes that came together with the handshake. There are at
// most as many as net/http's buffer holds (4 KiB).
func early(rw *bufio.ReadWriter) []byte {
	n := rw.Reader.Buffered()
	if n == 0 {
		return nil
	}
	b, _ := rw.Reader.Peek(n) // buffered: cannot fail
	return append([]byte(nil), b...)
}

// open starts the life of a hijacked connection, which has no deadlines any more
// and a bounded send buffer of its listener. The answer to the handshake is the
// first thing in the socket's queue.
func (s *sockets) open(nc net.Conn, early []byte, key string, client protocol.Client) {
	c := newConn(s, early)
	c.link = s.newLink(c, nc)
	if !s.add(c) {
		c.link.shut(false) // shutdown began just now; nothing was promised yet
		return
	}
	s.metrics.handshakesOK.Add(1)
	var answer [answerRoom]byte
	c.begin(appendAnswer(answer[:0], key), client)
}

// begin runs on net/http's goroutine, so that a parked reader's stack stays small.
func (c *conn) begin(answer []byte, client protocol.Client) {
	defer func() {
		if p := recover(); p != nil {
			if c.session == nil {
				c.enter(unopened(client))
			}
			c.crashed(p)
		}
		c.link.start()
	}()
	c.mu.Lock()
	c.outbox().addAnswer(answer)
	c.push()
	c.mu.Unlock()
	c.enter(c.set.gateway.Open(c, client))
}

func (c *conn) enter(s Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

// unopened stands for a session that the gateway could not open.
type unopened protocol.Client

// Who implements Session.
func (u unopened) Who() (connection, address string) { return u.Connection, u.Address }

// Receive implements Session. Nothing is asked for.
func (unopened) Receive(protocol.Request) {}

// Closed implements Session. There is nobody to tell.
func (unopened) Closed(protocol.Cause) {}

// closing tells whether shutdown has begun.
func (s *sockets) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
