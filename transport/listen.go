package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = 500 * time.Millisecond // so accepting is back within a second
	maxErrorLine   = 512
)

// listener accepts for one address. When descriptors or memory run out it
// waits, longer each time, and says so at most once a second, all listeners of a
// server together; every other user of the process goes on.
type listener struct {
	net.Listener
	admin    bool
	loopback bool // bound to loopback: only loopback names are our own
	inherits bool // what is accepted comes as prepare would make it

	// first may serve a connection at once: then it returns nil. Nil for a
	// listener without it; set before the first Accept.
	first func(*net.TCPConn) net.Conn

	log  zerolog.Logger
	fold *folder // shared with the server's others

	closing sync.Once
	closed  chan struct{}
}

// bind opens one address; the error names it, its key and the remedy.
func bind(ctx context.Context, key, address string, log zerolog.Logger, fold *folder) (*listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // see prepare
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w; %s", key, address, cause(err), listenRemedy(key, err))
	}
	bound := newListener(l, key == keyAdminListen, log)
	bound.fold = fold
	bound.inherits = inherit(l)
	deferAccept(l)
	return bound, nil
}

func newListener(l net.Listener, admin bool, log zerolog.Logger) *listener {
	return &listener{
		Listener: l, admin: admin, loopback: boundToLoopback(l.Addr()),
		log: log, fold: newAcceptFolder(), closed: make(chan struct{}),
	}
}

// newAcceptFolder lets one line a second through.
func newAcceptFolder() *folder { return newFolder(time.Second, 1) }

// cause takes the address, which the message names already, off an error.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func listenRemedy(key string, err error) string {
	env := "TROUPE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("stop what uses it, or choose another address with %s, %s or --%s", key, env, key)
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("choose a port above 1023 with %s or %s, or give the program the right to bind it", key, env)
	}
	return fmt.Sprintf("choose an address of this machine with %s or %s", key, env)
}

func boundToLoopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && plain(ap.Addr()).IsLoopback()
}

// Accept returns only a connection or the end of the listener.
func (l *listener) Accept() (net.Conn, error) {
	pause := acceptPause
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			if c = l.greet(c); c == nil {
				continue
			}
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if repeats, ok := l.fold.allow("accept", time.Now()); ok {
			l.log.Warn().Err(err).Stringer("listen", l.Addr()).Dur("pause", pause).Int("repeats", repeats).
				Msg("cannot accept connections; raise the descriptor limit or lower pool.max_connections")
		}
		if !l.wait(pause) {
			return nil, net.ErrClosed
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// greet makes a connection ready, and serves it where that takes no waiting.
func (l *listener) greet(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	if !l.inherits {
		prepare(tcp)
	}
	if l.first == nil {
		return c
	}
	return l.first(tcp)
}

// What an idle connection is probed with by the kernel, as net does it.
const (
	probeAfter = 15 * time.Second
	probeEvery = 15 * time.Second
	probes     = 9
)

// prepare bounds what the kernel holds for a slow reader, and lets it notice a
// peer that is gone. Best effort: one that is gone already shows at the first
// read.
func prepare(tcp *net.TCPConn) {
	_ = tcp.SetWriteBuffer(sendBuffer)
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes})
}

func (l *listener) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.closed:
		return false
	}
}

// Close ends Accept, also one that waits. It may be called more than once.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.closing.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

type listenerKey struct{}

// listenerOf returns by which address a request came in.
func listenerOf(r *http.Request) *listener {
	l, _ := r.Context().Value(listenerKey{}).(*listener)
	if l == nil {
		return &listener{}
	}
	return l
}

// serving is one listener and the server that reads from it.
type serving struct {
	listener *listener
	http     *http.Server
}

func (s *Server) newServing(l *listener, cert *tls.Config) serving {
	base := context.WithValue(context.Background(), listenerKey{}, l)
	if cert == nil && s.sockets != nil && !l.admin {
		l.first = func(tcp *net.TCPConn) net.Conn { return s.atOnce(base, tcp) }
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // one set of bounds; HTTP/2 counts headers otherwise and has no WebSocket here
	return serving{listener: l, http: &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ReadHeaderTimeout: s.ws.HandshakeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		TLSConfig:         cert,
		ErrorLog:          newErrorLog(s.log),
		BaseContext:       func(net.Listener) context.Context { return base },
	}}
}

// serve blocks until the listener is closed.
func (g serving) serve() error {
	if g.http.TLSConfig != nil {
		return g.http.ServeTLS(g.listener, "", "")
	}
	return g.http.Serve(g.listener)
}

// Check tells whether the certificate can be read and used, before anything
// starts.
func (c TLSConfig) Check() error {
	_, err := loadTLS(c)
	return err
}

func loadTLS(c TLSConfig) (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("http.tls: cannot read the certificate: %w; http.tls.cert and http.tls.key name PEM files", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
