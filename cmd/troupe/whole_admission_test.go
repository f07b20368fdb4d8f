package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// admitted proves that the client is in, and that nothing else was said to it.
func (c *peer) admitted() *peer {
	c.t.Helper()
	c.send(`{"type":"ping"}`)
	require.Equal(c.t, `{"type":"pong"}`, c.raw())
	return c
}

// refusedWith reads the one frame and the close of a client that is not let in.
func (c *peer) refusedWith(code string) said {
	c.t.Helper()
	f := c.next()
	require.Equal(c.t, []string{"error", code}, []string{f.Type, f.Code}, f.Message)
	require.NotEmpty(c.t, f.Message)
	_, _, err := c.Read(c.t.Context())
	require.Equal(c.t, websocket.StatusPolicyViolation, websocket.CloseStatus(err))
	return f
}

func (w *whole) reset() { w.gateway.actors.ResetLimits() }

func TestPoolLimitPerAddress(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.Limits.Connections.Max = 28 }))
	var held []*peer
	for range 25 {
		held = append(held, w.dial("/ws/chat/s1").admitted())
	}
	for range 10 {
		f := w.dial("/ws/chat/s1").refusedWith("CONNECTION_LIMIT_EXCEEDED")
		require.True(t, strings.HasPrefix(f.Message, "Connection limit reached: "), f.Message)
		require.Positive(t, f.RetryAfter)
	}
	pool := w.status().ConnectionPool
	require.Equal(t, []int{25, 25, 10}, []int{pool.Active, pool.Peak, int(pool.Rejected)})
	require.Equal(t, "25", w.metric("troupe_pool_slots"))

	require.NoError(t, held[0].Close(websocket.StatusNormalClosure, ""))
	held[1].CloseNow() // no close frame
	w.reap(held[2])    // a reset
	until(t, "the slots came back", func() bool { return w.status().ConnectionPool.Active == 22 })
	for range 3 { // the 26th to 28th in the window: the refused ones took nothing from it
		w.dial("/ws/chat/s1").admitted()
	}
	w.dial("/ws/chat/s1").refusedWith("CONNECTION_RATE_EXCEEDED")
	require.Equal(t, 25, w.status().ConnectionPool.Active)
}

// reap ends a socket while bytes for it are under way, so that the kernel
// answers them with a reset.
func (w *whole) reap(c *peer) {
	w.t.Helper()
	c.send(`{"type":"chat","content":"word","model":"echo-1ms-500w"}`)
	require.Equal(w.t, "chunk", c.next().Type)
	c.CloseNow()
}

func TestPoolLimitInAll(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Pool.MaxConnections = 2
		c.HTTP.TrustedProxies = []string{"127.0.0.1"}
	}))
	for i := range 2 {
		w.dial("/ws/chat/s1", "X-Forwarded-For", fmt.Sprint("203.0.113.", i)).admitted()
	}
	f := w.dial("/ws/chat/s1", "X-Forwarded-For", "203.0.113.9").refusedWith("CONNECTION_LIMIT_EXCEEDED")
	require.True(t, strings.HasPrefix(f.Message, "Connection limit reached: 2 connections"), f.Message)
}

