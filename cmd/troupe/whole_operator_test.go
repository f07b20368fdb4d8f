package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	statusPath = "/api/debug/websocket-status"
	resetPath  = "/api/debug/reset-rate-limits"
)

// flat lists the fields of a JSON object by their paths, a list by its first
// element.
func flat(prefix string, v any) (out []string) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			out = append(out, flat(prefix+"."+k, x[k])...)
		}
		if len(x) > 0 {
			return out
		}
	case []any:
		if len(x) > 0 {
			return flat(prefix+"[]", x[0])
		}
	}
	return []string{strings.TrimPrefix(prefix, ".")}
}

func (w *whole) statusPage() (body string, s protocol.Status) {
	w.t.Helper()
	code, body, _ := w.get(statusPath)
	require.Equal(w.t, http.StatusOK, code)
	require.NoError(w.t, json.Unmarshal([]byte(body), &s))
	return body, s
}

func TestStatusFields(t *testing.T) {
	w := start(t)
	body, s := w.statusPage()
	var page map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	require.Equal(t, []string{
		"actors.connection", "actors.restarts", "actors.run",
		"connection_pool.active", "connection_pool.idle_timeout", "connection_pool.max_connections", "connection_pool.max_per_ip",
		"connection_pool.peak", "connection_pool.rejected", "connection_pool.scope",
		"gateways[].active", "gateways[].draining", "gateways[].id", "gateways[].self", "gateways[].version",
		"pressure.lag_ms", "pressure.memory_bytes", "pressure.memory_limit_bytes", "pressure.stage",
		"rate_limiter.connection_limit", "rate_limiter.factor", "rate_limiter.message_limit", "rate_limiter.offenders", "rate_limiter.scope", "rate_limiter.session_limit", "rate_limiter.state",
		"rate_limiter.stats.allowed", "rate_limiter.stats.fallback", "rate_limiter.stats.rejected", "rate_limiter.stats.tracked_keys",
		"runs.active", "runs.cancelled", "runs.completed", "runs.failed",
		"websocket_manager.accepted_total", "websocket_manager.active_connections", "websocket_manager.rejected_total", "websocket_manager.success_rate",
		"workers[].active", "workers[].capacity", "workers[].draining", "workers[].id", "workers[].providers[]",
		"workers[].states.anthropic", "workers[].states.echo", "workers[].states.gemini", "workers[].states.openai", "workers[].version",
	}, flat("", page))
	require.Equal(t, []string{"50 connections per 5 minutes", "30 messages per minute", "5 sessions per hour", "ok", "gateway"},
		[]string{s.RateLimiter.ConnectionLimit, s.RateLimiter.MessageLimit, s.RateLimiter.SessionLimit, s.RateLimiter.State, s.RateLimiter.Scope})
	require.Equal(t, protocol.PoolStatus{MaxConnections: 1000, MaxPerIP: 25, IdleTimeout: "30m", Scope: "gateway"}, s.ConnectionPool)
	require.Equal(t, protocol.ManagerStatus{SuccessRate: 1}, s.WebSocketManager)
	require.Len(t, s.Workers, 1)
	require.Equal(t, []string{"anthropic", "echo", "gemini", "openai"}, s.Workers[0].Providers)
	require.Equal(t, 1000, s.Workers[0].Capacity)
}

