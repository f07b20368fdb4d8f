package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const edgeKey = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455, 1.3

// edgeSession is a session that a test drives by hand.
type edgeSession struct {
	socket   Socket
	client   protocol.Client
	requests chan protocol.Request
	closed   chan protocol.Cause // room for two: a second Closed would be seen
	receive  func(*edgeSession, protocol.Request)
}

func (s *edgeSession) Receive(r protocol.Request) {
	if s.receive != nil {
		s.receive(s, r)
		return
	}
	s.requests <- r
}

func (s *edgeSession) Who() (connection, address string) {
	return s.client.Connection, s.client.Address
}
func (s *edgeSession) Closed(cause protocol.Cause) { s.closed <- cause }

// edgeGateway hands every opened session to the test.
type edgeGateway struct {
	Gateway // the rest is not asked here
	opened  chan *edgeSession
	open    func(*edgeSession)
	receive func(*edgeSession, protocol.Request)

	offences atomic.Int64
}

func (g *edgeGateway) Offended(protocol.Client) { g.offences.Add(1) }

func (g *edgeGateway) Open(s Socket, c protocol.Client) Session {
	session := &edgeSession{
		socket: s, client: c, receive: g.receive,
		closed: make(chan protocol.Cause, 2),
	}
	if g.receive == nil {
		session.requests = make(chan protocol.Request, 64)
	}
	if g.open != nil {
		g.open(session)
	}
	if g.opened != nil {
		g.opened <- session
	}
	return session
}

// edge is a server with nothing but sockets.
type edge struct {
	*sockets
	gateway *edgeGateway
	server  *httptest.Server
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func edgeConfig() WebSocketConfig {
	return WebSocketConfig{
		MaxMessageBytes: 256 << 10, OutboxBytes: 256 << 10,
		PingInterval: 25 * time.Second, PongTimeout: 10 * time.Second, HandshakeTimeout: 5 * time.Second, Reader: ReaderGoroutine,
	}
}

// edgeLink is the way that a socket's bytes take.
type edgeLink uint8

const (
	overTCP edgeLink = iota
	overTLS
	overLoop
)

func newEdge(t testing.TB, cfg WebSocketConfig, over edgeLink) *edge {
	cfg.Reader = ReaderGoroutine
	if over == overLoop {
		cfg.Reader = ReaderLoop
	}
	e := &edge{gateway: &edgeGateway{opened: make(chan *edgeSession, 2000)}, log: new(lockedBuffer)}
	e.sockets = newSockets(cfg, e.gateway, zerolog.New(e.log), new(edgeMetrics))
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.serve(w, r, protocol.Client{Connection: "c1", Address: "127.0.0.1", Session: "s1"})
	}))
	e.server.Listener = newListener(e.server.Listener, false, zerolog.Nop()) // sockets rely on what it sets
	if over == overTLS {
		e.server.StartTLS()
	} else {
		e.server.Start()
	}
	ctx, cancel := context.WithCancel(context.Background()) // not t's, which ends before the sockets do
	swept := make(chan struct{})
	go func() { defer close(swept); e.run(ctx) }()
	require.NoError(t, e.openLoops())
	var looping sync.WaitGroup
	for _, l := range e.loops {
		looping.Go(func() { l.run(ctx) })
	}
	t.Cleanup(func() {
		stop, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		e.shutdown(stop)
		require.Zero(t, e.count())
		require.Zero(t, e.metrics.outboxBytes.Load(), "the gauge returns to zero")
		cancel()
		<-swept
		looping.Wait()
		e.server.Close()
	})
	return e
}

// edgeClient speaks RFC 6455 byte by byte, so that it can also speak it wrongly.
type edgeClient struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

// dial connects and sends the handshake with more bytes right behind it.
func (e *edge) dial(t testing.TB, behind []byte) (*edgeClient, *edgeSession) {
	nc, err := net.Dial("tcp", e.server.Listener.Addr().String())
	require.NoError(t, err)
	if e.server.TLS != nil {
		pool := e.server.Client().Transport.(*http.Transport).TLSClientConfig
		nc = tls.Client(nc, &tls.Config{RootCAs: pool.RootCAs, ServerName: "example.com"})
	}
	require.NoError(t, nc.SetDeadline(time.Now().Add(20*time.Second)))
	request := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + edgeKey + "\r\n\r\n"
	_, err = nc.Write(append([]byte(request), behind...))
	require.NoError(t, err)
	c := &edgeClient{t: t, nc: nc, r: bufio.NewReader(nc)}
	t.Cleanup(func() { _ = nc.Close() })
	answer, err := http.ReadResponse(c.r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, answer.StatusCode)
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", answer.Header.Get("Sec-WebSocket-Accept"))
	return c, <-e.gateway.opened
}

func (c *edgeClient) send(b []byte) {
	_, err := c.nc.Write(b)
	require.NoError(c.t, err)
}

// next reads one frame of the server.
func (c *edgeClient) next() (ws.OpCode, string) {
	h, err := ws.ReadHeader(c.r)
	require.NoError(c.t, err)
	require.False(c.t, h.Masked)
	require.True(c.t, h.Fin)
	b := make([]byte, h.Length)
	_, err = io.ReadFull(c.r, b)
	require.NoError(c.t, err)
	return h.OpCode, string(b)
}

func (c *edgeClient) wantText(text string) {
	c.t.Helper()
	op, got := c.next()
	require.Equal(c.t, ws.OpText, op)
	require.JSONEq(c.t, text, got)
}

func (c *edgeClient) wantClose(code ws.StatusCode, reason string) {
	c.t.Helper()
	op, got := c.next()
	require.Equal(c.t, ws.OpClose, op)
	gotCode, gotReason := ws.ParseCloseFrameData([]byte(got))
	require.Equal(c.t, code, gotCode)
	require.Equal(c.t, reason, gotReason)
}

// wantEnd reads the end of the stream: an orderly one, not a reset.
func (c *edgeClient) wantEnd() {
	c.t.Helper()
	_, err := c.r.ReadByte()
	require.ErrorIs(c.t, err, io.EOF)
}

func (s *edgeSession) wantClosed(t testing.TB, cause protocol.Cause) {
	t.Helper()
	select {
	case got := <-s.closed:
		require.Equal(t, cause, got)
	case <-time.After(15 * time.Second):
		require.Fail(t, "the session was not told that its socket is gone")
	}
}

func edgeMask() [4]byte { return [4]byte{0x12, 0x34, 0x56, 0x78} }

// masked builds a client's frame.
func masked(op ws.OpCode, fin bool, payload string) []byte {
	f := ws.MaskFrameInPlaceWith(ws.NewFrame(op, fin, []byte(payload)), edgeMask())
	return ws.MustCompileFrame(f)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// readFrame reads one frame of ours from memory.
func readFrame(t require.TestingT, r io.Reader) ws.Frame {
	h, err := ws.ReadHeader(r)
	require.NoError(t, err)
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	require.NoError(t, err)
	return ws.Frame{Header: h, Payload: payload}
}
