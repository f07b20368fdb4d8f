package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestEveryRouteAnswersItsMethodOnly(t *testing.T) {
	s := start(t, newScripted())
	for _, r := range listed(routes()) {
		path := somewhere(r.Pattern)
		got := s.request("DELETE", path, "")
		require.Equal(t, http.StatusMethodNotAllowed, got.status, path)
		require.Contains(t, got.header.Get("Allow"), r.Method, path)
		require.NotEqual(t, http.StatusMethodNotAllowed, s.request(r.Method, path, "").status, path)
	}
	for _, path := range []string{"/nothing", "/api", "/api/", "/ws/chat", "/ws/chat/a/b", "/ws/chat/customer/p/s/x", "/api/chat/", "/index.html", "//", "/../etc"} {
		got := s.request("GET", path, "")
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.Equal(t, "error", got.object(t)["type"])
	}
}

// The actor, not the router, refuses what is no session id.
func TestStrangeSessionIDsAreStillUpgraded(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	for path, want := range map[string]protocol.Client{
		"/ws/chat/plain":                        {Session: "plain"},
		"/api/ws/chat/plain":                    {Session: "plain"},
		"/ws/chat/":                             {Session: ""},
		"/ws/chat/a%2Fb":                        {Session: "a/b"},
		"/ws/chat/%2e%2e":                       {Session: ".."},
		"/ws/chat/%00%20":                       {Session: "\x00 "},
		"/ws/chat/" + strings.Repeat("x", 4000): {Session: strings.Repeat("x", 4000)},
		"/ws/chat/customer":                     {Session: "customer"},
		"/ws/chat/customer/11/s":                {Session: "s", Product: "11", Customer: true},
		"/api/ws/chat/customer/p%2F1/" + "s%3Cscript%3E": {Session: "s<script>", Product: "p/1", Customer: true},
	} {
		c, _, err := websocket.Dial(t.Context(), s.base+path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://localhost:3000"}}})
		require.NoError(t, err, path)
		got := <-gw.opened // the answer to the handshake may overtake it
		require.Len(t, got.Connection, 26)
		want.Connection, want.Address, want.Origin = got.Connection, "127.0.0.1", "http://localhost:3000"
		require.Equal(t, want, got)
		require.NoError(t, c.CloseNow())
		gw.cause(t)
	}
}

func TestRefusedOriginLearnsWhy(t *testing.T) {
	s := start(t, newScripted())
	evil := []string{"Origin", "https://evil.example"}
	for range 3 {
		_, res, err := websocket.Dial(t.Context(), s.base+"/ws/chat/s", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	}
	logged := s.log.with("WebSocket connection rejected: Invalid origin")
	require.Len(t, logged, 1, "folded")
	require.Contains(t, logged[0], `"session":"s"`)
	require.Contains(t, logged[0], "extra_origins")

	got := s.request("GET", "/ws/chat/s", "", evil...)
	require.Equal(t, http.StatusForbidden, got.status)
	require.Equal(t, "*", got.header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, got.header.Get("Access-Control-Allow-Credentials"))
	body := got.object(t)
	require.Equal(t, "ORIGIN_NOT_ALLOWED", body["code"])
	require.Equal(t, "https://evil.example", body["origin"])
	require.Equal(t, false, body["retryable"])
	require.Equal(t, `http: {extra_origins: ["https://evil.example"]}`, body["config"])
	require.Contains(t, body["rules"], "http://localhost:3000")

	health := s.request("GET", "/api/health", "", evil...)
	require.Equal(t, http.StatusOK, health.status)
	require.Equal(t, "*", health.header.Get("Access-Control-Allow-Origin"))

	for _, r := range []reply{
		s.request("POST", "/api/chat", `{"content":"x"}`, append(evil, "Content-Type", "application/json")...),
		s.request("GET", "/api/providers", "", evil...),
		s.request("OPTIONS", "/api/chat", "", append(evil, "Access-Control-Request-Method", "POST")...),
		s.request("OPTIONS", "/api/health", "", append(evil, "Access-Control-Request-Method", "GET")...),
		s.request("OPTIONS", "/ws/chat/s", "", append(evil, "Access-Control-Request-Method", "GET")...),
	} {
		require.Equal(t, http.StatusForbidden, r.status)
		require.Empty(t, r.header.Get("Access-Control-Allow-Origin"))
	}
	require.Empty(t, s.gw.clients, "nothing ran")
	require.Equal(t, http.StatusForbidden, s.request("GET", "/ws/chat/s", "", "Origin", "https://"+strings.Repeat("a", 8<<10)).status)
}

func TestCORSOfAllowedOrigins(t *testing.T) {
	s := start(t, newScripted())
	page := []string{"Origin", "http://localhost:3000"}
	got := s.request("GET", "/api/providers", "", page...)
	require.Equal(t, "http://localhost:3000", got.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", got.header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, got.header.Get("Access-Control-Expose-Headers"), "Retry-After")
	require.Contains(t, got.header.Get("Vary"), "Origin")

	preflight := s.request("OPTIONS", "/api/chat", "", append(page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,last-event-id")...)
	require.Equal(t, http.StatusNoContent, preflight.status)
	require.Equal(t, "http://localhost:3000", preflight.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, preflight.header.Get("Access-Control-Allow-Headers"), "last-event-id")

	require.Equal(t, http.StatusUpgradeRequired, s.request("GET", "/ws/chat/s", "", page...).status)
	require.Empty(t, s.request("GET", "/api/providers", "").header.Get("Access-Control-Allow-Origin"))
}

// A proxy ends TLS in front: the page's own origin is the proxy's.
func TestOwnOriginBehindTLSProxy(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		want    int
	}{
		"trusted":   {[]string{"127.0.0.1"}, http.StatusSwitchingProtocols},
		"untrusted": {nil, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, newScripted(), func(h *HTTPConfig, _ *WebSocketConfig) { h.TrustedProxies = c.trusted })
			target, err := url.Parse(s.base)
			require.NoError(t, err)
			proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.SetXForwarded()
			}})
			defer proxy.Close()
			ws, res, err := websocket.Dial(t.Context(), proxy.URL+"/ws/chat/s", &websocket.DialOptions{
				HTTPClient: proxy.Client(), HTTPHeader: http.Header{"Origin": {proxy.URL}},
			})
			require.Equal(t, c.want, res.StatusCode)
			if err == nil {
				require.NoError(t, ws.CloseNow())
			}
		})
	}
}

