package transport

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const statusPath = "/api/debug/websocket-status"

func TestWhoMayOperateLocally(t *testing.T) {
	s := start(t, newScripted())
	_, port, err := net.SplitHostPort(s.Addrs()[0].String())
	require.NoError(t, err)
	own := "http://localhost:" + port
	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"direct", nil, 200},
		{"localhost", []string{"Host", "localhost:" + port}, 200},
		{"capitals", []string{"Host", "LocalHost"}, 200},
		{"IPv6 name", []string{"Host", "[::1]:" + port}, 200},
		{"own page", []string{"Host", "localhost:" + port, "Origin", own, "Sec-Fetch-Site", "same-origin"}, 200},
		{"typed into the browser", []string{"Sec-Fetch-Site", "none"}, 200},
		{"other name", []string{"Host", "chat.example.com"}, 404},
		{"look-alike name", []string{"Host", "localhost.example.com"}, 404},
		{"other loopback address", []string{"Host", "127.0.0.2"}, 404},
		{"Via", []string{"Via", "1.1 proxy"}, 404},
		{"X-Real-IP", []string{"X-Real-IP", "127.0.0.1"}, 404},
		{"X-Forwarded-For", []string{"X-Forwarded-For", "127.0.0.1"}, 404},
		{"X-Forwarded-Anything", []string{"X-Forwarded-Prefix", "/x"}, 404},
		{"Forwarded", []string{"Forwarded", "for=127.0.0.1"}, 404},
		{"foreign origin", []string{"Origin", "https://evil.example"}, 404},
		{"allowed but foreign origin", []string{"Origin", "http://localhost:3000"}, 404},
		{"null origin", []string{"Origin", "null"}, 404},
		{"cross-site", []string{"Sec-Fetch-Site", "cross-site"}, 404},
		{"same-site", []string{"Sec-Fetch-Site", "same-site"}, 404},
		{"a token that nobody set", []string{"Authorization", "Bearer ", "Host", "x"}, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, s.request("GET", statusPath, "", c.headers...).status)
		})
	}
	require.Len(t, s.log.with("operator address refused"), 1, "one line a minute")
	require.Contains(t, s.log.with("operator address refused")[0], "http.admin_token")
}

func TestLocalRuleIsOffBehindAnything(t *testing.T) {
	for name, change := range map[string]func(*HTTPConfig, *WebSocketConfig){
		"token":   func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminToken = protocol.NewSecret([]byte("0123456789abcdef")) },
		"proxies": func(c *HTTPConfig, _ *WebSocketConfig) { c.TrustedProxies = []string{"10.0.0.1"} },
		"public":  func(c *HTTPConfig, _ *WebSocketConfig) { c.PublicURL = "https://chat.example.com" },
		"empty":   func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminFrom = nil },
		"foreign": func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminFrom = []string{"10.0.0.0/8"} },
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 404, start(t, newScripted(), change).request("GET", statusPath, "").status)
		})
	}
}

func TestAdminToken(t *testing.T) {
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) {
		c.AdminToken = protocol.NewSecret([]byte("correct-horse-battery"))
		c.AdminListen = "127.0.0.1:0"
	})
	admin := "http://" + s.AdminAddr().String()
	for _, base := range []string{s.base, admin} {
		for token, want := range map[string]int{
			"": 404, "Bearer": 404, "Bearer wrong": 404, "Basic correct-horse-battery": 404,
			"Bearer correct-horse-batterY": 404, "Bearer correct-horse-battery": 200, "bearer correct-horse-battery": 200,
		} {
			got := ask(t, "GET", base+statusPath, "", "Authorization", token, "Host", "chat.example.com")
			require.Equal(t, want, got.status, "%s at %s", token, base)
		}
	}
	require.NotContains(t, s.WhoMayOperate(), "correct-horse")
	require.Contains(t, s.WhoMayOperate(), "http.admin_token")
}

func TestAdminPortServesOperatorsOnly(t *testing.T) {
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminListen = "127.0.0.1:0" })
	admin := "http://" + s.AdminAddr().String()
	for _, r := range listed(routes()) {
		path := somewhere(r.Pattern)
		got := ask(t, r.Method, admin+path, "", "Host", "localhost")
		if r.Operator || probe(r.Pattern) || strings.Contains(path, ".") { // files of the status page
			require.Equal(t, 200, got.status, path)
		} else {
			require.Equal(t, 404, got.status, path)
		}
	}
	require.Equal(t, 404, ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Origin", "https://evil.example").status,
		"a page in the operator's browser")
	require.Equal(t, 404, ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Host", "evil.example", "Origin", "http://evil.example").status,
		"a page whose name was made to mean this machine")
	require.Equal(t, 404, ask(t, "GET", admin+"/metrics", "", "Host", "evil.example:9000").status, "and reads, for which browsers send no Origin")
	require.Equal(t, 200, ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Origin", admin).status, "the port's own page")
}

// A stranger finds nothing that an unknown path would not show.
func TestStrangersFindNoOperatorAddress(t *testing.T) {
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminFrom = nil })
	for _, headers := range [][]string{nil, {"Origin", "https://evil.example"}, {"Origin", "http://localhost:3000"}} {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS"} {
			want := s.request(method, "/api/debug/nothing", "", headers...)
			require.Equal(t, http.StatusNotFound, want.status)
			want.header.Del("Date")
			for _, r := range Routes() {
				if !r.Operator {
					continue
				}
				got := s.request(method, r.Pattern, "", headers...)
				got.header.Del("Date")
				require.Equal(t, want, got, "%s %s", method, r.Pattern)
			}
		}
	}
}

func TestResetAndMetrics(t *testing.T) {
	s := start(t, newScripted())
	require.JSONEq(t, `{"cleared":7}`, s.request("POST", "/api/debug/reset-rate-limits", "").body)

	require.Equal(t, 403, s.request("GET", "/ws/chat/s", "", "Origin", "https://evil.example", "Upgrade", "websocket").status)
	metrics := s.request("GET", "/metrics", "").body
	for _, want := range []string{
		`troupe_handshakes_total{result="ok"} 0`, `troupe_handshakes_total{result="origin"} 1`,
		`troupe_errors_total{code="ORIGIN_NOT_ALLOWED"} 1`, `troupe_errors_total{code="INTERNAL"} 0`,
		`troupe_slow_consumers_total 0`, `troupe_outbox_bytes 0`, `troupe_build_info{version="test"} 1`,
	} {
		require.Contains(t, metrics, want+"\n")
	}
}
