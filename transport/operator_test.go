package transport

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// scriptedWorker says what a test wants it to.
type scriptedWorker struct {
	mu     sync.Mutex
	health protocol.WorkerHealth
	why    string // not ready
}

func newScriptedWorker() *scriptedWorker {
	return &scriptedWorker{health: protocol.WorkerHealth{
		Role: protocol.RoleWorker, ID: "W", Status: "ok", Version: "test", Bus: "ok", Active: 3, Capacity: 10,
	}}
}

func (w *scriptedWorker) Health() protocol.WorkerHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health
}

func (w *scriptedWorker) Ready() (bool, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why == "", w.why
}

func (w *scriptedWorker) become(h func(*protocol.WorkerHealth), why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h(&w.health)
	w.why = why
}

func operatorHTTP(change ...func(*HTTPConfig)) HTTPConfig {
	c := DefaultHTTP()
	c.AdminListen = "127.0.0.1:0"
	for _, f := range change {
		f(&c)
	}
	return c
}

// startOperator runs a worker's port and returns its address.
func startOperator(t *testing.T, worker Worker, c HTTPConfig) (*Server, string) {
	t.Helper()
	s, err := NewOperator(OperatorOptions{
		HTTP: c, WebSocket: DefaultWebSocket(), Worker: worker, Tree: &scriptedTree{}, Log: zerolog.New(&lines{}),
		Registry: prometheus.NewRegistry(), Version: "test",
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
	})
	return s, "http://" + s.AdminAddr().String()
}

func TestWorkerPortServesOperatorsAlone(t *testing.T) {
	s, base := startOperator(t, newScriptedWorker(), operatorHTTP())
	require.Empty(t, s.Addrs(), "http.listen is a gateway's")
	require.Zero(t, s.Connections())
	for _, r := range listed(workerRoutes()) {
		require.Equal(t, 200, ask(t, r.Method, base+r.Pattern, "", "Host", "localhost").status, r.Pattern)
	}
	for _, r := range Routes() {
		if r.Pattern == "/metrics" || r.Pattern == actorsPath || probe(r.Pattern) {
			continue
		}
		path := strings.NewReplacer("{session_id}", "s", "{product_id}", "p", "{run_id}", "r").Replace(r.Pattern)
		require.Equal(t, 404, ask(t, r.Method, base+path, "").status, path)
	}
	require.Contains(t, ask(t, "GET", base+"/", "").body, "/metrics", "who is lost is told what is here")
	require.Equal(t, 405, ask(t, "POST", base+"/metrics", "").status)
	require.Equal(t, 404, ask(t, "GET", base+"/metrics", "", "Origin", "https://evil.example").status)
	require.Contains(t, ask(t, "GET", base+"/metrics", "").body, `troupe_build_info{version="test"} 1`)
}

func TestWorkerPortTakesTheToken(t *testing.T) {
	secret := func(text string) func(*HTTPConfig) {
		return func(c *HTTPConfig) { c.AdminToken = protocol.NewSecret([]byte(text)) }
	}
	s, base := startOperator(t, newScriptedWorker(), operatorHTTP(secret("correct-horse-battery")))
	try := func(token string) int {
		return ask(t, "GET", base+"/metrics", "", "Authorization", "Bearer "+token).status
	}
	require.Equal(t, 404, try("wrong"))
	require.Equal(t, 200, try("correct-horse-battery"))
	require.Equal(t, 200, ask(t, "GET", base+"/readyz", "").status, "an orchestrator has no token")
	require.Contains(t, s.WhoMayOperate(), "http.admin_token")

	// The token is swapped live; what is a gateway's is not looked at.
	_, err := s.Reload(operatorHTTP(secret("battery-horse-correct"), func(c *HTTPConfig) { c.TrustedProxies = []string{"10.0.0.1"} }))
	require.NoError(t, err)
	require.Equal(t, 404, try("correct-horse-battery"))
	require.Equal(t, 200, try("battery-horse-correct"))

	// Without its address the port waits for a restart, and its token with it.
	for _, wanted := range []HTTPConfig{
		operatorHTTP(secret("battery-horse-correct"), func(c *HTTPConfig) { c.AdminListen = "" }),
		operatorHTTP(func(c *HTTPConfig) { c.AdminListen = "" }),
		operatorHTTP(func(c *HTTPConfig) { c.AdminListen = "127.0.0.1:1" }),
	} {
		fixed, err := s.Reload(wanted)
		require.NoError(t, err)
		require.Equal(t, []string{"http.admin_listen"}, fixed)
		require.Equal(t, 404, ask(t, "GET", base+"/metrics", "").status, "nobody without a token")
		require.Equal(t, 200, try("battery-horse-correct"))
	}
}

func TestWorkerHealthAndReadiness(t *testing.T) {
	worker := newScriptedWorker()
	s, base := startOperator(t, worker, operatorHTTP())
	steps := []struct {
		name   string
		change func()
		health int
		status string
		ready  int
		reason string
	}{
		{"well", func() {}, 200, "ok", 200, ""},
		{"full is well", func() { worker.become(func(h *protocol.WorkerHealth) { h.Active = 10 }, "") }, 200, "ok", 200, ""},
		{"no bus", func() {
			worker.become(func(h *protocol.WorkerHealth) { h.Bus, h.Status = "down", "degraded" }, "no bus")
		}, 503, "degraded", 503, "no bus"},
		{"back", func() { worker.become(func(h *protocol.WorkerHealth) { h.Bus, h.Status = "ok", "ok" }, "") }, 200, "ok", 200, ""},
		{"withdrawn", s.Drain, 503, "draining", 503, "this server is being withdrawn"},
	}
	for _, step := range steps {
		step.change()
		health := ask(t, "GET", base+"/api/health", "")
		require.Equal(t, step.health, health.status, step.name)
		require.Equal(t, step.status, health.object(t)["status"], step.name)
		require.Equal(t, "worker", health.object(t)["role"], step.name)
		ready := ask(t, "GET", base+"/readyz", "")
		require.Equal(t, step.ready, ready.status, step.name)
		if step.reason != "" {
			require.Equal(t, step.reason, ready.object(t)["reason"], step.name)
		}
		require.Equal(t, 200, ask(t, "GET", base+"/livez", "").status, step.name)
	}
}

func TestWorkerPortNamesWhatStopsIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	o := OperatorOptions{
		HTTP:      operatorHTTP(func(c *HTTPConfig) { c.AdminListen = taken.Addr().String() }),
		WebSocket: DefaultWebSocket(), Worker: newScriptedWorker(), Log: zerolog.Nop(),
	}
	s, err := NewOperator(o)
	require.NoError(t, err)
	err = s.Start(t.Context())
	require.ErrorContains(t, err, "http.admin_listen: cannot listen on "+taken.Addr().String())
	require.ErrorContains(t, err, "TROUPE_HTTP_ADMIN_LISTEN")
	require.NotContains(t, err.Error(), "\n")
	require.NoError(t, s.Shutdown(t.Context()))

	o.HTTP.AdminListen = ""
	_, err = NewOperator(o)
	require.ErrorContains(t, err, "http.admin_listen: is empty")
}