func TestHeaderBounds(t *testing.T) {
	s := start(t, newScripted())
	require.Equal(t, 431, s.request("GET", "/livez", "", "X", strings.Repeat("a", maxHeaderBytes)).status)
	many := make([]string, 0, 2*maxHeaderLines)
	for range maxHeaderLines {
		many = append(many, "X-Line", "1")
	}
	require.Equal(t, 431, s.request("GET", "/livez", "", many...).status)
	require.Equal(t, 200, s.request("GET", "/livez", "", many[:100]...).status)
}

func TestHeadersThatNeverEndAreCut(t *testing.T) {
	s := start(t, newScripted(), func(_ *HTTPConfig, w *WebSocketConfig) { w.HandshakeTimeout = 50e6 })
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.NoError(t, err, "the server closes")
}

func TestTakenPortIsOneLineWithTheRemedy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	free := "127.0.0.1:0"
	s, err := New(Options{
		HTTP: HTTPConfig{Listen: []string{free, l.Addr().String()}}, WebSocket: DefaultWebSocket(),
		Gateway: newScripted(), Log: zerolog.Nop(), Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	err = s.Start(t.Context())
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "address already in use")
	require.ErrorContains(t, err, "TROUPE_HTTP_LISTEN")
	require.NotContains(t, err.Error(), "\n")
	require.Empty(t, s.Addrs(), "all or nothing")
}

func TestDrainKeepsSocketsAndSaysSo(t *testing.T) {
	gw := newScripted()
	s := start(t, gw, func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminListen = "127.0.0.1:0" })
	ws, _, err := websocket.Dial(t.Context(), s.base+"/ws/chat/s", nil)
	require.NoError(t, err)
	s.Drain()
	require.Equal(t, 1, s.Connections())

	for _, base := range []string{s.base, "http://" + s.AdminAddr().String()} {
		require.Equal(t, 503, ask(t, "GET", base+"/readyz", "").status)
		require.Equal(t, 200, ask(t, "GET", base+"/livez", "").status)
		health := ask(t, "GET", base+"/api/health", "")
		require.Equal(t, 503, health.status)
		require.Equal(t, "draining", health.object(t)["status"])
	}
	refused := s.request("POST", "/api/chat", `{"content":"hi"}`, "Content-Type", "application/json")
	require.Equal(t, 503, refused.status)
	require.Equal(t, "SHUTTING_DOWN", refused.object(t)["code"])

	go func() { _, _, _ = ws.Read(context.Background()) }() // answers the close
	require.NoError(t, s.Shutdown(t.Context()))
	gw.cause(t)
	require.Zero(t, s.Connections())
	_, err = net.Dial("tcp", s.Addrs()[0].String())
	require.Error(t, err)
	select {
	case err := <-s.Failed():
		require.NoError(t, err, "an orderly end is no failure")
	default:
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	s := start(t, newScripted())
	page := []string{"Origin", "https://new.example"}
	require.Equal(t, 403, s.request("GET", "/api/providers", "", page...).status)

	c := localHTTP()
	c.ExtraOrigins, c.TrustedProxies = []string{"https://new.example"}, []string{"nonsense"}
	_, err := s.Reload(c)
	require.ErrorContains(t, err, "http.trusted_proxies[0]")
	require.Equal(t, 403, s.request("GET", "/api/providers", "", page...).status)

	c.TrustedProxies, c.Listen, c.TLS = nil, []string{":9"}, TLSConfig{Cert: "c", Key: "k"}
	fixed, err := s.Reload(c)
	require.NoError(t, err)
	require.Equal(t, []string{"http.listen", "http.tls.cert", "http.tls.key"}, fixed)
	require.Equal(t, 200, s.request("GET", "/api/providers", "", page...).status)
}

