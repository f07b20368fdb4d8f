package transport

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
	"github.com/troupe-chat/troupe/transport/web"
)

// loaded asks for a file as a browser does, without undoing the compression.
func (s running) loaded(path string, header ...string) (*http.Response, []byte) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base+path, nil)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, body
}

// assets is the address of the files, as the chat page names it.
func (s running) assets() string {
	s.t.Helper()
	_, rest, ok := strings.Cut(s.request("GET", "/", "").body, `"`+web.Prefix)
	require.True(s.t, ok)
	version, _, _ := strings.Cut(rest, "/")
	return web.Prefix + version + "/"
}

func TestPagesCarryThePolicy(t *testing.T) {
	gw := newScripted()
	gw.products = map[string]string{"11": `<img src=x onerror=alert(1)>"'`, "12": ""}
	s := start(t, gw)
	for _, path := range []string{"/", "/products/11", "/status"} {
		got := s.request("GET", path, "")
		require.Equal(t, 200, got.status, path)
		require.Equal(t, web.Policy, got.header.Get("Content-Security-Policy"), path)
		require.NotContains(t, got.header.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", got.header.Get("Cross-Origin-Opener-Policy"))
		require.Empty(t, got.header.Get("Access-Control-Allow-Origin"), "pages are nobody else's to read")
	}
	product := s.request("GET", "/products/11", "").body
	require.Contains(t, product, `data-product-id="11"`)
	require.Contains(t, product, `data-product-name="&lt;img src=x onerror=alert(1)&gt;&#34;&#39;"`)
	require.Contains(t, s.request("GET", "/products/12", "").body, `data-product-name="Product 12"`)
	require.Equal(t, 404, s.request("GET", "/products/13", "").status)
	require.Equal(t, "PRODUCT_NOT_FOUND", s.request("GET", "/products/13", "").object(t)["code"])
	require.Equal(t, 400, s.request("GET", "/products/a%22b", "").status)
	require.Equal(t, 200, s.request("HEAD", "/", "").status)
}

func TestAssetsAreKeptForEverAndPublic(t *testing.T) {
	s := start(t, newScripted())
	address := s.assets() + "client/troupe.js"
	plain, body := s.loaded(address, "Accept-Encoding", "identity")
	require.Equal(t, 200, plain.StatusCode)
	require.Equal(t, "text/javascript; charset=utf-8", plain.Header.Get("Content-Type"))
	require.Equal(t, keepForEver, plain.Header.Get("Cache-Control"))
	require.Equal(t, "*", plain.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "cross-origin", plain.Header.Get("Cross-Origin-Resource-Policy"))
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", plain.Header.Get("Vary"))

	packed, z := s.loaded(address, "Accept-Encoding", "br, gzip;q=0.8")
	require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	require.Less(t, len(z), len(body)/2)
	r, err := gzip.NewReader(strings.NewReader(string(z)))
	require.NoError(t, err)
	unpacked, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, body, unpacked)

	for _, tag := range []string{plain.Header.Get("ETag"), packed.Header.Get("ETag"), `"other", ` + packed.Header.Get("ETag"), "*"} {
		again, rest := s.loaded(address, "If-None-Match", tag)
		require.Equal(t, http.StatusNotModified, again.StatusCode, tag)
		require.Empty(t, rest)
	}
	again, _ := s.loaded(address, "If-None-Match", `"other"`)
	require.Equal(t, 200, again.StatusCode)

	other, same := s.loaded("/assets/0000000000000000/client/troupe.js", "Accept-Encoding", "identity")
	require.Equal(t, keepNothing, other.Header.Get("Cache-Control"), "a page of a version that is rolled out or away")
	require.Equal(t, body, same)
	for _, path := range []string{"/assets/", "/assets/x", "/assets/x/", "/assets/x/web.go", "/assets/x/../page.go", "/assets/x/client", "/assets/x/client%2Ftroupe.js", "/assets/x/index.html"} {
		missing, _ := s.loaded(path)
		require.Equal(t, 404, missing.StatusCode, path)
	}
}

