// Package mimic is a model vendor that says what it is asked to say, or fails as
// it is asked to fail, and counts who called.
package mimic

import (
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

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// Vendor speaks the wire of chat completions and answers every question with the
// text that question and model name, or fails as the model says. It counts calls
// by question and worker; the worker is the first element of the path, so each
// process is configured with a base_url of its own. Its methods may be called from
// any goroutine.
type Vendor struct {
	keys     []string // what may stand behind Bearer
	listener net.Listener
	server   *http.Server
	team     *crew.Crew

	mu      sync.Mutex
	poison  func(worker string)
	calls   []*Call
	open    int
	changes int // counts starts and ends
	strange []string
	flaps   int
}

// Call is one request at the vendor. An End of zero is a call that is open.
type Call struct {
	N      int           `json:"n"` // of the question
	Worker string        `json:"worker"`
	Job    string        `json:"job,omitempty"`   // the attempt that it is a call of, as the request names it
	Fails  string        `json:"fails,omitempty"` // the way in which its model fails
	Done   bool          `json:"done"`            // the whole answer was said
	Start  time.Time     `json:"start"`
	End    time.Time     `json:"end,omitzero"`
	Lasts  time.Duration `json:"lasts"` // the answer, left alone
}

// New listens on loopback at once, for calls with one of the keys. What goes wrong
// in the vendor itself is told to team, which also waits for its goroutine.
func New(team *crew.Crew, keys []string) (*Vendor, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("vendor: %w", err)
	}
	v := &Vendor{keys: keys, listener: l, team: team, poison: func(string) {}}
	v.server = &http.Server{Handler: http.HandlerFunc(v.serve), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(complaints{team}, "", 0)}
	v.server.SetKeepAlivesEnabled(false) // a worker's idle connections would look like leaked ones
	team.Start("vendor", func() {
		if err := v.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			team.Fail("vendor: %v", err)
		}
	})
	return v, nil
}

// complaints hands what net/http has to say, panics of handlers among it, to
// the crew.
type complaints struct{ team *crew.Crew }

// Write implements io.Writer.
func (c complaints) Write(p []byte) (int, error) {
	c.team.Fail("vendor: %s", p)
	return len(p), nil
}

// BaseURL is what the process with this name is configured with.
func (v *Vendor) BaseURL(worker string) string {
	return fmt.Sprintf("http://%s/%s/v1", v.listener.Addr(), worker)
}

// OnPoison sets who is told which worker was sent a question that is to kill it.
func (v *Vendor) OnPoison(f func(worker string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.poison = f
}

func (v *Vendor) poisoned(worker string) {
	v.mu.Lock()
	f := v.poison
	v.mu.Unlock()
	f(worker)
}

// Close cuts what is open and ends the listener.
func (v *Vendor) Close() { _ = v.server.Close() }

// Count returns the open calls and a number that changes with every start and
// end.
func (v *Vendor) Count() (open, changes int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open, v.changes
}

// Take returns the calls since a moment, and what nobody should have sent, once.
func (v *Vendor) Take(since time.Time) (calls []Call, strange []string) {
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

// Since returns the calls that were open at a moment, or began later, and leaves
// everything as it is.
func (v *Vendor) Since(at time.Time) (calls []Call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.calls {
		if c.End.IsZero() || !c.End.Before(at) {
			calls = append(calls, *c)
		}
	}
	return calls
}

// Rests is the moment by which every open call has come to its own end.
func (v *Vendor) Rests() (last time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.calls {
		if end := c.Start.Add(c.Lasts * 3 / 2); c.End.IsZero() && c.Fails == "" && end.After(last) {
			last = end
		}
	}
	return last
}

func (v *Vendor) serve(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20)) // whole, or a leaving client goes unnoticed
	if err != nil {
		return
	}
	worker, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q, err := readQuestion(data)
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err != nil || !bearer || !slices.Contains(v.keys, key) {
		v.refuse(w, fmt.Sprintf("from %s: %v, key accepted: %t", worker, err, slices.Contains(v.keys, key)))
		return
	}
	job, _, _ := strings.Cut(r.Header.Get("X-Client-Request-Id"), ".") // <job>.<n>, see docs/providers.md
	c := v.begin(q, worker, job)
	s := &speech{w: w, r: r, question: q, flush: http.NewResponseController(w), worker: worker, start: c.Start}
	defer func() { v.end(c, s.done) }()
	v.speak(s)
}

// refuse remembers a request that no worker should make.
func (v *Vendor) refuse(w http.ResponseWriter, what string) {
	v.mu.Lock()
	v.strange = append(v.strange, what)
	v.mu.Unlock()
	status(w, http.StatusUnauthorized, `{"error":{"message":"not for this vendor","type":"invalid_request_error"}}`)
}

// readQuestion finds the question and its model in a request.
func readQuestion(data []byte) (answer.Question, error) {
	var request struct {
		Model    string `json:"model"`
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(data, &request); err != nil {
		return answer.Question{}, fmt.Errorf("request: %w", err)
	}
	if len(request.Messages) == 0 {
		return answer.Question{}, errors.New("request without messages")
	}
	n, ok := answer.Asker(request.Messages[len(request.Messages)-1].Content)
	if !ok {
		return answer.Question{}, errors.New("a question that names no stream")
	}
	m, err := answer.ParseModel(request.Model)
	return answer.Question{N: n, Model: m}, err
}

func (v *Vendor) begin(q answer.Question, worker, job string) *Call {
	c := &Call{N: q.N, Worker: worker, Job: job, Fails: q.Model.Fails, Start: time.Now(), Lasts: q.Model.Lasts()}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, c)
	v.open++
	v.changes++
	return c
}

func (v *Vendor) end(c *Call, done bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.End, c.Done = time.Now(), done
	v.open--
	v.changes++
}