func TestStatusNumbersMove(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.Pool.MaxPerIP = 2 }))
	c, other := w.dial("/ws/chat/s1").admitted(), w.dial("/ws/chat/s1").admitted()
	w.dial("/ws/chat/s1").refusedWith("CONNECTION_LIMIT_EXCEEDED")
	c.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
	c.answer()
	c.send(`{"type":"chat","content":"x","provider":"openai"}`)
	_, last := c.answer()
	require.Equal(t, "PROVIDER_UNAUTHORIZED", last.Code)
	c.send(`{"type":"chat","id":"c","content":"x","model":"echo-20ms-500w"}`)
	require.Equal(t, "accepted", c.next().Type)
	until(t, "the worker's beat tells of the run", func() bool {
		_, s := w.statusPage()
		return s.Runs.Active == 1 && s.Workers[0].Active == 1 && s.Actors.Run == 1
	})
	c.send(`{"type":"cancel"}`)
	_, last = c.answer()
	require.Equal(t, "cancelled", last.Type)
	other.CloseNow()
	until(t, "the other one is gone", func() bool { return w.status().WebSocketManager.ActiveConnections == 1 })

	_, s := w.statusPage()
	require.Equal(t, protocol.RunsStatus{Completed: 1, Cancelled: 1, Failed: 1}, s.Runs)
	require.Equal(t, protocol.ManagerStatus{ActiveConnections: 1, AcceptedTotal: 2, RejectedTotal: 1, SuccessRate: 2.0 / 3}, s.WebSocketManager)
	require.Equal(t, []int{1, 2, 1}, []int{s.ConnectionPool.Active, s.ConnectionPool.Peak, int(s.ConnectionPool.Rejected)})
	require.Equal(t, 1, s.Actors.Connection)
	require.Positive(t, s.RateLimiter.Stats.TrackedKeys)
	require.EqualValues(t, 6, s.RateLimiter.Stats.Allowed, "three connections and three messages")

	code, body, _ := w.post(resetPath, "")
	require.Equal(t, http.StatusOK, code)
	var reset struct{ Cleared int }
	require.NoError(t, json.Unmarshal([]byte(body), &reset))
	require.Equal(t, s.RateLimiter.Stats.TrackedKeys, reset.Cleared)
	_, body, _ = w.post(resetPath, "")
	require.JSONEq(t, `{"cleared":0}`, body)
	_, s = w.statusPage()
	require.Zero(t, s.RateLimiter.Stats.TrackedKeys)

	for series, want := range map[string]string{
		`troupe_connections{state="open"}`:                               "1",
		`troupe_connections_total{result="accepted"}`:                    "2",
		`troupe_connections_total{result="rejected"}`:                    "1",
		`troupe_handshakes_total{result="ok"}`:                           "3",
		`troupe_pool_slots`:                                              "1",
		`troupe_pool_limit`:                                              "1000",
		`troupe_runs_active{provider="echo"}`:                            "0",
		`troupe_runs_total{outcome="complete",provider="echo"}`:          "1",
		`troupe_runs_total{outcome="cancelled",provider="echo"}`:         "1",
		`troupe_runs_total{outcome="error",provider="openai"}`:           "1",
		`troupe_errors_total{code="CONNECTION_LIMIT_EXCEEDED"}`:          "1",
		`troupe_errors_total{code="PROVIDER_UNAUTHORIZED"}`:              "1",
		`troupe_bus_connected`:                                           "1",
		`troupe_limiter_degraded`:                                        "0",
		`troupe_cancel_seconds_count`:                                    "1",
		`troupe_time_to_first_token_seconds_count`:                       "2",
		`troupe_limit_decisions_total{limit="message",result="allowed"}`: "3",
		`troupe_build_info{version="test"}`:                              "1",
	} {
		require.Equal(t, want, w.metric(series), series)
	}
}

// contractFamilies are promised from the start, also where nothing happened.
func contractFamilies() []string {
	return []string{
		"troupe_connections", "troupe_connections_total", "troupe_handshakes_total", "troupe_limit_decisions_total", "troupe_limiter_degraded",
		"troupe_pool_slots", "troupe_pool_limit", "troupe_runs_active", "troupe_runs_total", "troupe_time_to_first_token_seconds",
		"troupe_chunk_gap_seconds", "troupe_chunks_total", "troupe_tokens_total", "troupe_cancel_seconds", "troupe_actor_restarts_total",
		"troupe_dead_letters_total", "troupe_outbox_bytes", "troupe_slow_consumers_total", "troupe_bus_connected", "troupe_bus_dropped_total",
		"troupe_errors_total", "troupe_build_info",
	}
}

