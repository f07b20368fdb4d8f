package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// withPort gives a worker an operators' port.
func withPort(c *config.Config) { c.HTTP.AdminListen = "127.0.0.1:0" }

// askWorker asks a worker's own port.
func askWorker(t *testing.T, a *app, path string) (int, string) {
	t.Helper()
	return getFrom(t, "http://"+a.worker.server.AdminAddr().String()+path)
}

func TestWorkerAnswersOnItsOwnPort(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, over(s, roleWorker), with(withPort))
	until(t, "it is ready", func() bool { status, _ := askWorker(t, w.app, "/readyz"); return status == http.StatusOK })
	status, body := askWorker(t, w.app, "/api/health")
	require.Equal(t, http.StatusOK, status)
	var h protocol.WorkerHealth
	require.NoError(t, json.Unmarshal([]byte(body), &h))
	require.Equal(t, protocol.WorkerHealth{
		Role: "worker", ID: w.worker.actors.ID(), Status: "ok", Version: "test", Bus: "ok", Capacity: 1000,
	}, h)
	status, body = askWorker(t, w.app, "/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, family := range []string{"troupe_build_info", "troupe_bus_connected 1", "troupe_runs_active", "go_goroutines"} {
		require.Contains(t, body, family)
	}
	require.NotContains(t, body, "troupe_handshakes_total", "nobody shakes hands here")
	for _, path := range []string{"/api/debug/websocket-status", "/", "/api/providers", "/ws/chat/s"} {
		status, _ = askWorker(t, w.app, path)
		require.Equal(t, http.StatusNotFound, status, path)
	}

	base := "http://" + w.worker.server.AdminAddr().String()
	code, stdout, stderr := started(t, nil, "", "check", "--quick", base)
	require.Zero(t, code, stderr)
	require.Equal(t, "✓ health: worker ok, version test, bus ok, runs 0 of 1000\n", stdout)
	code, stdout, _ = started(t, nil, "", "check", base)
	require.Zero(t, code)
	require.Contains(t, stdout, "– chat: a worker takes no clients; check a gateway for the rest\n")

	// Without a bus it is unwell at once, and withdrawn only after a while.
	s.Kill()
	until(t, "it misses the bus", func() bool {
		status, _ := askWorker(t, w.app, "/api/health")
		return status == http.StatusServiceUnavailable
	})
	status, _ = askWorker(t, w.app, "/readyz")
	require.Equal(t, http.StatusOK, status, "a restart of NATS is short")
	code, stdout, _ = started(t, nil, "", "check", "--quick", base)
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "✗ health: worker degraded, version test, bus down")
	s.Start()
	until(t, "it is back", func() bool { status, _ := askWorker(t, w.app, "/api/health"); return status == http.StatusOK })
}

func TestWorkerIsNotReadyBeforeItsBus(t *testing.T) {
	w := start(t, with(withPort), func(o *appOptions) {
		o.Role, o.Config.Bus.URL = roleWorker, "nats://"+freeAddress(t)
	})
	status, body := askWorker(t, w.app, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "waiting for the first connection to the message bus")
	status, _ = askWorker(t, w.app, "/livez")
	require.Equal(t, http.StatusOK, status)
}

// A worker that drains is withdrawn first; its port goes last, so that whoever
// watches it sees its runs end.
func TestWorkerDrainsWithItsPortOpen(t *testing.T) {
	s := bustest.Server(t)
	w := start(t, over(s, roleWorker), with(withPort))
	g := start(t, over(s, roleGateway))
	g.knows(1)
	c := g.dial("/ws/chat/drain")
	c.send(`{"type":"chat","id":"1","content":"x","model":"echo-50ms-60w"}`)
	for c.next().Type != "chunk" {
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		w.drain(ctx)
	}()
	until(t, "it is withdrawn", func() bool {
		status, _ := askWorker(t, w.app, "/readyz")
		return status == http.StatusServiceUnavailable
	})
	_, body := askWorker(t, w.app, "/api/health")
	require.Contains(t, body, `"status":"draining"`)
	require.Contains(t, body, `"active":1`)
	for f := c.next(); ; f = c.next() {
		if f.terminal() {
			require.Equal(t, "complete", f.Type, "what runs goes on")
			break
		}
	}
	<-over
	status, _ := askWorker(t, w.app, "/livez")
	require.Equal(t, http.StatusOK, status, "until the very end")
	address := w.worker.server.AdminAddr().String()
	w.stop(t.Context())
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

func TestWorkerStartSaysWhereItAnswers(t *testing.T) {
	s := bustest.Server(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	args := []string{"worker", "--bus.url=" + s.URL(), "--log.format=json", "--log.level=error"}

	code, stdout, stderr := started(t, []string{}, "", append(args, "--http.admin_listen="+taken.Addr().String())...)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.Contains(t, stderr, "http.admin_listen: cannot listen on "+taken.Addr().String())

	code, _, stderr = started(t, []string{}, "", append(args, "--http.admin_listen=:0", "--http.tls.cert=no.pem", "--http.tls.key=no.pem")...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "http.tls: cannot read the certificate")

	w := start(t, over(s, roleWorker), with(withPort))
	var said lockedBuffer
	welcome(&said, w.app, serveParams{Role: roleWorker, Version: "test", Config: &config.Config{}})
	require.Contains(t, said.String(), "operators   http://"+w.worker.server.AdminAddr().String()+"\n")
	require.Contains(t, said.String(), "everybody who reaches http.admin_listen")
	require.NotContains(t, said.String(), "listening")
}

func TestWorkerWithoutAPortListensNowhere(t *testing.T) {
	w := start(t, over(bustest.Server(t), roleWorker))
	require.Nil(t, w.worker.server)
	_, listeners := w.failed()
	require.Nil(t, listeners)
}

// The status of every gateway shows the whole fleet.
func TestStatusShowsEveryGatewayAndWorker(t *testing.T) {
	s := bustest.Server(t)
	start(t, over(s, roleWorker))
	first, second := start(t, over(s, roleGateway)), start(t, over(s, roleGateway))
	for _, g := range []*whole{first, second} {
		g.knows(1)
		var st protocol.Status
		until(t, "the other gateway is seen", func() bool {
			_, body, _ := g.get("/api/debug/websocket-status")
			st = protocol.Status{}
			require.NoError(t, json.Unmarshal([]byte(body), &st))
			return len(st.Gateways) == 2
		})
		for _, shown := range st.Gateways {
			require.Equal(t, shown.ID == g.gateway.actors.ID(), shown.Self)
			require.Equal(t, "test", shown.Version)
		}
		require.Equal(t, "test", st.Workers[0].Version)
		require.Equal(t, map[string]string{"anthropic": "needs_key", "echo": "ready", "gemini": "needs_key", "openai": "needs_key"}, st.Workers[0].States)
	}
	_, body, _ := first.get("/api/providers")
	require.Contains(t, body, `"workers":1,"active":0,"capacity":1000`)
}
