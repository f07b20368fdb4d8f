package transport

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	admissionTimeout = 10 * time.Second
	// sessionHeader tells the session of an answer, also one that the server
	// made up and that no event names.
	sessionHeader = "Troupe-Session-Id"
)

// socket upgrades to a WebSocket. A plain GET is told what is missing.
func (s *Server) socket(w http.ResponseWriter, r *http.Request, p params) {
	s.open(w, r, protocol.Client{Session: p.session})
}

func (s *Server) customerSocket(w http.ResponseWriter, r *http.Request, p params) {
	s.open(w, r, protocol.Client{Session: p.session, Product: p.product, Customer: true})
}

// open upgrades while draining too: a browser cannot read why a handshake
// failed, so the connection's actor says SHUTTING_DOWN in a frame.
func (s *Server) open(w http.ResponseWriter, r *http.Request, c protocol.Client) {
	c.Kind = protocol.WebSocket
	s.sockets.serve(w, r, s.client(r, c))
}

// client completes who is asking. Session and product are not judged here:
// the connection's actor refuses them in words.
func (s *Server) client(r *http.Request, c protocol.Client) protocol.Client {
	c.Connection = rand.Text()
	c.Address, c.Proxy = s.address(r)
	c.Session = strings.Clone(c.Session) // else it would hold the whole request line
	c.Product = strings.Clone(c.Product)
	c.Origin = capped(r.Header.Get("Origin"), maxOrigin)
	c.Trace = traceOf(r.Header)
	if c.Kind == protocol.HTTP && c.Session == "" {
		c.Session, c.NewSession = rand.Text(), true
	}
	return c
}

// traceOf is the trace that a request names, where it names exactly one.
func traceOf(h http.Header) *protocol.TraceParent {
	if named := h["Traceparent"]; len(named) == 1 {
		return protocol.ParseTraceParent(named[0])
	}
	return nil
}

func (s *Server) refuseDraining(w http.ResponseWriter) bool {
	if !s.draining.Load() {
		return false
	}
	w.Header().Set("Connection", "close")
	answerError(w, protocol.NewError(protocol.ShuttingDown, "This server is going away; another one answers.", 1))
	return true
}

// chat answers one question, as one object or as events.
func (s *Server) chat(w http.ResponseWriter, r *http.Request, _ params) {
	if s.refuseDraining(w) {
		return
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		s.resume(w, r, last)
		return
	}
	data, ok := s.body(w, r)
	if !ok {
		return
	}
	question, session, product, perr := protocol.DecodeHTTPChat(data, protocol.Bounds{MaxContent: s.ws.MaxMessageBytes})
	clear(data) // it may hold keys; the decoder copied what it returned
	if perr != nil {
		s.gw.Offended(s.client(r, protocol.Client{Kind: protocol.HTTP})) // as a frame that cannot be understood is
		s.refuse(w, perr)
		return
	}
	s.exchange(w, r, protocol.Client{Session: session, Product: product, Customer: product != ""}, question)
}

// follow is the body of a resume or a cancel: who asks, and the proof.
type follow struct {
	SessionID string `json:"session_id"`
	ProductID string `json:"product_id"`
	ClientKey string `json:"client_key"`
	ID        string `json:"id"`
}

// frame is what the same client would have said on a WebSocket. Its reader
// judges the fields, so both doors take the same.
type frame struct {
	Type      protocol.Type `json:"type"`
	ID        string        `json:"id,omitempty"`
	RunID     string        `json:"run_id"`
	After     uint64        `json:"after,omitempty"`
	ClientKey string        `json:"client_key,omitempty"`
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request, last string) {
	run, seq, ok := parseEventID(last)
	if !ok {
		s.refuse(w, protocol.NewError(protocol.InvalidMessage, "Last-Event-ID is not the id of an event: run_id:seq.", 0))
		return
	}
	s.follow(w, r, frame{Type: protocol.TypeResume, RunID: run, After: seq})
}