func TestConnectionRate(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Pool.MaxPerIP = 0
		c.HTTP.TrustedProxies = []string{"127.0.0.1"}
	}))
	for range 50 {
		w.dial("/ws/chat/s1").admitted().CloseNow()
	}
	for range 3 {
		f := w.dial("/ws/chat/s1").refusedWith("CONNECTION_RATE_EXCEEDED")
		require.Contains(t, f.Message, "50 connections per 5 minutes")
		require.Greater(t, f.RetryAfter, 200)
		require.LessOrEqual(t, f.RetryAfter, 300)
	}
	w.dial("/ws/chat/s1", "X-Forwarded-For", "203.0.113.9").admitted()
	status, _, _ := w.post("/api/chat", `{"session_id":"s1","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusOK, status, "HTTP is not counted and not refused by the connection rate")
	require.Positive(t, w.gateway.actors.ResetLimits())
	w.dial("/ws/chat/s1").admitted()
}

// A window that has passed lets a client in again, at the moment it was told.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	w := start(t, with(func(c *config.Config) {
		c.Limits.Connections.Max, c.Limits.Connections.Window = 1, 2*time.Second
	}))
	w.dial("/ws/chat/s1").admitted()
	f := w.dial("/ws/chat/s1").refusedWith("CONNECTION_RATE_EXCEEDED")
	<-time.After(time.Duration(f.RetryAfter) * time.Second)
	w.dial("/ws/chat/s1").admitted()
}

func TestNewSessions(t *testing.T) {
	w := start(t)
	var held []*peer
	for i := range 5 {
		held = append(held, w.dial(fmt.Sprint("/ws/chat/s", i)).admitted())
	}
	for range 3 {
		f := w.dial("/ws/chat/s6").refusedWith("SESSION_LIMIT_EXCEEDED")
		require.Contains(t, f.Message, "5 new sessions per hour")
		require.Greater(t, f.RetryAfter, 3000)
		require.LessOrEqual(t, f.RetryAfter, 3600)
	}
	w.dial("/ws/chat/s3").admitted() // connected now
	for _, c := range held {
		c.CloseNow()
	}
	w.quiet(1)
	w.dial("/ws/chat/customer/11/s4").admitted() // seen in the window
	status, body, header := w.post("/api/chat", `{"session_id":"s7","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "SESSION_LIMIT_EXCEEDED", parse(t, body).Code)
	require.Equal(t, strconv.Itoa(parse(t, body).RetryAfter), header.Get("Retry-After"))
	status, body, _ = w.post("/api/chat", `{"session_id":"s2","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusOK, status, body)
	status, body, _ = w.post("/api/debug/reset-rate-limits", "")
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `^\{"cleared":[1-9]\d*\}\s$`, body)
	w.dial("/ws/chat/s6").admitted()
}

func TestMessageRate(t *testing.T) {
	w := start(t)
	c := w.dial("/ws/chat/s1")
	ask := func(c *peer) said {
		c.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last := c.answer()
		return last
	}
	for range 30 {
		require.Equal(t, "complete", ask(c).Type)
	}
	for range 3 {
		f := ask(c)
		require.Equal(t, "RATE_LIMIT_EXCEEDED", f.Code)
		require.Contains(t, f.Message, "30 messages per minute")
		require.Positive(t, f.RetryAfter)
		require.LessOrEqual(t, f.RetryAfter, 60)
	}
	require.Len(t, w.logged("Turn ended"), 30, "what the limiter refuses is no run, and floods no log")
	require.Zero(t, w.status().Runs.Failed)
	c.send(`{"type":"chat","id":"n","content":"x","model":"echo-0s"}`)
	f := c.next()
	require.Equal(t, []string{"error", "RATE_LIMIT_EXCEEDED", "n"}, []string{f.Type, f.Code, f.ID})
	c.admitted()
	require.Equal(t, "RATE_LIMIT_EXCEEDED", ask(w.dial("/ws/chat/s1")).Code, "keyed by session, not by socket")
	require.Equal(t, "complete", ask(w.dial("/ws/chat/s2")).Type)
	status, body, header := w.post("/api/chat", `{"session_id":"s1","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusTooManyRequests, status, "both doors share the window")
	require.Equal(t, strconv.Itoa(parse(t, body).RetryAfter), header.Get("Retry-After"))
	w.reset()
	require.Equal(t, "complete", ask(c).Type)
}

func TestLimitsThatAreOff(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Limits.Connections.Max, c.Limits.Messages.Max, c.Limits.Sessions.Max = 0, 0, 0
		c.Pool.MaxPerIP = 0
	}))
	for i := range 55 {
		w.dial(fmt.Sprint("/ws/chat/s", i)).admitted()
	}
	c := w.dial("/ws/chat/s1")
	for range 40 {
		c.send(`{"type":"chat","content":"x","model":"echo-0s"}`)
		_, last := c.answer()
		require.Equal(t, "complete", last.Type)
	}
	l := w.status().RateLimiter
	require.Equal(t, []string{"off", "off", "off"}, []string{l.ConnectionLimit, l.MessageLimit, l.SessionLimit})
	require.Zero(t, l.Stats.TrackedKeys)
}

