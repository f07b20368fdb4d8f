package faulty

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// player says one script to one client.
type player struct {
	ctx     context.Context // ends when the client leaves or the server closes
	script  *Script
	dialect dialect
	asking  asking
	w       http.ResponseWriter
	flush   *http.ResponseController
	auth    string // the header that held the key

	cut  int // bytes of the body before the connection breaks; -1 = never
	sent int // bytes of the body
}

// play returns false where the client left before the answer's end. A cut
// panics with http.ErrAbortHandler, which is net/http's way to break a
// connection.
func (p *player) play() bool {
	s := p.script
	switch {
	case !p.sleep(s.Before):
		return false
	case s.Stall < 0:
		return p.stall()
	case s.Reset:
		return p.reset()
	}
	p.dialect.header(p.w.Header())
	for name, values := range s.Header {
		p.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if s.refuses() {
		return p.refuse()
	}
	if p.w.Header().Get("Content-Type") == "" {
		p.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	p.w.Header().Set("Cache-Control", "no-cache")
	p.w.WriteHeader(http.StatusOK)
	return p.flush.Flush() == nil && p.stream()
}

// stream says the events.
func (p *player) stream() bool {
	events := p.script.events(p.dialect, p.asking)
	size := 0
	for _, e := range events {
		size += len(e)
	}
	if p.cut = p.script.cutAt(size); p.cut == 0 {
		panic(http.ErrAbortHandler)
	}
	last := p.script.stallAt(len(events))
	for i, e := range events[:last] {
		if i > 0 && !p.sleep(p.script.Pace) {
			return false
		}
		if !p.write(e) {
			return false
		}
	}
	if last < len(events) || p.script.Linger {
		return p.stall()
	}
	return true
}

// write sends one event, in the pieces and up to the cut that the script wants.
func (p *player) write(event string) bool {
	for len(event) > 0 {
		piece := event
		if n := p.script.Piece; n > 0 && n < len(piece) {
			piece = piece[:n]
		}
		broken := p.cut > 0 && p.sent+len(piece) >= p.cut
		if broken {
			piece = piece[:p.cut-p.sent]
		}
		if _, err := io.WriteString(p.w, piece); err != nil {
			return false
		}
		if p.flush.Flush() != nil {
			return false
		}
		if broken {
			panic(http.ErrAbortHandler)
		}
		p.sent += len(piece)
		event = event[len(piece):]
	}
	return true
}

// refuse answers with a status instead of a stream.
func (p *player) refuse() bool {
	s, h := p.script, p.w.Header()
	status, object := p.dialect.refuse(Fault{Status: s.Status, Why: s.Why, RetryAfter: s.RetryAfter, Model: p.asking.model})
	body := s.Body
	if body == "" {
		body = encode(object)
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
	}
	if s.RetryAfter > 0 && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.Itoa(s.RetryAfter))
	}
	if s.EchoAuth {
		body += p.auth
	}
	p.w.WriteHeader(status)
	_, err := io.WriteString(p.w, body)
	return err == nil
}

// reset throws the connection away: the client's system reads a reset, not an
// end.
func (p *player) reset() bool {
	c, _, err := p.flush.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no connection of its own to reset: break it off
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed now is not waited for
	}
	_ = c.Close()
	return true
}

// stall says nothing until the client leaves.
func (p *player) stall() bool {
	<-p.ctx.Done()
	return false
}

func (p *player) sleep(d time.Duration) bool {
	if d <= 0 {
		return p.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}
