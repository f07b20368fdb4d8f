package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// scripted is a Gateway whose connections do what a test says.
type scripted struct {
	admit  func(s Socket, c protocol.Client)  // nil = Next at once
	answer func(s Socket, r protocol.Request) // nil = one complete

	opened chan protocol.Client
	closed chan protocol.Cause

	mu        sync.Mutex
	clients   []protocol.Client
	requests  []protocol.Request
	offenders []protocol.Client
	health    protocol.Health
	ready     bool
	why       string
	products  map[string]string
}

func newScripted() *scripted {
	return &scripted{
		opened: make(chan protocol.Client, 256), closed: make(chan protocol.Cause, 256), ready: true,
		health: protocol.Health{Status: "ok", Bus: "ok", Workers: 1, Limiter: "ok"},
	}
}

func (g *scripted) Open(s Socket, c protocol.Client) Session {
	g.mu.Lock()
	g.clients = append(g.clients, c)
	g.mu.Unlock()
	g.opened <- c
	if g.admit != nil {
		g.admit(s, c)
	} else {
		s.Next()
	}
	return &scriptedSession{g: g, socket: s}
}

func (g *scripted) Status() protocol.Status { return protocol.Status{} }

func (g *scripted) Health() protocol.Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.health
}

func (g *scripted) Ready() (bool, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ready, g.why
}

func (g *scripted) Offers() []protocol.Offer { return []protocol.Offer{{Name: "echo", Default: true}} }
func (g *scripted) ResetLimits() int         { return 7 }

func (g *scripted) Offended(c protocol.Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.offenders = append(g.offenders, c)
}

func (g *scripted) Product(id string) (string, bool) {
	if g.products == nil {
		return "", true
	}
	name, ok := g.products[id]
	return name, ok
}

func (g *scripted) lastClient(t *testing.T) protocol.Client {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.NotEmpty(t, g.clients)
	return g.clients[len(g.clients)-1]
}

func (g *scripted) lastRequest(t *testing.T) protocol.Request {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.NotEmpty(t, g.requests)
	return g.requests[len(g.requests)-1]
}

func (g *scripted) cause(t *testing.T) protocol.Cause {
	t.Helper()
	select {
	case c := <-g.closed:
		return c
	case <-time.After(10 * time.Second):
		require.FailNow(t, "the session was never told of its end")
		return 0
	}
}

type scriptedSession struct {
	g      *scripted
	socket Socket
}

func (s *scriptedSession) Receive(r protocol.Request) {
	s.g.mu.Lock()
	s.g.requests = append(s.g.requests, r)
	s.g.mu.Unlock()
	if s.g.answer != nil {
		s.g.answer(s.socket, r)
		return
	}
	s.socket.Send(&protocol.Frame{Type: protocol.TypeComplete, Named: true, RunID: "run", Seq: 1, Text: []byte("hi"), Finish: "stop"})
	s.socket.Close("")
}

func (s *scriptedSession) Who() (connection, address string) { return "scripted", "192.0.2.1" }
func (s *scriptedSession) Closed(c protocol.Cause)           { s.g.closed <- c }

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) with(message string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, message) {
			found = append(found, line)
		}
	}
	return found
}

// running is a started server on a free port of loopback.
type running struct {
	*Server
	t    *testing.T
	gw   *scripted
	log  *lines
	base string // http://127.0.0.1:port
}

// somewhere makes an address of a pattern.
func somewhere(pattern string) string {
	return strings.NewReplacer("{session_id}", "s", "{product_id}", "p", "{run_id}", "r", "{version}", "v", "{asset}", "client/troupe.js").Replace(pattern)
}

func localHTTP() HTTPConfig {
	c := DefaultHTTP()
	c.Listen = []string{"127.0.0.1:0"}
	return c
}

func start(t *testing.T, gw *scripted, change ...func(*HTTPConfig, *WebSocketConfig)) running {
	t.Helper()
	c, ws := localHTTP(), DefaultWebSocket()
	for _, f := range change {
		f(&c, &ws)
	}
	out := &lines{}
	s, err := New(Options{
		HTTP: c, WebSocket: ws, Gateway: gw, Tree: &scriptedTree{}, Log: zerolog.New(out),
		Registry: prometheus.NewRegistry(), Version: "test",
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
	})
	return running{Server: s, t: t, gw: gw, log: out, base: "http://" + s.Addrs()[0].String()}
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// request asks path; headers come in pairs, "Host" sets the Host.
func (r running) request(method, path, body string, headers ...string) reply {
	r.t.Helper()
	return ask(r.t, method, r.base+path, body, headers...)
}

func ask(t *testing.T, method, url, body string, headers ...string) reply {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, in)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{res.StatusCode, res.Header, string(data)}
}