func TestEveryMetricIsThereFromTheStart(t *testing.T) {
	nats := bustest.Server(t)
	for role, w := range map[string]*whole{
		roleServe:   start(t),
		roleGateway: start(t, func(o *appOptions) { o.Role = roleGateway }, with(func(c *config.Config) { c.Bus.URL = nats.URL() })),
	} {
		code, body, _ := w.get("/metrics")
		require.Equal(t, http.StatusOK, code)
		for _, family := range contractFamilies() {
			require.Contains(t, body, "# TYPE "+family+" ", role)
			require.Regexp(t, `(?m)^`+family+`(_count)?(\{[^}]*\})? \S+$`, body, "%s: %s has a value", role, family)
		}
		require.Contains(t, body, `troupe_errors_total{code="RATE_LIMIT_EXCEEDED"} 0`)
	}
}

func TestStrangersFindNothing(t *testing.T) {
	w := start(t)
	tokened := start(t, with(func(c *config.Config) { c.HTTP.AdminToken = protocol.NewSecret([]byte("0123456789abcdef")) }))
	ask := func(w *whole, method, path, host string, header ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, w.http(path), nil)
		require.NoError(t, err)
		r.Host = host
		status, body, _ := w.do(r, header...)
		return status, body
	}
	_, unknown := ask(w, "GET", "/api/debug/nothing", "")
	for _, route := range transport.Routes() {
		if !route.Operator || strings.HasPrefix(route.Pattern, "/api/debug/faults") { // TestFaultAddresses
			continue
		}
		for name, tt := range map[string]struct {
			at     *whole
			host   string
			header []string
		}{
			"Host":            {w, "chat.example.com", nil},
			"X-Forwarded-For": {w, "", []string{"X-Forwarded-For", "127.0.0.1"}},
			"Forwarded":       {w, "", []string{"Forwarded", "for=127.0.0.1"}},
			"X-Real-IP":       {w, "", []string{"X-Real-IP", "127.0.0.1"}},
			"Via":             {w, "", []string{"Via", "1.1 proxy"}},
			"Origin":          {w, "", []string{"Origin", "https://evil.example"}},
			"allowed Origin":  {w, "", []string{"Origin", "http://localhost:3000"}},
			"cross-site":      {w, "", []string{"Sec-Fetch-Site", "cross-site"}},
			"no token":        {tokened, "", nil},
			"wrong token":     {tokened, "", []string{"Authorization", "Bearer 0123456789abcdeF"}},
		} {
			for _, method := range []string{route.Method, "OPTIONS", "DELETE"} {
				status, body := ask(tt.at, method, route.Pattern, tt.host, tt.header...)
				require.Equal(t, http.StatusNotFound, status, "%s %s: %s", method, route.Pattern, name)
				require.Equal(t, unknown, body, "%s %s: %s", method, route.Pattern, name)
			}
		}
		status, _ := ask(w, route.Method, route.Pattern, "")
		require.Equal(t, http.StatusOK, status, route.Pattern)
		status, _ = ask(tokened, route.Method, route.Pattern, "chat.example.com", "Authorization", "Bearer 0123456789abcdef")
		require.Equal(t, http.StatusOK, status, route.Pattern)
	}
	require.Len(t, w.logged("operator address refused"), 1, "at most one line a minute")
	require.NotContains(t, tokened.log.String(), "0123456789abcde")
}