func TestStableAddresses(t *testing.T) {
	s := start(t, newScripted())
	for path, kind := range map[string]string{"/troupe.js": "text/javascript; charset=utf-8", "/embed.js": "text/javascript; charset=utf-8", "/troupe.d.ts": "text/plain; charset=utf-8"} {
		got, body := s.loaded(path)
		require.Equal(t, 200, got.StatusCode, path)
		require.Equal(t, kind, got.Header.Get("Content-Type"))
		require.Equal(t, askAgain, got.Header.Get("Cache-Control"))
		require.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"))
		require.NotEmpty(t, body)
		again, _ := s.loaded(path, "If-None-Match", got.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.StatusCode)
	}
	_, loader := s.loaded("/embed.js", "Accept-Encoding", "identity")
	require.Contains(t, string(loader), s.assets()+"product/widget.js")
}

// The operators' port has the operators' page and its files, and no chat page.
func TestStatusPageOnTheOperatorsPort(t *testing.T) {
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminListen = "127.0.0.1:0"; c.AdminFrom = nil })
	admin := "http://" + s.AdminAddr().String()
	require.Equal(t, 404, s.request("GET", "/status", "").status)
	got := ask(t, "GET", admin+"/status", "")
	require.Equal(t, 200, got.status)
	require.Equal(t, keepNothing, got.header.Get("Cache-Control"))
	require.Equal(t, 200, ask(t, "GET", admin+s.assets()+"style/base.css", "").status)
	require.Equal(t, 404, ask(t, "GET", admin+"/", "").status)
}

func TestTakesGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br": false, "deflate, gzip;q=1.0, *;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false,
		"*": true, "*;q=0": false, "gzip;q=0, *": false, "*, gzip;q=0": false, "x-gzip": true, "gzip;q=nonsense": false, "identity;q=1, *;q=0": false, "gzipped": false,
	} {
		require.Equal(t, want, takesGzip(header), header)
	}
}

// A browser cannot send a bearer token by itself, a password it can; and it
// adds that to requests of every page, so that other sites' are refused.
func TestOperatorsPortTakesTheTokenAsAPassword(t *testing.T) {
	const token = "correct-horse-battery"
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) {
		c.AdminListen, c.AdminToken = "127.0.0.1:0", protocol.NewSecret([]byte(token))
	})
	admin := "http://" + s.AdminAddr().String()
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password))
	}
	asked := ask(t, "GET", admin+"/status", "")
	require.Equal(t, 401, asked.status)
	require.Contains(t, asked.header.Get("WWW-Authenticate"), "Basic realm=")
	require.NotContains(t, asked.body, token)
	for path, want := range map[string]int{"/status": 200, "/metrics": 200, "/api/debug/websocket-status": 200} {
		require.Equal(t, want, ask(t, "GET", admin+path, "", "Authorization", basic(token)).status, path)
		require.Equal(t, want, ask(t, "GET", admin+path, "", "Authorization", basic(token), "Sec-Fetch-Site", "same-origin").status, path)
		require.Equal(t, 404, ask(t, "GET", admin+path, "", "Authorization", basic(token), "Sec-Fetch-Site", "cross-site").status, path)
		require.Equal(t, 404, ask(t, "GET", admin+path, "", "Authorization", basic(token), "Origin", "https://evil.example").status, path)
		require.Equal(t, 404, s.request("GET", path, "", "Authorization", basic(token)).status, "the public port takes no password")
	}
	require.Equal(t, 401, ask(t, "GET", admin+"/status", "", "Authorization", basic("correct-horse-batterY")).status)
	require.Equal(t, 404, ask(t, "GET", admin+"/metrics", "", "Authorization", basic("")).status, "programs are told nothing")
	require.Equal(t, 404, ask(t, "GET", admin+"/status", "", "Sec-Fetch-Site", "cross-site").status, "no site makes a browser ask for it")
	require.Equal(t, 200, ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Authorization", basic(token), "Origin", admin).status)
	for origin, want := range map[string]int{"https://ops.example": 200, "http://ops.example": 200, "https://ops.example:8443": 404, "https://evil.example": 404} {
		got := ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Authorization", basic(token), "Host", "ops.example", "Origin", origin)
		require.Equal(t, want, got.status, "behind a proxy that ends TLS: %s", origin)
	}
	require.Equal(t, 404, ask(t, "POST", admin+"/api/debug/reset-rate-limits", "", "Authorization", basic(token), "Origin", "http://evil.example").status)
}
