package mimic

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// speech is one answer of the vendor.
type speech struct {
	w        http.ResponseWriter
	r        *http.Request
	flush    *http.ResponseController
	question answer.Question
	worker   string
	start    time.Time
	done     bool // the whole answer was said
}

// Failures are the ways in which a model fails, by the word before echo in its
// name; docs/experiments.md tells what each does.
func Failures() []string {
	return []string{
		"silent", "headers", "stall", "drip", "cut", "reset", "no-done", "half-frame", "html", "bad-utf8", "long-line",
		"error", "filter", "too-long", "poison", "flap", "status-<number>",
	}
}

// speak answers or fails.
func (v *Vendor) speak(s *speech) {
	if number, ok := strings.CutPrefix(s.question.Model.Fails, "status-"); ok {
		s.refuse(number)
		return
	}
	switch s.question.Model.Fails {
	case "silent":
		<-s.r.Context().Done()
	case "reset":
		s.hangUp()
	case "html":
		s.w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(s.w, "<!doctype html><title>Bad gateway</title><h1>502</h1>")
	case "too-long":
		status(s.w, http.StatusBadRequest, `{"error":{"message":"This model's maximum context length is 10 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}`)
	case "poison":
		v.poisoned(s.worker)
		<-s.r.Context().Done()
	case "flap":
		if v.flap() {
			s.refuse("503")
			return
		}
		s.whole()
	case "":
		s.whole()
	default:
		s.half()
	}
}

// flap is true every second time.
func (v *Vendor) flap() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flaps++
	return v.flaps%2 == 0
}

func status(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

func (s *speech) refuse(number string) {
	code, err := strconv.Atoi(number)
	if err != nil || code < 400 || code > 599 {
		code = http.StatusInternalServerError
	}
	if code == http.StatusTooManyRequests {
		s.w.Header().Set("Retry-After", "7")
	}
	status(s.w, code, fmt.Sprintf(`{"error":{"message":"as asked: %d","type":"test"}}`, code))
}

// hangUp resets the connection.
func (s *speech) hangUp() {
	nc, _, err := s.flush.Hijack()
	if err != nil {
		return
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}

func (s *speech) head() bool {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.WriteHeader(http.StatusOK)
	return s.flush.Flush() == nil
}

// whole streams the answer to its end. Each chunk has its moment, so that a slow
// machine does not stretch answers.
func (s *speech) whole() {
	if !s.head() || !s.words(0, s.question.Model.Words) {
		return
	}
	if s.event(map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": "stop"}) {
		s.done = s.raw("data: [DONE]\n\n")
	}
}

// words streams those from one to another.
func (s *speech) words(from, to int) bool {
	model := s.question.Model
	for i := from + 1; i <= to; i++ {
		if !crew.Sleep(s.r.Context(), time.Until(s.start.Add(model.First+time.Duration(i)*model.Pace))) {
			return false
		}
		if !s.event(map[string]any{"index": 0, "delta": map[string]any{"content": s.question.Piece(i)}}) {
			return false
		}
	}
	return true
}

// half says the first half, then fails.
func (s *speech) half() {
	if !s.head() {
		return
	}
	if s.question.Model.Fails == "headers" {
		<-s.r.Context().Done()
		return
	}
	if !s.words(0, s.question.Model.Words/2) {
		return
	}
	switch s.question.Model.Fails {
	case "stall":
		<-s.r.Context().Done()
	case "drip":
		s.drip()
	case "cut":
		s.hangUp()
	case "no-done":
		s.words(s.question.Model.Words/2, s.question.Model.Words)
	case "half-frame":
		s.raw(`data: {"choices":[{"index":0,"delta":{"con`)
	case "bad-utf8":
		s.raw("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\xc3\"}}]}\n\ndata: [DONE]\n\n")
	case "long-line":
		s.raw("data: " + strings.Repeat("x", 10<<20) + "\n\n")
	case "error":
		s.raw(`data: {"error":{"message":"overloaded inside the stream","type":"server_error"}}` + "\n\n")
	case "filter":
		if s.event(map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": "content_filter"}) {
			s.raw("data: [DONE]\n\n")
		}
	}
}

// drip sends the rest of a line byte by byte, each within the pace of the model.
func (s *speech) drip() {
	for _, b := range []byte(": " + strings.Repeat(".", 1<<16)) {
		if !crew.Sleep(s.r.Context(), 20*s.question.Model.Pace) || !s.raw(string(b)) {
			return
		}
	}
}

func (s *speech) raw(text string) bool {
	_, err := io.WriteString(s.w, text)
	return err == nil && s.flush.Flush() == nil
}

func (s *speech) event(choice map[string]any) bool {
	data, err := json.Marshal(map[string]any{"object": "chat.completion.chunk", "model": "echo", "choices": []any{choice}})
	return err == nil && s.raw("data: "+string(data)+"\n\n")
}

// Known tells whether a model fails in a way that there is.
func Known(m answer.Model) bool {
	_, number := strings.CutPrefix(m.Fails, "status-")
	return m.Fails == "" || number || slices.Contains(Failures(), m.Fails)
}