func TestHTTPMessageLimitWithoutSession(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Limits.Messages.Max, c.Limits.Sessions.Max, c.Limits.Connections.Max = 3, 2, 1
	}))
	for range 3 {
		status, body, _ := w.post("/api/chat", `{"content":"x","model":"echo-0s"}`)
		require.Equal(t, http.StatusOK, status, body)
		require.NotEmpty(t, parse(t, body).SessionID)
	}
	status, body, header := w.post("/api/chat", `{"content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "RATE_LIMIT_EXCEEDED", parse(t, body).Code)
	require.Equal(t, strconv.Itoa(parse(t, body).RetryAfter), header.Get("Retry-After"))

	w.dial("/ws/chat/s1").admitted() // the first session: those that the server made up were not counted
	w.dial("/ws/chat/s1").refusedWith("CONNECTION_RATE_EXCEEDED")
	status, body, _ = w.post("/api/chat", `{"session_id":"s2","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusOK, status, body)
	status, body, _ = w.post("/api/chat", `{"session_id":"s3","content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "SESSION_LIMIT_EXCEEDED", parse(t, body).Code)
}

func TestHTTPHoldsASlot(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.Pool.MaxPerIP = 1 }))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http("/api/chat"), strings.NewReader(`{"content":"x","model":"echo-10s-5w"}`))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	until(t, "it runs", func() bool { return w.worker.actors.Active() == 1 })
	require.Zero(t, w.status().WebSocketManager.ActiveConnections)
	w.dial("/ws/chat/s1").refusedWith("CONNECTION_LIMIT_EXCEEDED")
	leave()
	<-gone
	until(t, "the slot came back", func() bool { return w.status().ConnectionPool.Active == 0 })
	c := w.dial("/ws/chat/s1").admitted()
	status, body, header := w.post("/api/chat", `{"content":"x","model":"echo-0s"}`)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "CONNECTION_LIMIT_EXCEEDED", parse(t, body).Code)
	require.NotEmpty(t, header.Get("Retry-After"))
	c.CloseNow()
	w.quiet(0)
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	w := start(t, with(func(c *config.Config) { c.Pool.IdleTimeout = time.Second }))
	silent, busy, lively := w.dial("/ws/chat/s1"), w.dial("/ws/chat/s2"), w.dial("/ws/chat/s3")
	busy.send(`{"type":"chat","content":"a b c d","model":"echo-800ms"}`) // 2.4 s

	pinging := time.NewTicker(200 * time.Millisecond)
	defer pinging.Stop()
	for range 9 { // lively cancels nothing, which counts; silent only pings, which does not
		<-pinging.C
		lively.send(`{"type":"cancel"}`)
		require.Equal(t, "NO_ACTIVE_RUN", lively.next().Code)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_ = silent.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)) // it may be closed by now
		cancel()
	}
	var f said
	for f = silent.next(); f.Type == "pong"; f = silent.next() {
	}
	require.Equal(t, []string{"error", "IDLE_TIMEOUT"}, []string{f.Type, f.Code})
	require.Equal(t, websocket.StatusNormalClosure, silent.closed())

	text, last := busy.answer()
	require.Equal(t, []string{"complete", "a b c d"}, []string{last.Type, text})
	ended := time.Now()
	require.Equal(t, "IDLE_TIMEOUT", busy.next().Code)
	require.GreaterOrEqual(t, time.Since(ended), 900*time.Millisecond, "counted from the end of the turn")
	require.Equal(t, websocket.StatusNormalClosure, busy.closed())
	require.Equal(t, "IDLE_TIMEOUT", lively.next().Code)
	require.Equal(t, websocket.StatusNormalClosure, lively.closed())
	w.quiet(0)
}

func TestClientsBehindAProxy(t *testing.T) {
	w := start(t, with(func(c *config.Config) {
		c.Pool.MaxPerIP = 1
		c.HTTP.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.0/8"}
	}))
	for _, from := range []string{"203.0.113.1", "203.0.113.2, 10.0.0.7", "2001:db8::1"} {
		w.dial("/ws/chat/s1", "X-Forwarded-For", from).admitted()
	}
	for _, from := range []string{
		"203.0.113.1",
		"198.51.100.9, 203.0.113.2", // the leftmost is the client's own word
		"2001:db8::ffff",            // the same /64
	} {
		w.dial("/ws/chat/s1", "X-Forwarded-For", from).refusedWith("CONNECTION_LIMIT_EXCEEDED")
	}
	w.dial("/ws/chat/s1").admitted() // the proxy itself
	require.Empty(t, w.logged("forwarding header of an untrusted peer ignored"))
	var addresses []any
	for _, line := range w.logged("WebSocket connection successful") {
		addresses = append(addresses, line["address"])
	}
	require.Equal(t, []any{"203.0.113.1", "203.0.113.2", "2001:db8::/64", "127.0.0.1"}, addresses)
}

func TestForwardingHeaderOfAStranger(t *testing.T) {
	w := start(t, with(func(c *config.Config) { c.Pool.MaxPerIP = 1 }))
	w.dial("/ws/chat/s1", "X-Forwarded-For", "203.0.113.1").admitted()
	for i := range 5 {
		w.dial("/ws/chat/s1", "X-Forwarded-For", fmt.Sprint("203.0.113.", i)).refusedWith("CONNECTION_LIMIT_EXCEEDED")
	}
	lines := w.logged("forwarding header of an untrusted peer ignored")
	require.Len(t, lines, 1)
	require.Equal(t, "127.0.0.1", lines[0]["address"])
	require.Contains(t, lines[0]["remedy"], "http.trusted_proxies")
	_, body, _ := w.get("/api/debug/websocket-status")
	require.Contains(t, body, "http.trusted_proxies: 127.0.0.1 sends forwarding headers")
}
