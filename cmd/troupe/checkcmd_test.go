package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// scriptedTroupe is a server; its fields are what a test may break.
type scriptedTroupe struct {
	health    string
	status    int
	anyOrigin bool
	noOrigin  string // an answer to every upgrade instead of one
	admit     string // a refusal frame
	chat      []string
	operator  bool
}

func healthy() scriptedTroupe {
	return scriptedTroupe{
		health:   `{"status":"ok","version":"v1","bus":"ok","workers":1,"limiter":"ok"}`,
		status:   200,
		chat:     []string{`{"type":"chunk","id":"1","seq":1,"content":"Hello"}`, `{"type":"complete","id":"1","full_response":"Hello","provider":"echo","model":"echo"}`},
		operator: true,
	}
}

func (s scriptedTroupe) start(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.health)
	})
	mux.HandleFunc("GET /api/debug/websocket-status", func(w http.ResponseWriter, r *http.Request) {
		if !s.operator && r.Header.Get("Authorization") != "Bearer right" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"rate_limiter":{"connection_limit":"50 connections per 5 minutes","message_limit":"off","session_limit":"5 sessions per hour"},"connection_pool":{"max_connections":1000,"max_per_ip":25}}`)
	})
	mux.HandleFunc("GET /ws/chat/troupe-check", s.socket)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func (s scriptedTroupe) socket(w http.ResponseWriter, r *http.Request) {
	if s.noOrigin != "" {
		w.Header().Set("Retry-After", "7")
		code := 403
		_, _ = fmt.Sscan(s.noOrigin, &code)
		http.Error(w, strings.TrimLeft(s.noOrigin, "0123456789 "), code)
		return
	}
	if o := r.Header.Get("Origin"); !s.anyOrigin && o != "" && o != "http://"+r.Host {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"type":"error","code":"ORIGIN_NOT_ALLOWED","message":"origin not allowed: add http.extra_origins: [\"https://troupe-check.invalid\"]"}`)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	s.talk(r.Context(), c)
}

func (s scriptedTroupe) talk(ctx context.Context, c *websocket.Conn) {
	if s.admit != "" {
		say(ctx, c, s.admit)
		_ = c.Close(websocket.StatusPolicyViolation, "")
		return
	}
	for m := next(ctx, c); m != nil; m = next(ctx, c) {
		if m["type"] == "ping" {
			say(ctx, c, `{"type":"pong"}`)
			continue
		}
		say(ctx, c, s.chat...)
	}
}