// cancel stops a run without the socket that asked for it.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request, p params) {
	r.Header.Del("Accept") // the answer is one object, whatever is accepted
	s.follow(w, r, frame{Type: protocol.TypeCancel, RunID: p.run})
}

func (s *Server) follow(w http.ResponseWriter, r *http.Request, say frame) {
	data, ok := s.body(w, r)
	if !ok {
		return
	}
	var who follow
	err := json.Unmarshal(data, &who)
	clear(data) // it may hold a client_key
	if err != nil || who.SessionID == "" {
		s.refuse(w, protocol.NewError(protocol.InvalidMessage, "The body must be a JSON object with session_id, and client_key where the run has one.", 0))
		return
	}
	say.ID, say.ClientKey = who.ID, who.ClientKey
	if say.Type == protocol.TypeCancel {
		say.ID = "" // the run is named; an id belongs to a socket
	}
	spoken, err := json.Marshal(say)
	if err != nil {
		s.refuse(w, &protocol.Error{Code: protocol.Internal, Message: "The request could not be passed on.", Err: err})
		return
	}
	request := protocol.Decode(spoken, protocol.Bounds{})
	clear(spoken)
	if bad, ok := request.(*protocol.Bad); ok {
		s.refuse(w, bad.Err)
		return
	}
	s.exchange(w, r, protocol.Client{Session: who.SessionID, Product: who.ProductID, Customer: who.ProductID != ""}, request)
}

// body reads a whole JSON body, bounded. Every copy but the returned one is
// wiped. Where ok is false the answer is given.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (data []byte, ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		answerStatus(w, http.StatusUnsupportedMediaType, "The body must be JSON: send Content-Type: application/json.")
		return nil, false
	}
	limit := s.ws.MaxMessageBytes
	if r.ContentLength > int64(limit) {
		s.tooBig(w)
		return nil, false
	}
	data, err := readWiping(http.MaxBytesReader(w, r.Body, int64(limit)), r.ContentLength)
	if err == nil {
		// The handler reads no more; from here on net/http watches for a client that goes away.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		return data, true
	}
	clear(data)
	switch _, big := errors.AsType[*http.MaxBytesError](err); {
	case big:
		s.tooBig(w)
	case errors.Is(err, os.ErrDeadlineExceeded):
		answerStatus(w, http.StatusRequestTimeout, "The body did not arrive in time.")
	default:
		answerStatus(w, http.StatusBadRequest, "The body ended too early.")
	}
	return nil, false
}

func (s *Server) tooBig(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	s.refuse(w, protocol.NewError(protocol.MessageTooBig,
		"The message is larger than the "+strconv.Itoa(s.ws.MaxMessageBytes)+" bytes that are allowed.", 0))
}

// refuse answers an error that no actor has seen.
func (s *Server) refuse(w http.ResponseWriter, e *protocol.Error) {
	s.counts.error(e.Code)
	answerError(w, e)
}

// firstBody is the room for a body before any of it came: what a header promises
// costs its sender nothing.
const firstBody = 4 << 10

