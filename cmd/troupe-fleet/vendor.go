package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// vendor speaks the wire of chat completions and answers every question with the
// text that the question names. It counts calls by question and worker; the
// worker is the first element of the path, so that each worker is configured
// with a base_url of its own.
type vendor struct {
	// Set once.
	keys     []string // what may stand behind Bearer
	listener net.Listener
	server   *http.Server
	crew     *crew

	mu      sync.Mutex
	calls   []*call
	open    int
	changes int // counts starts and ends
	strange []string
}

// newVendor listens on loopback at once.
func newVendor(crew *crew, keys []string) (*vendor, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("vendor: %w", err)
	}
	v := &vendor{keys: keys, listener: l, crew: crew}
	v.server = &http.Server{
		Handler:           http.HandlerFunc(v.serve),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(complaints{v}, "", 0),
	}
	// A worker's idle connections to its vendor would look like leaked ones.
	v.server.SetKeepAlivesEnabled(false)
	crew.start("vendor", func() {
		if err := v.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			crew.fail(fmt.Sprintf("vendor: %v", err))
		}
	})
	return v, nil
}

// complaints hands what net/http has to say, panics of handlers among it, to
// the crew.
type complaints struct{ v *vendor }

// Write implements io.Writer.
func (c complaints) Write(p []byte) (int, error) {
	c.v.crew.fail("vendor: " + string(p))
	return len(p), nil
}

// baseURL is what the worker with this name is configured with.
func (v *vendor) baseURL(worker string) string {
	return fmt.Sprintf("http://%s/%s/v1", v.listener.Addr(), worker)
}

func (v *vendor) close() { _ = v.server.Close() }

// count returns the open calls and a number that changes with every start and
// end.
func (v *vendor) count() (open, changes int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open, v.changes
}

// rests is the moment by which every open call has come to its own end.
func (v *vendor) rests() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	var last time.Time
	for _, c := range v.calls {
		if end := c.Start.Add(c.Ask.lasts() * 3 / 2); c.End.IsZero() && end.After(last) {
			last = end
		}
	}
	return last
}

// take returns the calls since a moment and what nobody should have sent.
func (v *vendor) take(since time.Time) (calls []call, strange []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.calls {
		if !c.Start.Before(since) {
			calls = append(calls, *c)
		}
	}
	strange, v.strange = v.strange, nil
	return calls, strange
}

func (v *vendor) serve(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // whole, or a leaving client goes unnoticed
	if err != nil {
		return
	}
	worker, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	a, err := readQuestion(data)
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err != nil || !bearer || !slices.Contains(v.keys, key) {
		v.refuse(w, fmt.Sprintf("from %s: %v, key accepted: %t", worker, err, slices.Contains(v.keys, key)))
		return
	}
	c := v.begin(a, worker)
	how := "closed"
	defer func() { v.end(c, how) }()
	if v.speak(w, r, c) {
		how = "done"
	}
}

// refuse remembers a request that no worker should make.
func (v *vendor) refuse(w http.ResponseWriter, what string) {
	v.mu.Lock()
	v.strange = append(v.strange, what)
	v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"error":{"message":"not for this vendor","type":"invalid_request_error"}}`)
}

// readQuestion finds the question in a request: its last message.
func readQuestion(data []byte) (asked, error) {
	var request struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(data, &request); err != nil {
		return asked{}, fmt.Errorf("request: %w", err)
	}
	if len(request.Messages) == 0 {
		return asked{}, errors.New("request without messages")
	}
	return parseAsked(request.Messages[len(request.Messages)-1].Content)
}

func (v *vendor) begin(a asked, worker string) *call {
	c := &call{N: a.N, Ask: a, Worker: worker, Start: time.Now(), How: "open"}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, c)
	v.open++
	v.changes++
	return c
}

func (v *vendor) end(c *call, how string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.End, c.How = time.Now(), how
	v.open--
	v.changes++
}

// speak streams the answer; true when it was said to its end.
func (v *vendor) speak(w http.ResponseWriter, r *http.Request, c *call) bool {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	if flush.Flush() != nil {
		return false
	}
	// Each chunk has its moment, so that a slow machine does not stretch answers.
	next := c.Start.Add(c.Ask.First)
	for i := range c.Ask.Chunks {
		next = next.Add(c.Ask.Pace)
		if !sleep(r.Context(), time.Until(next)) {
			return false
		}
		if !sendEvent(w, flush, map[string]any{"choices": []any{map[string]any{"index": 0, "delta": map[string]any{"content": c.Ask.chunk(i + 1)}}}}) {
			return false
		}
		v.mu.Lock()
		c.Chunks++
		v.mu.Unlock()
	}
	if !sendEvent(w, flush, map[string]any{"choices": []any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": "stop"}}}) {
		return false
	}
	_, err := io.WriteString(w, "data: [DONE]\n\n")
	return err == nil && flush.Flush() == nil
}

// sendEvent writes one event.
func sendEvent(w io.Writer, flush *http.ResponseController, event map[string]any) bool {
	event["object"], event["model"] = "chat.completion.chunk", "fleet"
	data, err := json.Marshal(event)
	if err != nil {
		return false
	}
	if _, err = fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
		return false
	}
	return flush.Flush() == nil
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
