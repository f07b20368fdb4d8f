package transport

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// handshake is a good one, changed by edit.
func handshake(edit func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/ws/chat/s1", nil)
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", edgeKey)
	if edit != nil {
		edit(r)
	}
	return r
}

func TestHandshakeRefusalsNameWhatIsMissing(t *testing.T) {
	for _, tc := range []struct {
		name    string
		edit    func(*http.Request)
		status  int
		message string
		headers map[string]string
	}{
		{
			"a plain GET", func(r *http.Request) { clear(r.Header) },
			426, "Missing header Upgrade: websocket",
			map[string]string{"Upgrade": "websocket", "Connection": "Upgrade"},
		},
		{"POST", func(r *http.Request) { r.Method = http.MethodPost }, 405, "not POST", map[string]string{"Allow": "GET"}},
		{"a made-up method", func(r *http.Request) { r.Method = "EVIL" }, 405, "not another method", nil},
		{"HTTP/1.0", func(r *http.Request) { r.ProtoMinor = 0 }, 400, "HTTP/1.1", nil},
		{"no Upgrade", func(r *http.Request) { r.Header.Del("Upgrade") }, 400, "Missing header Upgrade: websocket. A proxy", nil},
		{"another Upgrade", func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, 400, "Missing header Upgrade", nil},
		{"no Connection", func(r *http.Request) { r.Header.Del("Connection") }, 400, "Missing header Connection: Upgrade", nil},
		{"another Connection", func(r *http.Request) { r.Header.Set("Connection", "keep-alive") }, 400, "Missing header Connection: Upgrade", nil},
		{"no version", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 400, "Missing header Sec-WebSocket-Version: 13", nil},
		{
			"version 8", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") },
			426, "Sec-WebSocket-Version must be 13",
			map[string]string{"Sec-WebSocket-Version": "13"},
		},
		{"no key", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400, "Missing header Sec-WebSocket-Key", nil},
		{"short key", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "c2hvcnQ=") }, 400, "16 bytes in base64", nil},
		{"key of 17 bytes", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAA=") }, 400, "16 bytes in base64", nil},
		{"key not base64", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", strings.Repeat("!", 24)) }, 400, "16 bytes in base64", nil},
		{"two keys", func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", edgeKey) }, 400, "one value", nil},
		{"a body", func(r *http.Request) { r.ContentLength = 5 }, 400, "no body", nil},
		{"a chunked body", func(r *http.Request) { r.ContentLength = -1 }, 400, "no body", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gateway := &edgeGateway{}
			s := newSockets(edgeConfig(), gateway, zerolog.Nop(), new(edgeMetrics))
			w := httptest.NewRecorder()
			s.serve(w, handshake(tc.edit), protocol.Client{})
			require.Equal(t, tc.status, w.Code)
			var body struct{ Type, Code, Message string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			require.Equal(t, "error", body.Type)
			require.Equal(t, "INVALID_MESSAGE", body.Code)
			require.Contains(t, body.Message, tc.message)
			lost := strings.Contains(body.Message, "Upgrade") // what a proxy that is not set up takes away
			require.Equal(t, !lost, gateway.offences.Load() == 1, "whether it counts against its address")
			require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
			for name, value := range tc.headers {
				require.Equal(t, value, w.Header().Get(name))
			}
			require.EqualValues(t, 1, s.metrics.handshakesBad.Load())
			require.Zero(t, s.metrics.handshakesOK.Load())
			require.Zero(t, s.count())
		})
	}
}

func TestHandshakeTakesWhatTheRFCAllows(t *testing.T) {
	for name, edit := range map[string]func(*http.Request){
		"plain":         nil,
		"any case":      func(r *http.Request) { r.Header.Set("Upgrade", "WebSocket"); r.Header.Set("Connection", "UPGRADE") },
		"lists":         func(r *http.Request) { r.Header.Set("Connection", "keep-alive, Upgrade") },
		"several lines": func(r *http.Request) { r.Header["Connection"] = []string{"keep-alive", " upgrade "} },
		"subprotocols and extensions": func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Protocol", "a, b")
			r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := handshake(edit)
			require.True(t, isUpgrade(r))
			require.Nil(t, checkHandshake(r))
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	require.False(t, isUpgrade(httptest.NewRequest(http.MethodGet, "/", nil)))
	require.True(t, isUpgrade(handshake(nil)))
	require.True(t, isUpgrade(handshake(func(r *http.Request) { r.Header.Del("Upgrade") })), "a proxy took it away")
	require.False(t, isUpgrade(handshake(func(r *http.Request) { clear(r.Header); r.Header.Set("Upgrade", "h2c") })))
}

func TestHandshakeOverAWriterThatCannotBeHijacked(t *testing.T) {
	s := newSockets(edgeConfig(), &edgeGateway{}, zerolog.Nop(), new(edgeMetrics))
	w := httptest.NewRecorder()
	s.serve(w, handshake(nil), protocol.Client{})
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "HTTP/1.1")
}

func FuzzHandshakeKey(f *testing.F) {
	f.Add(edgeKey)
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add(strings.Repeat("=", 24))
	f.Fuzz(func(t *testing.T, key string) {
		if validKey(key) {
			require.Len(t, key, 24)
			require.Len(t, appendAcceptKey(nil, key), 28)
		}
	})
}
