package providertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Request is one question as it reached the server.
type Request struct {
	Model         string
	Path          string
	Authorization string
	Body          []byte // the JSON as it came
}

// Server is the vendor. Make it with New or NewFunc.
type Server struct {
	http   *httptest.Server
	answer func(Request) Script

	mu       sync.Mutex
	requests []Request
	open     int
	peak     int
	left     int           // requests whose client went away before the answer's end
	changed  chan struct{} // closed and replaced whenever a figure changes
}

// New starts a server that answers every question with s.
func New(t testing.TB, s Script) *Server {
	t.Helper()
	return NewFunc(t, func(Request) Script { return s })
}

// NewFunc starts a server that asks answer for the script of each question.
// answer is called from many goroutines.
func NewFunc(t testing.TB, answer func(Request) Script) *Server {
	t.Helper()
	s := &Server{answer: answer, changed: make(chan struct{})}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// URL is what base_url should be.
func (s *Server) URL() string { return s.http.URL + "/v1" }

// Close breaks every connection and stops listening. It may be called twice.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Requests are the questions so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Open counts the answers that are going on.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Peak is the largest Open so far.
func (s *Server) Peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// Left counts the answers whose client closed the connection before the end.
func (s *Server) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// WaitOpen waits until exactly n answers are going on, and fails the test after
// within.
func (s *Server) WaitOpen(t testing.TB, n int, within time.Duration) {
	t.Helper()
	s.wait(t, within, fmt.Sprintf("%d open requests", n), func() bool { return s.open == n })
}

// WaitLeft waits until at least n clients went away, and fails the test after
// within.
func (s *Server) WaitLeft(t testing.TB, n int, within time.Duration) {
	t.Helper()
	s.wait(t, within, fmt.Sprintf("%d clients that left", n), func() bool { return s.left >= n })
}

func (s *Server) wait(t testing.TB, within time.Duration, what string, reached func() bool) {
	t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		s.mu.Lock()
		ok, changed := reached(), s.changed
		open, left := s.open, s.left
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("no %s within %s: %d open, %d left", what, within, open, left)
		}
	}
}

func (s *Server) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // whole, or the server would not notice a client that leaves
	if err != nil {
		return
	}
	req := Request{Path: r.URL.Path, Authorization: r.Header.Get("Authorization"), Body: body}
	var asked struct {
		Model string `json:"model"`
	}
	_ = json.Unmarshal(body, &asked) // the test looks at Body where it minds
	req.Model = asked.Model
	s.update(func() {
		s.requests = append(s.requests, req)
		s.open++
		s.peak = max(s.peak, s.open)
	})
	whole := false
	defer func() {
		s.update(func() {
			s.open--
			if !whole && r.Context().Err() != nil {
				s.left++
			}
		})
	}()
	if !strings.HasSuffix(r.URL.Path, "/chat/completions") || r.Method != http.MethodPost {
		http.NotFound(w, r)
		whole = true
		return
	}
	script := s.answer(req)
	p := player{script: &script, w: w, r: r, flush: http.NewResponseController(w)}
	whole = p.play(req)
}