// tlsFiles are a certificate and its key, and a client that takes any.
func tlsFiles(t *testing.T) (TLSConfig, *http.Client) {
	t.Helper()
	source := httptest.NewTLSServer(nil)
	t.Cleanup(source.Close)
	pair := source.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	files := TLSConfig{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	require.NoError(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	client := source.Client()
	client.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true //nolint:gosec // our own certificate
	return files, client
}

func TestTLS(t *testing.T) {
	files, client := tlsFiles(t)
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.TLS = files })
	base := "https://" + s.Addrs()[0].String()
	ws, _, err := websocket.Dial(t.Context(), base+"/ws/chat/s", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {base}}})
	require.NoError(t, err)
	require.NoError(t, ws.CloseNow())

	_, err = loadTLS(TLSConfig{Cert: "missing", Key: "missing"})
	require.ErrorContains(t, err, "http.tls")
	require.Equal(t, uint16(tls.VersionTLS12), func() uint16 { c, _ := loadTLS(files); return c.MinVersion }())
}

// TestTLSTickets: whoever has been here before resumes its session, whichever
// goroutine took the connection.
func TestTLSTickets(t *testing.T) {
	files, _ := tlsFiles(t)
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.TLS = files })
	address := s.Addrs()[0].String()
	known := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)} //nolint:gosec // our own certificate
	for i := range 60 {
		var others sync.WaitGroup
		for range 4 { // come meanwhile, so that no goroutine has all the turns
			others.Go(func() {
				if nc, err := net.Dial("tcp", address); err == nil {
					_ = nc.Close()
				}
			})
		}
		c, err := tls.Dial("tcp", address, known)
		require.NoError(t, err)
		require.Equal(t, i > 0, c.ConnectionState().DidResume, "connection %d", i)
		_, err = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadAll(c) // the ticket comes with it
		require.NoError(t, err)
		_ = c.Close()
		others.Wait()
	}
}

func TestHealthAndReadiness(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	set := func(h protocol.Health, ready bool, why string) {
		gw.mu.Lock()
		defer gw.mu.Unlock()
		gw.health, gw.ready, gw.why = h, ready, why
	}
	require.JSONEq(t, `{"status":"ok","version":"test","bus":"ok","workers":1,"limiter":"ok"}`, s.request("GET", "/api/health", "").body)
	require.Equal(t, 200, s.request("GET", "/readyz", "").status)

	set(protocol.Health{Status: "degraded", Bus: "ok", Workers: 1, Limiter: "fallback"}, true, "")
	require.Equal(t, 200, s.request("GET", "/api/health", "").status, "chat works")
	set(protocol.Health{Status: "degraded", Bus: "down", Workers: 1}, false, "no bus yet")
	require.Equal(t, 503, s.request("GET", "/api/health", "").status)
	require.Equal(t, "no bus yet", s.request("GET", "/readyz", "").object(t)["reason"])
	require.Equal(t, 200, s.request("GET", "/livez", "").status)
	set(protocol.Health{Status: "degraded", Bus: "ok"}, true, "")
	require.Equal(t, 503, s.request("GET", "/api/health", "").status, "nobody answers")

	s.SetReady(false)
	require.Equal(t, 503, s.request("GET", "/readyz", "").status)
	s.SetReady(true)
	require.Equal(t, 200, s.request("GET", "/readyz", "").status)
	require.JSONEq(t, `{"providers":[{"name":"echo","type":"","state":"","default":true,"default_model":"","models":[],"workers":0,"active":0,"capacity":0}]}`,
		s.request("GET", "/api/providers", "").body)
}

func TestPanicOfAHandlerIsAnswered(t *testing.T) {
	gw := newScripted()
	gw.answer = func(Socket, protocol.Request) { panic("secret words") }
	s := start(t, gw)
	got := s.request("POST", "/api/chat", `{"content":"x"}`, "Content-Type", "application/json")
	require.Equal(t, 500, got.status)
	require.NotContains(t, got.body, "secret words")
	require.Len(t, s.log.with("panic in an HTTP handler"), 1)
	require.Equal(t, protocol.CauseServer, gw.cause(t))
	require.Equal(t, 200, s.request("GET", "/livez", "").status)
}