// A stranger who walks over everything finds the public addresses alone.
func TestWalkOverEveryRoute(t *testing.T) {
	w := start(t)
	var open []string
	for _, route := range transport.Routes() {
		path := strings.NewReplacer("{session_id}", "s1", "{product_id}", "11", "{run_id}", "r", "{version}", "v", "{asset}", "client/troupe.js").Replace(route.Pattern)
		r, err := http.NewRequestWithContext(t.Context(), route.Method, w.http(path), nil)
		require.NoError(t, err)
		if status, _, _ := w.do(r, "X-Forwarded-For", "203.0.113.1"); status != http.StatusNotFound {
			open = append(open, route.Method+" "+route.Pattern)
		}
	}
	require.Equal(t, []string{
		"GET /ws/chat/{session_id}", "GET /api/ws/chat/{session_id}",
		"GET /ws/chat/customer/{product_id}/{session_id}", "GET /api/ws/chat/customer/{product_id}/{session_id}",
		"POST /api/chat", "POST /api/chat/{run_id}/cancel", "GET /api/providers", "GET /api/health", "GET /livez", "GET /readyz",
		"GET /", "GET /products/{product_id}", "GET /assets/{version}/{asset}", "GET /troupe.js", "GET /troupe.d.ts", "GET /embed.js",
	}, open)
	for _, path := range []string{
		"/debug/pprof/", "/debug/vars", "/varz", "/connz", "/api", "/api/debug", "/api/debug/faults", "/api/debug/", "/metrics/",
		"/API/debug/websocket-status", "/api//debug/websocket-status", "/api/debug/websocket-status/", "/%61pi/debug/websocket-status",
		"/api/./debug/websocket-status", "/ws/../metrics", "/config", "/.env",
	} {
		status, _, _ := w.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
}

func TestProbes(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.HTTP.AdminListen = "127.0.0.1:0" }))
	admin := "http://" + w.gateway.server.AdminAddr().String()
	health := func(base string) (int, protocol.Health) {
		status, body := getFrom(t, base+"/api/health")
		var h protocol.Health
		require.NoError(t, json.Unmarshal([]byte(body), &h))
		return status, h
	}
	probe := func(path string) int {
		status, _ := getFrom(t, admin+path)
		return status
	}
	for _, base := range []string{w.http(""), admin} {
		status, h := health(base)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, protocol.Health{Status: "ok", Version: "test", Bus: "ok", Workers: 1, Limiter: "ok"}, h)
	}
	require.Equal(t, []int{200, 200}, []int{probe("/livez"), probe("/readyz")})

	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"x","model":"echo-20ms-5000w"}`)
	require.Equal(t, "chunk", c.next().Type)
	ctx, enough := context.WithCancel(t.Context())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		w.drain(ctx)
	}()
	began := time.Now()
	until(t, "not ready", func() bool { return probe("/readyz") == http.StatusServiceUnavailable })
	require.Less(t, time.Since(began), 500*time.Millisecond)
	require.Equal(t, http.StatusOK, probe("/livez"))
	status, h := health(admin)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "draining", h.Status)
	enough()
	<-drained
}

func TestProbesWithoutABus(t *testing.T) {
	w := start(t)
	w.nats.Shutdown()
	var body string
	until(t, "unhealthy", func() bool {
		var status int
		status, body, _ = w.get("/api/health")
		return status == http.StatusServiceUnavailable
	})
	require.Contains(t, body, `"status":"degraded"`)
	require.Contains(t, body, `"bus":"down"`)
	status, _, _ := w.get("/livez")
	require.Equal(t, http.StatusOK, status, "it never asks the bus")
	status, _, _ = w.get("/readyz")
	require.Equal(t, http.StatusOK, status, "a short outage pulls nobody from a balancer")
	require.Equal(t, "0", w.metric("troupe_bus_connected"))
	c := w.dial("/ws/chat/s1")
	c.send(`{"type":"chat","content":"x"}`)
	f := c.next()
	require.Equal(t, "BUS_UNAVAILABLE", f.Code)
	require.Positive(t, f.RetryAfter)
	c.admitted()
}

// Before its first connection to the bus a gateway is alive and not ready.
func TestNotReadyBeforeTheFirstBus(t *testing.T) {
	w := start(t, func(o *appOptions) { o.Role = roleGateway }, with(func(c *config.Config) { c.Bus.URL = "nats://127.0.0.1:1" }))
	status, body, _ := w.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"ready":false`)
	status, _, _ = w.get("/livez")
	require.Equal(t, http.StatusOK, status)
}
