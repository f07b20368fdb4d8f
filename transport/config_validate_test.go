package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestDefaultsAreValid(t *testing.T) {
	require.NoError(t, DefaultHTTP().Validate())
	require.NoError(t, DefaultWebSocket().Validate())
	require.Empty(t, DefaultHTTP().Warnings())
}

func TestValidateNamesTheKey(t *testing.T) {
	for key, change := range map[string]func(*HTTPConfig){
		"http.listen:":            func(c *HTTPConfig) { c.Listen = nil },
		"http.listen[0]":          func(c *HTTPConfig) { c.Listen = []string{"8000"} },
		"http.listen[1]":          func(c *HTTPConfig) { c.Listen = []string{":8000", ":8000"} },
		"port \"http\"":           func(c *HTTPConfig) { c.Listen = []string{":http"} },
		"http.admin_listen":       func(c *HTTPConfig) { c.AdminListen = ":8000" },
		"http.admin_token":        func(c *HTTPConfig) { c.AdminToken = protocol.NewSecret([]byte("two words")) },
		"http.admin_from[0]":      func(c *HTTPConfig) { c.AdminFrom = []string{"localhost"} },
		"http.trusted_proxies[1]": func(c *HTTPConfig) { c.TrustedProxies = []string{"::1", "10.0.0.0/33"} },
		"http.allowed_origins[0]": func(c *HTTPConfig) { c.AllowedOrigins = []string{"*"} },
		"http.extra_origins[0]":   func(c *HTTPConfig) { c.ExtraOrigins = []string{"example.com"} },
		"http.public_url":         func(c *HTTPConfig) { c.PublicURL = "https://example.com/chat" },
		"http.tls":                func(c *HTTPConfig) { c.TLS.Cert = "cert.pem" },
	} {
		c := DefaultHTTP()
		change(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
	for key, change := range map[string]func(*WebSocketConfig){
		"websocket.max_message_bytes": func(c *WebSocketConfig) { c.MaxMessageBytes = 1 << 20 },
		"websocket.outbox_bytes":      func(c *WebSocketConfig) { c.OutboxBytes = 0 },
		"websocket.ping_interval":     func(c *WebSocketConfig) { c.PingInterval = -1 },
		"websocket.pong_timeout":      func(c *WebSocketConfig) { c.PongTimeout = 0 },
		"websocket.handshake_timeout": func(c *WebSocketConfig) { c.HandshakeTimeout = 0 },
	} {
		c := DefaultWebSocket()
		change(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
}

func TestWarningsOfWhatIsAllowedAndRisky(t *testing.T) {
	c := DefaultHTTP()
	c.AdminFrom = []string{"172.17.0.0/16"}
	require.Contains(t, strings.Join(c.Warnings(), "\n"), "http.admin_from[0]")
	c.TrustedProxies = []string{"0.0.0.0/0"}
	c.AdminListen = ":9000"
	c.AllowedOrigins = []string{"https://a.example"}
	all := strings.Join(c.Warnings(), "\n")
	for _, want := range []string{"http.trusted_proxies[0]", "http.admin_listen", "http.allowed_origins"} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "http.admin_from", "the rule is off")
	c.AdminToken = protocol.NewSecret([]byte("short"))
	require.Contains(t, strings.Join(c.Warnings(), "\n"), "http.admin_token")
}

func FuzzPrefix(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::1", "::ffff:1.2.3.4", "::ffff:0:0/96", "fe80::1%x", "1.2.3.4/33", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePrefix(s)
		if err == nil {
			require.True(t, p.IsValid())
			require.False(t, p.Addr().Is4In6())
			require.True(t, p.Contains(p.Addr()))
		}
	})
}
