package providertest

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// player says one script to one client.
type player struct {
	script *Script
	w      http.ResponseWriter
	r      *http.Request
	flush  *http.ResponseController
	sent   int // bytes of the body
}

// play returns true where the answer was said to its end. A cut panics with
// http.ErrAbortHandler, which is net/http's way to break a connection.
func (p *player) play(req Request) bool {
	s := p.script
	if !p.sleep(s.Before) {
		return false
	}
	if s.Stall < 0 {
		return p.stall()
	}
	for name, values := range s.Header {
		p.w.Header()[name] = values
	}
	if s.Status != 0 && s.Status != http.StatusOK {
		return p.refuse(req)
	}
	if p.w.Header().Get("Content-Type") == "" {
		p.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	p.w.WriteHeader(http.StatusOK)
	if p.flush.Flush() != nil {
		return false
	}
	if s.Cut < 0 {
		panic(http.ErrAbortHandler)
	}
	for i, event := range s.events(req.Model) {
		if s.Stall > 0 && i >= s.Stall {
			return p.stall()
		}
		if i > 0 && !p.sleep(s.Pace) {
			return false
		}
		if !p.write(event) {
			return false
		}
	}
	if s.Linger {
		p.stall()
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
		cut := p.script.Cut > 0 && p.sent+len(piece) >= p.script.Cut
		if cut {
			piece = piece[:p.script.Cut-p.sent]
		}
		if _, err := io.WriteString(p.w, piece); err != nil {
			return false
		}
		if p.flush.Flush() != nil {
			return false
		}
		if cut {
			panic(http.ErrAbortHandler)
		}
		p.sent += len(piece)
		event = event[len(piece):]
	}
	return true
}

// refuse answers with a status instead of a stream.
func (p *player) refuse(req Request) bool {
	body := p.script.Body
	if body == "" {
		if p.w.Header().Get("Content-Type") == "" {
			p.w.Header().Set("Content-Type", "application/json")
		}
		body = ErrorObject("a scripted refusal", "scripted", "")
	}
	if p.script.EchoAuth {
		body += req.Authorization
	}
	p.w.WriteHeader(p.script.Status)
	_, err := io.WriteString(p.w, body)
	return err == nil
}

// stall says nothing until the client leaves.
func (p *player) stall() bool {
	<-p.r.Context().Done()
	return false
}

func (p *player) sleep(d time.Duration) bool {
	if d <= 0 {
		return p.r.Context().Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.r.Context().Done():
		return false
	}
}

// ErrorObject is the vendor's shape of an error.
func ErrorObject(message, kind, code string) string {
	o := map[string]any{"message": message, "type": kind, "param": nil, "code": nil}
	if code != "" {
		o["code"] = code
	}
	b, err := json.Marshal(map[string]any{"error": o})
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}
