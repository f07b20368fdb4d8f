package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// upgradeHeaders are the headers of a complete upgrade request.
func upgradeHeaders() []string {
	return []string{
		"Upgrade", "websocket", "Connection", "Upgrade",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
	}
}

// upgrade asks for a WebSocket by plain HTTP, to see how it is refused.
func (w *whole) upgrade(path string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	return w.get(path, append(upgradeHeaders(), header...)...)
}

// refusal is the body of a refused Origin.
type refusal struct {
	Type, Code, Message, Origin, Config, Env string
	Rules                                    []string
}

func TestAllowedOrigins(t *testing.T) {
	w := start(t)
	_, port, _ := strings.Cut(w.addr().String(), ":")
	for _, origin := range []string{
		"", "http://localhost", "http://localhost:80", "http://127.0.0.1", "HTTP://LocalHost:3000",
		"http://localhost:3000", "http://localhost:3001", "http://localhost:3002", "http://localhost:5173",
		"http://127.0.0.1:3000", "http://127.0.0.1:3001", "http://127.0.0.1:3002", "http://127.0.0.1:5173",
		"http://127.0.0.1:" + port, // the page's own
	} {
		w.dial("/ws/chat/s1", "Origin", origin).admitted()
	}
	lines := w.logged("WebSocket connection successful")
	require.NotContains(t, lines[0], "origin")
	require.Equal(t, "http://localhost", lines[1]["origin"])
	require.Empty(t, w.logged("WebSocket connection rejected: Invalid origin"))
}

func TestRefusedOrigins(t *testing.T) {
	w := start(t)
	_, port, _ := strings.Cut(w.addr().String(), ":")
	refused := []string{
		"https://evil.example", "null", "http://localhost.evil.example", "http://localhost:3000.evil.example",
		"http://evil-localhost:3000", "https://localhost:3000", "http://localhost:3003", "http://localhost:30000",
		"http://user@localhost:3000", "http://localhost:3000@evil.example", "http://localhost:3000/", "http://127.0.0.2:3000",
		"http://[::1]:" + port, "ws://localhost:3000", "http://localhost:3000, http://localhost:3000",
		"http://" + strings.Repeat("a", 7000) + ".example",
	}
	for _, origin := range refused {
		status, body, _ := w.upgrade("/ws/chat/s1", "Origin", origin)
		require.Equal(t, http.StatusForbidden, status, origin)
		var r refusal
		require.NoError(t, json.Unmarshal([]byte(body), &r), body)
		require.Equal(t, []string{"error", "ORIGIN_NOT_ALLOWED"}, []string{r.Type, r.Code})
		require.Contains(t, r.Rules, "http://localhost:3000")
		require.Less(t, len(body), 4096, "capped")
	}
	_, body, _ := w.upgrade("/ws/chat/s1", "Origin", "https://evil.example")
	var r refusal
	require.NoError(t, json.Unmarshal([]byte(body), &r))
	require.Equal(t, `http: {extra_origins: ["https://evil.example"]}`, r.Config)
	require.Equal(t, "TROUPE_HTTP_EXTRA_ORIGINS=https://evil.example", r.Env)

	lines := w.logged("WebSocket connection rejected: Invalid origin")
	require.Len(t, lines, 1, "repeats of an address are folded")
	require.Equal(t, []any{"https://evil.example", "127.0.0.1", "s1"}, []any{lines[0]["origin"], lines[0]["address"], lines[0]["session"]})
	require.Equal(t, r.Config, lines[0]["config"])
	require.Equal(t, fmt.Sprint(len(refused)+1), w.metric(`troupe_handshakes_total{result="origin"}`))
	require.Zero(t, w.status().WebSocketManager.AcceptedTotal)
}

// The line that a refusal names does what it says.
func TestRemedyOfARefusedOrigin(t *testing.T) {
	c, _, err := config.Load(config.Sources{
		Args: []string{"--http.listen=127.0.0.1:0"}, Env: []string{"TROUPE_HTTP_EXTRA_ORIGINS=https://evil.example"},
	})
	require.NoError(t, err)
	w := start(t, func(o *appOptions) { o.Config = c })
	w.dial("/ws/chat/s1", "Origin", "https://evil.example").admitted()
	w.dial("/ws/chat/s1", "Origin", "http://localhost:3000").admitted()
}

