package transport

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport/protocol"
	"github.com/troupe-chat/troupe/transport/web"
)

const (
	keyListen      = "http.listen"
	keyAdminListen = "http.admin_listen"

	maxHeaderBytes = 8 << 10
	maxHeaderLines = 64
	idleTimeout    = 60 * time.Second
	bodyTimeout    = 10 * time.Second // a request's body in all
	writeTimeout   = 30 * time.Second // without a byte of progress
)

// Options is what a Server is made of.
type Options struct {
	HTTP      HTTPConfig
	WebSocket WebSocketConfig
	Gateway   Gateway
	Tree      Tree
	Log       zerolog.Logger
	Registry  *prometheus.Registry // private; the edge's families are added to it; nil = one of its own
	Version   string
	Faults    Faults // nil = there are none, and no address for them
}

// Server is the HTTP side: it listens, routes and refuses.
type Server struct {
	// Set once.
	ws       WebSocketConfig
	gw       Gateway // nil at a worker, whose routes never ask it
	worker   Worker  // nil at a gateway
	tree     Tree
	probed   prober // whichever of the two is here
	obeyed   func(HTTPConfig) HTTPConfig
	log      zerolog.Logger
	registry *prometheus.Registry
	scraper  http.Handler
	version  string
	faults   Faults   // nil where faults are not enabled
	sockets  *sockets // nil at a worker
	sinks    sinks
	edge     *edgeMetrics
	counts   *edgeCounts
	site     *web.Site // nil at a worker
	routes   []route
	cors     *cors.Cors
	heads    sync.Pool // of *head

	// Folded log lines.
	refusals   *folder // operator addresses
	strangers  *folder // forwarding headers of untrusted peers
	badOrigins *folder

	// Swapped by Reload.
	live   atomic.Pointer[policy]
	config atomic.Pointer[HTTPConfig]

	notReady atomic.Bool
	draining atomic.Bool
	failed   chan error

	mu      sync.Mutex
	serving []serving
	stop    context.CancelFunc
	tasks   []<-chan struct{} // each closes when its goroutine is over
	accepts []<-chan struct{} // those of http.listen
}

// New checks the configuration and builds a gateway's server that does not
// listen yet.
func New(o Options) (*Server, error) {
	s, err := newServer(o, HTTPConfig.ForGateway, withFaults(routes(), o.Faults), o.Gateway)
	if err != nil {
		return nil, err
	}
	if s.site, err = web.New(); err != nil {
		return nil, err
	}
	s.gw, s.tree, s.edge, s.counts = o.Gateway, o.Tree, &edgeMetrics{}, newEdgeCounts()
	s.cors = newCORS(s)
	s.sockets = newSockets(o.WebSocket, s.gw, o.Log, s.edge)
	s.sockets.told = s.counts.error
	if err := s.registry.Register(newEdgeCollector(s.edge, s.counts)); err != nil {
		return nil, err
	}
	return s, nil
}

