package faulty

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say what a server does. Go is required and starts f without fail:
// Close waits for its end.
type Options struct {
	Go      func(name string, f func()) // starts a goroutine, guarded as its owner sees fit
	Script  func(*Request) Script       // the answer to a question; nil = by the model's name
	Models  []string                    // what is listed; nil = Models()
	Keyless bool                        // a request without a key is answered too
	Asked   func(*Request)              // called for every request before it counts as open; nil = nobody asks
	Log     *log.Logger                 // of net/http, for what breaks in here; nil = nothing is said
}

// Server is the vendor. Make it with New.
type Server struct {
	// Set once.
	opts   Options
	secret string // the first segment of every path
	url    string
	http   *http.Server
	served chan struct{}   // closed when nothing is accepted any more
	ctx    context.Context // of all requests
	cancel context.CancelFunc

	count counter
	conns sync.WaitGroup // added to while served is open
}

// New starts a server on a free port of the loopback address.
func New(o Options) (*Server, error) {
	if o.Go == nil {
		return nil, errors.New("faulty: Options.Go is missing: say how a goroutine is started")
	}
	if o.Script == nil {
		o.Script = new(vendor).script
	}
	if o.Models == nil {
		o.Models = Models()
	}
	if o.Log == nil {
		o.Log = log.New(io.Discard, "", 0)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faulty: no port of 127.0.0.1 can be listened on: free one or turn the faulty provider off: %w", err)
	}
	s := &Server{opts: o, secret: rand.Text(), served: make(chan struct{})}
	s.count.changed = make(chan struct{})
	s.url = "http://" + l.Addr().String() + "/" + s.secret
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: requestTime,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          o.Log,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ConnState:         s.connState,
	}
	o.Go("faulty vendor", func() {
		defer close(s.served)
		_ = s.http.Serve(l) // ends with Close
	})
	return s, nil
}

// URL is the address in front of the wires' paths, without a slash at its end.
// It holds the secret segment: it is for the clients only.
func (s *Server) URL() string { return s.url }

// BaseURL is where a client of this wire starts its paths: what the vendor's
// own address is to it, version included.
func (s *Server) BaseURL(w Wire) string {
	if w == Gemini {
		return s.url + "/v1beta"
	}
	return s.url + "/v1"
}

// Counts are the figures of now. The channel is closed at their next change.
func (s *Server) Counts() (Counts, <-chan struct{}) { return s.count.read() }

// Close breaks every connection, stops listening and waits until all is over.
// It may be called twice, but from no Script of the server's own.
func (s *Server) Close() {
	s.cancel()
	_ = s.http.Close() // the listener's error: there is nothing left to do about it
	<-s.served
	s.conns.Wait()
}

// connState counts connections: http.Server's Close waits for none of them.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

// serve answers who knows the secret segment.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	secret, path, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !ok || subtle.ConstantTimeCompare([]byte(secret), []byte(s.secret)) != 1 {
		http.NotFound(w, r)
		return
	}
	body, fault, err := take(w, r)
	if err != nil {
		return
	}
	d, way := find(r, "/"+path)
	req := &Request{Path: "/" + path, Header: r.Header, Body: body}
	var asked question
	if d != nil {
		req.Wire = d.wire()
		if way.kind == routeAsk && fault == nil {
			asked, fault = d.question(body)
			if way.model != "" {
				asked.model = way.model
			}
			req.Model, req.Text = asked.model, asked.text
		}
	}
	if s.opts.Asked != nil {
		s.opts.Asked(req)
	}
	s.count.opened()
	left := false
	defer func() { s.count.ended(left) }()
	switch {
	case d == nil:
		http.NotFound(w, r)
	case way.kind == routeList:
		s.list(w, r, d)
	default:
		if s.answer(w, r, answering{dialect: d, request: req, usage: asked.usage, fault: fault}) {
			return
		}
		left = s.ctx.Err() == nil
		// To return would end the body in good order, and where it is the
		// server that closes, the client could take half an answer for whole.
		panic(http.ErrAbortHandler)
	}
}

// find tells whose path it is; nil = nobody's.
func find(r *http.Request, path string) (dialect, route) {
	for _, d := range dialects() {
		if way := d.route(r, path); way.kind != routeNone {
			return d, way
		}
	}
	return nil, route{}
}

// answering is a question on its way to its answer.
type answering struct {
	dialect dialect
	request *Request
	usage   bool
	fault   *Fault // why the body is refused; nil = it is not
}

// answer returns false where the client left before the end.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a answering) bool {
	fault := a.dialect.objection(r, s.opts.Keyless)
	if fault == nil {
		fault = a.fault
	}
	if fault != nil {
		fault.Model = a.request.Model
		return refuse(w, a.dialect, *fault)
	}
	script := s.opts.Script(a.request)
	p := player{
		ctx:     r.Context(),
		script:  &script,
		dialect: a.dialect,
		asking:  asking{model: a.request.Model, usage: a.usage},
		w:       w,
		flush:   http.NewResponseController(w),
		auth:    a.dialect.auth(r.Header),
	}
	return p.play()
}

// list answers with a page of the models.
func (s *Server) list(w http.ResponseWriter, r *http.Request, d dialect) {
	if fault := d.objection(r, s.opts.Keyless); fault != nil {
		refuse(w, d, *fault)
		return
	}
	page, fault := d.list(s.opts.Models, r.URL.Query())
	if fault != nil {
		refuse(w, d, *fault)
		return
	}
	respond(w, d, http.StatusOK, page)
}

// refuse answers with an error object.
func refuse(w http.ResponseWriter, d dialect, f Fault) bool {
	status, object := d.refuse(f)
	return respond(w, d, status, object)
}

func respond(w http.ResponseWriter, d dialect, status int, object any) bool {
	d.header(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := io.WriteString(w, encode(object))
	return err == nil
}