// A name that merely resolves to this machine is not the page's own origin.
func TestRebindingIsRefused(t *testing.T) {
	w := start(t)
	_, port, _ := strings.Cut(w.addr().String(), ":")
	for host, want := range map[string]int{"evil.example:" + port: http.StatusForbidden, "localhost:" + port: http.StatusUpgradeRequired} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http("/ws/chat/s1"), nil)
		require.NoError(t, err)
		r.Host = host
		status, _, _ := w.do(r, "Origin", "http://"+host)
		require.Equal(t, want, status, host)
	}
}

func TestTwoOrigins(t *testing.T) {
	w := start(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http("/api/chat"), strings.NewReader(`{"content":"x"}`))
	require.NoError(t, err)
	r.Header["Origin"] = []string{"http://localhost:3000", "https://evil.example"}
	status, body, _ := w.do(r, "Content-Type", "application/json")
	require.Equal(t, http.StatusForbidden, status, body)
}

func TestHandshakesThatAreNone(t *testing.T) {
	w := start(t)
	status, body, header := w.get("/ws/chat/s1")
	require.Equal(t, http.StatusUpgradeRequired, status)
	require.Contains(t, parse(t, body).Message, "Upgrade: websocket")
	require.Equal(t, "websocket", header.Get("Upgrade"))
	for i := 0; i < len(upgradeHeaders()); i += 2 {
		missing := upgradeHeaders()[i]
		status, body, _ := w.upgrade("/api/ws/chat/s1", missing, "")
		require.Equal(t, http.StatusBadRequest, status, missing)
		f := parse(t, body)
		require.Equal(t, []string{"error", "INVALID_MESSAGE"}, []string{f.Type, f.Code})
		require.Contains(t, f.Message, "Missing header "+missing)
	}
	status, body, header = w.upgrade("/ws/chat/s1", "Sec-WebSocket-Version", "8")
	require.Equal(t, http.StatusUpgradeRequired, status)
	require.Equal(t, "13", header.Get("Sec-WebSocket-Version"))
	require.Contains(t, body, "must be 13")
	status, _, _ = w.upgrade("/ws/chat/s1", "Sec-WebSocket-Key", "short")
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "7", w.metric(`troupe_handshakes_total{result="bad"}`))
}

func TestRefusedPageMayReadWhy(t *testing.T) {
	w := start(t)
	status, body, header := w.get("/ws/chat/s1", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "ORIGIN_NOT_ALLOWED")
	require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, header.Get("Access-Control-Allow-Credentials"))

	status, body, header = w.get("/api/health", "Origin", "https://evil.example")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"status":"ok"`)
	require.Equal(t, "*", header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, header.Get("Access-Control-Allow-Credentials"))

	_, _, header = w.upgrade("/ws/chat/s1", "Origin", "https://evil.example")
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	status, _, header = w.get("/api/providers", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, status)
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
}

func (w *whole) preflight(path, origin string) (int, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodOptions, w.http(path), nil)
	require.NoError(w.t, err)
	status, _, header := w.do(r, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	return status, header
}

func TestCORS(t *testing.T) {
	w := start(t)
	s := w.spy()
	const page, evil = "http://localhost:3000", "https://evil.example"
	status, header := w.preflight("/api/chat", page)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, []string{page, "true", "POST"}, []string{
		header.Get("Access-Control-Allow-Origin"), header.Get("Access-Control-Allow-Credentials"), header.Get("Access-Control-Allow-Methods"),
	})
	require.Contains(t, strings.ToLower(header.Get("Access-Control-Allow-Headers")), "content-type")
	for _, path := range []string{"/api/chat", "/api/health", "/ws/chat/s1"} {
		status, header = w.preflight(path, evil)
		require.Equal(t, http.StatusForbidden, status, path)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), path)
	}

	const question = `{"content":"hi","model":"echo-0s"}`
	status, body, header := w.post("/api/chat", question, "Origin", evil)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "ORIGIN_NOT_ALLOWED")
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	status, body, header = w.post("/api/chat", question, "Origin", page)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, page, header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, header.Get("Access-Control-Expose-Headers"), "Retry-After")
	require.Contains(t, strings.Join(header.Values("Vary"), ","), "Origin")
	require.Eventually(t, func() bool { return len(s.about(".chat.echo")) > 0 }, 5*time.Second, time.Millisecond)
	require.Len(t, s.about(".chat.echo"), 1, "the refused page's question never reached the bus")
}