// newServer is what a gateway's server and a worker's have in common.
func newServer(o Options, obeyed func(HTTPConfig) HTTPConfig, table []route, asked prober) (*Server, error) {
	if err := errors.Join(o.HTTP.Validate(), o.WebSocket.Validate()); err != nil {
		return nil, err
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	c := obeyed(o.HTTP)
	p, err := newPolicy(c)
	if err != nil {
		return nil, err
	}
	s := &Server{
		ws: o.WebSocket, probed: asked, obeyed: obeyed, log: o.Log, registry: o.Registry, scraper: newScraper(o.Registry), version: o.Version, faults: o.Faults, routes: table,
		refusals:   newFolder(time.Minute, 1),
		strangers:  newFolder(time.Hour, 1024),
		badOrigins: newFolder(10*time.Second, 4096),
		failed:     make(chan error, 1),
		heads:      sync.Pool{New: newHead},
	}
	s.live.Store(p)
	s.config.Store(&c)
	if err := registerBuild(o.Registry, o.Version); err != nil {
		return nil, err
	}
	return s, nil
}

// Start binds every address and serves. Where one cannot be bound none is,
// and the error is one line with the remedy. ctx bounds the binding alone.
func (s *Server) Start(ctx context.Context) error {
	c := s.config.Load()
	cert, err := loadTLS(c.TLS)
	if err != nil {
		return err
	}
	bound, err := s.bindAll(ctx, *c)
	if err == nil && s.sockets != nil {
		err = s.sockets.openLoops()
	}
	if err != nil {
		closeAll(bound)
		return err
	}
	run, stop := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = stop
	if s.sockets != nil {
		s.tasks = append(s.tasks, s.spawn("sockets", func() { s.sockets.run(run) }))
		for _, l := range s.sockets.loops {
			s.tasks = append(s.tasks, s.spawn("event loop", func() { l.run(run) }))
		}
	}
	for _, l := range bound {
		g := s.newServing(l, cert)
		s.serving = append(s.serving, g)
		if l.admin {
			s.tasks = append(s.tasks, s.spawn("accept", func() { s.accept(g) }))
			continue
		}
		accepting := min(runtime.GOMAXPROCS(0), maxAccepting)
		if cert != nil { // each would have keys of its own for the tickets of sessions
			accepting = 1
		}
		for range accepting {
			s.accepts = append(s.accepts, s.spawn("accept", func() { s.accept(g) }))
		}
	}
	return nil
}

// maxAccepting is how many goroutines at most take connections off one listener.
// Handshakes that are there whole are served by whoever took them.
const maxAccepting = 4

func closeAll(bound []*listener) {
	for _, l := range bound {
		_ = l.Close()
	}
}

// bindAll returns what is bound already also where an error stopped it.
func (s *Server) bindAll(ctx context.Context, c HTTPConfig) (bound []*listener, err error) {
	fold := newAcceptFolder()
	for _, address := range c.Listen {
		l, err := bind(ctx, keyListen, address, s.log, fold)
		if err != nil {
			return bound, err
		}
		bound = append(bound, l)
	}
	if c.AdminListen == "" {
		return bound, nil
	}
	l, err := bind(ctx, keyAdminListen, c.AdminListen, s.log, fold)
	if err != nil {
		return bound, err
	}
	return append(bound, l), nil
}

// spawn is the only way to a goroutine here: guarded, and waited for by the
// channel it returns.
func (s *Server) spawn(name string, task func()) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			if p := recover(); p != nil {
				s.log.Error().Str("task", name).Str("panic", panicText(p)).
					Bytes("stack", debug.Stack()).Msg("panic in a task of the transport")
				s.fail(fmt.Errorf("transport: %s panicked", name))
			}
		}()
		task()
	}()
	return over
}

// awaitAll returns when all goroutines are over, or with ctx.
func awaitAll(ctx context.Context, all []<-chan struct{}) error {
	for _, over := range all {
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Server) accept(g serving) {
	err := g.serve()
	select {
	case <-g.listener.closed:
	default:
		s.fail(fmt.Errorf("transport: accepting on %s ended: %w", g.listener.Addr(), err))
	}
}

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first one is enough to end the process
	}
}

// Failed delivers the first failure after which the server no longer serves.
func (s *Server) Failed() <-chan error { return s.failed }

// Addrs returns the bound addresses of http.listen, in its order.
func (s *Server) Addrs() []net.Addr { return s.addrs(false) }

// AdminAddr returns the bound http.admin_listen, or nil.
func (s *Server) AdminAddr() net.Addr {
	if list := s.addrs(true); len(list) > 0 {
		return list[0]
	}
	return nil
}

func (s *Server) addrs(admin bool) []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []net.Addr
	for _, g := range s.serving {
		if g.listener.admin == admin {
			list = append(list, g.listener.Addr())
		}
	}
	return list
}