func TestCheckOfAHealthyServer(t *testing.T) {
	server := healthy().start(t)
	code, stdout, stderr := started(t, nil, "", "check", server.URL)
	require.Equal(t, "✓ health: ok, version v1, bus ok, workers 1, limiter ok\n"+
		"✓ upgrade with the page's own origin: "+server.URL+"\n"+
		"✓ upgrade without an origin\n"+
		"✓ strange origin is refused\n"+
		"✓ chat: 1 chunks and a complete from echo echo\n"+
		"✓ limits: 50 connections per 5 minutes; off; 5 sessions per hour; 1000 connections, 25 per address\n", stdout)
	require.Empty(t, stderr)
	require.Zero(t, code)

	code, stdout, _ = started(t, nil, "", "check", "--quick", server.URL)
	require.Zero(t, code)
	require.Equal(t, "✓ health: ok, version v1, bus ok, workers 1, limiter ok\n", stdout)
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		edit func(*scriptedTroupe)
		args []string
		want string
	}{
		{"bus down", func(s *scriptedTroupe) { s.status, s.health = 503, `{"status":"degraded","bus":"down","workers":1}` }, nil, "✗ health: degraded, version , bus down, workers 1, limiter \n  → Try again shortly; the operator should check that NATS is reachable at bus.url.\n"},
		{"no workers", func(s *scriptedTroupe) { s.status, s.health = 503, `{"status":"degraded","bus":"ok","workers":0}` }, nil, "  → Start a worker that serves this provider, or ask for another provider.\n"},
		{"another program", func(s *scriptedTroupe) { s.health = "<html>" }, nil, "/api/health does not answer as Troupe does\n"},
		{"another program with JSON", func(s *scriptedTroupe) { s.health = "{}" }, nil, " does not answer as Troupe does\n  → check the address and port\n"},
		{"404", func(s *scriptedTroupe) { s.status = 404 }, nil, "/api/health answered 404 Not Found: this is not Troupe, or not its root\n"},
		{"502", func(s *scriptedTroupe) { s.status = 502 }, nil, "answered 502 Bad Gateway: the proxy in front cannot reach Troupe\n"},
		{"everybody may open sockets", func(s *scriptedTroupe) { s.anyOrigin = true }, nil, "✗ strange origin is refused: a page of https://troupe-check.invalid may open sockets here\n"},
		{"a proxy refuses", func(s *scriptedTroupe) { s.noOrigin = "403 no" }, nil, "✗ upgrade without an origin: "},
		{"a proxy drops the upgrade", func(s *scriptedTroupe) { s.noOrigin = "426 no" }, nil, "the upgrade was lost on the way\n"},
		{"too many handshakes", func(s *scriptedTroupe) { s.noOrigin = "429 no" }, nil, "a limit was reached\n  → try again in 7 s\n"},
		{"a limit", func(s *scriptedTroupe) {
			s.admit = `{"type":"error","code":"CONNECTION_LIMIT_EXCEEDED","message":"Connection limit reached: 25 for this address","retry_after":2}`
		}, nil, "✗ upgrade without an origin: CONNECTION_LIMIT_EXCEEDED: Connection limit reached: 25 for this address\n  → try again in 2 s\n  → Close connections"},
		{"the provider", func(s *scriptedTroupe) {
			s.chat = []string{`{"type":"error","id":"1","code":"PROVIDER_UNAUTHORIZED","message":"no key: set OPENAI_API_KEY"}`}
		}, nil, "✗ chat: PROVIDER_UNAUTHORIZED: no key: set OPENAI_API_KEY\n  → Send a valid key"},
		{"no chunks", func(s *scriptedTroupe) { s.chat = s.chat[1:] }, nil, "✗ chat: the answer came without a chunk\n"},
		{"changed on the way", func(s *scriptedTroupe) { s.chat[0] = `{"type":"chunk","id":"1","content":"Jello"}` }, nil, "✗ chat: the chunks are not the full response\n"},
		{"wrong token", func(s *scriptedTroupe) { s.operator = false }, []string{"--token-from-env=T"}, "✗ limits: the server does not take this token\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := healthy()
			tt.edit(&s)
			code, stdout, _ := started(t, []string{"T=wrong"}, "", append([]string{"check", s.start(t).URL}, tt.args...)...)
			require.Contains(t, stdout, tt.want)
			require.Equal(t, 1, code)
		})
	}
}

func TestCheckShowsTheServersConfigurationLine(t *testing.T) {
	s := healthy()
	server := s.start(t)
	// By another name the page's own origin is a stranger to this server.
	base, err := parseTarget(server.URL)
	require.NoError(t, err)
	k := &check{base: base, http: newHTTPClient()}
	o := k.upgrade(t.Context(), "https://app.example")
	require.NotNil(t, o.trouble)
	require.Contains(t, o.trouble.Error(), `add http.extra_origins: ["https://troupe-check.invalid"]`)
}

func TestCheckLimitsNeedOperatorAccess(t *testing.T) {
	s := healthy()
	s.operator = false
	server := s.start(t)
	code, stdout, _ := started(t, nil, "", "check", server.URL)
	require.Zero(t, code, "not being an operator is no failure")
	require.Contains(t, stdout, "– limits: shown to operators alone; run this on the server, or give --token-from-env\n")

	code, stdout, _ = started(t, []string{"T=right"}, "", "check", server.URL, "--token-from-env=T")
	require.Zero(t, code)
	require.Contains(t, stdout, "✓ limits: ")
	require.NotContains(t, stdout, "right")
}

func TestCheckTellsConnectionProblemsApart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().String()
	require.NoError(t, listener.Close())
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := healthy().start(t)

	tests := []struct{ name, url, want string }{
		{"nothing listens", "http://" + nobody, "nothing listens on " + nobody + "\n  → start it with `troupe serve`"},
		{"an unknown authority", secure.URL, "is not trusted: "},
		{"TLS to a plain port", strings.Replace(plain.URL, "http", "https", 1), "does not speak TLS\n  → use http:// or ws://"},
		{"plain to a TLS port", strings.Replace(secure.URL, "https", "http", 1), "speaks TLS\n  → use https:// or wss://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, _ := started(t, nil, "", "check", tt.url)
			require.Contains(t, stdout, tt.want)
			require.Equal(t, 1, strings.Count(stdout, "✗"), "one cause is told once")
			require.Equal(t, 1, code)
		})
	}
}