// readWiping is io.ReadAll that leaves no copies behind as it grows. expected is
// the declared length, or less than 0.
func readWiping(r io.Reader, expected int64) ([]byte, error) {
	size := int64(firstBody)
	if expected >= 0 {
		size = min(size, expected+1) // room to see the end
	}
	b := make([]byte, 0, size)
	for {
		if len(b) == cap(b) {
			grown := append(make([]byte, 0, 2*cap(b)), b...)
			clear(b)
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// exchange is one HTTP request that an actor answers. It lives in the
// goroutine of its handler; the sink is the only thing it shares.
type exchange struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	sink    *sink
	session string
	events  bool // SSE, not one JSON object

	started bool   // the first event is out
	runID   string // of the last event that named one
	buf     []byte
}

func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c protocol.Client, ask protocol.Request) {
	c.Kind = protocol.HTTP
	if q, ok := ask.(*protocol.Chat); ok {
		c.Asks = !q.Repeat // one that is repeated may have its run already
	}
	c = s.client(r, c)
	x := &exchange{w: w, rc: http.NewResponseController(w), session: c.Session, events: wantsEvents(r.Header)}
	x.sink = newSink(s.ws.OutboxBytes, !x.events, func() {
		s.counts.httpSlow.Add(1)
		s.counts.error(protocol.SlowConsumer)
		_ = x.rc.SetWriteDeadline(time.Now().Add(lastWords))
	})
	x.sink.told = s.counts.error
	defer s.sinks.add(x.sink)()
	if protocol.ValidLabel(c.Session) {
		w.Header().Set(sessionHeader, c.Session)
	}
	session := s.gw.Open(x.sink, c)
	cause := protocol.CauseServer // unless the loop tells otherwise; a panic does not
	defer func() {
		x.sink.detach()
		session.Closed(cause)
	}()
	cause = x.run(r, session, ask)
}

// run delivers the request once the actor asks for it, and then whatever the
// actor says, until the exchange is over.
func (x *exchange) run(r *http.Request, session Session, ask protocol.Request) protocol.Cause {
	admission := time.NewTimer(admissionTimeout)
	defer admission.Stop()
	comments := time.NewTicker(commentPeriod)
	defer comments.Stop()
	defer func() { wipe(ask) }() // nil once it is the actor's
	for {
		b := x.sink.take()
		if b.admitted && ask != nil {
			admission.Stop()
			session.Receive(ask)
			ask = nil
		}
		if cause, over := x.deliver(b); over {
			return cause
		}
		select {
		case <-x.sink.wake:
		case <-r.Context().Done():
			return protocol.CauseGone
		case <-admission.C:
			return x.fail(protocol.NewError(protocol.Internal, "The server did not admit the request in time.", 1), protocol.CauseAdmission)
		case <-comments.C:
			if err := x.keepAlive(); err != nil {
				return writeCause(err)
			}
		}
	}
}

// deliver writes what was taken; over is true when nothing can follow.
func (x *exchange) deliver(b batch) (cause protocol.Cause, over bool) {
	for i := range b.frames {
		f := &b.frames[i]
		if err := x.say(f); err != nil {
			return writeCause(err), true
		}
		switch {
		case b.cut:
			return protocol.CauseSlowConsumer, true
		case ends(f):
			return protocol.CauseClient, true
		}
	}
	if !b.closed {
		return 0, false
	}
	e := protocol.NewError(protocol.Internal, "The answer ended without a result.", 0)
	if b.code != "" {
		e = protocol.NewError(b.code, protocol.Lookup(b.code).Advice, 0)
	}
	return x.fail(e, protocol.CauseServer), true
}

// say writes one frame in the form the client asked for. An error before the
// first event is a plain HTTP error.
func (x *exchange) say(f *protocol.Frame) error {
	if !x.events || !x.started && f.Type == protocol.TypeError {
		return x.answer(f)
	}
	if !x.started {
		x.begin()
	}
	return x.event(f)
}

// answer writes the one object of a JSON answer.
func (x *exchange) answer(f *protocol.Frame) error {
	f.Session = x.session
	status, h := http.StatusOK, x.w.Header()
	if f.Type == protocol.TypeError {
		status = statusOf(f.Code)
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	body := append(f.Append(nil), '\n')
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	return x.write(body)
}

// fail ends the exchange where the actor did not.
func (x *exchange) fail(e *protocol.Error, cause protocol.Cause) protocol.Cause {
	f := protocol.Frame{Type: protocol.TypeError, Named: true, Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter}
	if err := x.say(&f); err != nil {
		return writeCause(err)
	}
	return cause
}

func (x *exchange) keepAlive() error {
	if !x.started {
		return nil // the status is still open
	}
	return x.comment()
}

// wipe destroys the keys of a question that no actor took.
func wipe(ask protocol.Request) {
	if c, ok := ask.(*protocol.Chat); ok {
		c.TakeKey("").Zero()
	}
}
