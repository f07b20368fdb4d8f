package providertest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// Request is one question as it reached the server.
type Request struct {
	Wire          faulty.Wire // "" = no wire has such a path
	Model         string
	Path          string // behind the address of the vendor: /v1/…
	Authorization string
	Header        http.Header
	Body          []byte // the JSON as it came
}

// Server is the vendor. Make it with New or NewFunc.
type Server struct {
	vendor *faulty.Server
	answer func(Request) Script

	mu       sync.Mutex
	requests []Request
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
	s := &Server{answer: answer}
	vendor, err := faulty.New(faulty.Options{
		Go:      func(_ string, f func()) { go f() },
		Script:  func(r *faulty.Request) faulty.Script { return faulty.Script(s.answer(request(r))) },
		Asked:   s.record,
		Keyless: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.vendor = vendor
	t.Cleanup(s.Close)
	return s
}

func request(r *faulty.Request) Request {
	return Request{
		Wire: r.Wire, Model: r.Model, Path: r.Path,
		Authorization: r.Header.Get("Authorization"), Header: r.Header, Body: r.Body,
	}
}

func (s *Server) record(r *faulty.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request(r))
}

// URL is what base_url of an openai provider should be.
func (s *Server) URL() string { return s.BaseURL(faulty.OpenAI) }

// BaseURL is what base_url of a provider that speaks this wire should be.
func (s *Server) BaseURL(w faulty.Wire) string { return s.vendor.BaseURL(w) }

// Close breaks every connection and stops listening. It may be called twice.
func (s *Server) Close() { s.vendor.Close() }

// Requests are the questions so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Open counts the answers that are going on.
func (s *Server) Open() int { return s.counts().Open }

// Peak is the largest Open so far.
func (s *Server) Peak() int { return s.counts().Peak }

// Left counts the answers whose client closed the connection before the end.
func (s *Server) Left() int { return s.counts().Left }

func (s *Server) counts() faulty.Counts {
	n, _ := s.vendor.Counts()
	return n
}

// WaitOpen waits until exactly n answers are going on, and fails the test after
// within.
func (s *Server) WaitOpen(t testing.TB, n int, within time.Duration) {
	t.Helper()
	s.wait(t, within, fmt.Sprintf("%d open requests", n), func(c faulty.Counts) bool { return c.Open == n })
}

// WaitLeft waits until at least n clients went away, and fails the test after
// within.
func (s *Server) WaitLeft(t testing.TB, n int, within time.Duration) {
	t.Helper()
	s.wait(t, within, fmt.Sprintf("%d clients that left", n), func(c faulty.Counts) bool { return c.Left >= n })
}

func (s *Server) wait(t testing.TB, within time.Duration, what string, reached func(faulty.Counts) bool) {
	t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		n, changed := s.vendor.Counts()
		if reached(n) {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("no %s within %s: %d open, %d left", what, within, n.Open, n.Left)
		}
	}
}