// Connections counts the WebSockets that live now.
func (s *Server) Connections() int {
	if s.sockets == nil {
		return 0
	}
	return s.sockets.count()
}

// SetReady withdraws the server from its balancer, or returns it: with false
// /readyz answers 503 whatever the gateway says.
func (s *Server) SetReady(ready bool) { s.notReady.Store(!ready) }

// Drain takes no more clients and keeps those it has. It goes on listening, so
// that a balancer reads 503 at /readyz and a client is told SHUTTING_DOWN, and
// keeps no connection alive behind its answer.
func (s *Server) Drain() {
	s.SetReady(false)
	s.draining.Store(true)
	serving, _, _ := s.running()
	for _, g := range serving {
		if !g.listener.admin {
			g.http.SetKeepAlivesEnabled(false)
		}
	}
}

// Shutdown drains, ends the sockets and waits for the exchanges under way. At
// the end of ctx it cuts what is left. It returns when nothing of it runs.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	serving, accepts, tasks := s.running()
	for _, g := range serving {
		_ = g.listener.Close() // only says that it was closed before
	}
	errs := []error{awaitAll(ctx, accepts)}
	if s.sockets != nil {
		s.sockets.shutdown(ctx)
	}
	for _, g := range serving {
		if err := g.http.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err, g.http.Close())
		}
	}
	s.mu.Lock()
	if s.stop != nil {
		s.stop()
	}
	s.mu.Unlock()
	return errors.Join(append(errs, awaitAll(ctx, tasks))...)
}

// running copies what Start built.
func (s *Server) running() (g []serving, accepts, tasks []<-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving, s.accepts, s.tasks // appended to by Start alone
}

// Reload obeys what can change live: origins, public_url, trusted proxies and
// operators, all or nothing. It returns the keys that wait for a restart.
func (s *Server) Reload(c HTTPConfig) (fixed []string, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	running := *s.config.Load()
	fixed = fixedKeys(running, s.obeyed(c))
	moves := c.AdminListen != running.AdminListen
	c.Listen, c.AdminListen, c.TLS = running.Listen, running.AdminListen, running.TLS
	c = s.obeyed(c)
	p, err := newPolicy(c)
	if err != nil {
		return nil, err
	}
	if was := s.live.Load(); moves && !p.port.set && was.port.set {
		p.port = was.port // the old port is open until the restart, and its token stays with it
		s.log.Warn().Msg("http.admin_listen waits for a restart: until then its old port asks for the old token")
	}
	s.live.Store(p)
	s.config.Store(&c)
	return fixed, nil
}

// recovered turns a panic of a handler into one log line and, where nothing
// was answered yet, one honest answer.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http's own way to cut a connection
	}
	s.log.Error().Str("path", capped(r.URL.Path, 128)).Str("panic", panicText(p)).
		Bytes("stack", debug.Stack()).Msg("panic in an HTTP handler")
	if w.Header().Get("Content-Type") == eventStream {
		panic(http.ErrAbortHandler) // a stream that began can only be cut; its reader resumes
	}
	answerError(w, protocol.NewError(protocol.Internal, "The server failed at this request.", 0))
}

// newErrorLog bridges what net/http has to say: mostly clients that do not
// speak TLS or HTTP, so it is folded to a line a second, cut, and debug.
func newErrorLog(l zerolog.Logger) *log.Logger {
	return log.New(&errorLog{log: l, fold: newFolder(time.Second, 2)}, "", 0)
}

type errorLog struct {
	log  zerolog.Logger
	fold *folder
}

// Write implements io.Writer.
func (e *errorLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	level := zerolog.DebugLevel
	if strings.Contains(line, "panic") {
		level = zerolog.WarnLevel
	}
	if repeats, ok := e.fold.allow(level.String(), time.Now()); ok {
		e.log.WithLevel(level).Int("repeats", repeats).Str("detail", capped(line, maxErrorLine)).Msg("http server")
	}
	return len(p), nil
}
