package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// nginxSnippet is the block of docs/troubleshooting.md.
func nginxSnippet(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile("(?ms)^```nginx\n(.*?)^```$").FindStringSubmatch(readDoc(t, "docs/troubleshooting.md"))
	require.NotNil(t, m, "docs/troubleshooting.md has no nginx block")
	return m[1]
}

// startNginx runs the documented snippet in front of upstream and returns where
// it listens. Nothing of the snippet is changed but the two addresses.
func startNginx(t *testing.T, upstream string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "nginx is not installed: the documented snippet must be run here")
		t.Skip("nginx is not installed: the documented snippet cannot be run")
	}
	address, snippet := freeAddress(t), nginxSnippet(t)
	for _, swap := range [][2]string{{"127.0.0.1:8000", upstream}, {"listen 80;", "listen " + address + ";"}} {
		require.Equal(t, 1, strings.Count(snippet, swap[0]), swap[0])
		snippet = strings.Replace(snippet, swap[0], swap[1], 1)
	}
	runNginx(t, binary, snippet, address)
	return address
}

// runNginx runs what goes into an http block until the test ends, and returns when
// it listens.
func runNginx(t *testing.T, binary, block, address string) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	require.NoError(t, os.WriteFile(conf, []byte("daemon off; master_process off; pid "+filepath.Join(dir, "pid")+
		"; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+paths+block+"}\n"), 0o600))
	runEdge(t, address, binary, "-p", dir, "-c", conf, "-e", "stderr")
}

// runEdge runs a proxy until the test ends, and returns when it listens.
func runEdge(t *testing.T, address, binary string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, binary, args...)
	said := &lockedBuffer{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // killed
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "%s: %s", binary, said)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestNginxSnippet drives a WebSocket chat and an SSE stream through the
// documented nginx in front of a Troupe that trusts it.
func TestNginxSnippet(t *testing.T) {
	c, _, err := config.Load(config.Sources{Args: []string{"--http.listen=127.0.0.1:0", "--http.trusted_proxies=127.0.0.1"}})
	require.NoError(t, err)
	log := &lockedBuffer{}
	proxy := startNginx(t, strings.TrimPrefix(docServing(t, zerolog.New(log), c), "http://"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	t.Run("WebSocket from the page's own origin", func(t *testing.T) {
		conn, _, err := websocket.Dial(ctx, "ws://"+proxy+"/ws/chat/nginx", &websocket.DialOptions{HTTPClient: stranger(), HTTPHeader: http.Header{
			"Origin": {"http://" + proxy}, "X-Forwarded-For": {"203.0.113.9"},
		}})
		require.NoError(t, err)
		defer func() { _ = conn.CloseNow() }()
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"type":"chat","id":"1","content":"through nginx"}`)))
		var text string
		for {
			_, data, err := conn.Read(ctx)
			require.NoError(t, err)
			var f struct {
				Type, Content string
				Full          string `json:"full_response"`
			}
			require.NoError(t, json.Unmarshal(data, &f))
			text += f.Content
			if f.Type == "complete" {
				require.Equal(t, "through nginx", f.Full)
				break
			}
		}
		require.Equal(t, "through nginx", text)
		require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
		require.Contains(t, log.String(), `"address":"`+strangerAddress+`"`, "limits count the client, not the proxy, and not what it says of itself")
		require.NotContains(t, log.String(), "203.0.113.9")
	})

	t.Run("a strange origin is refused", func(t *testing.T) {
		_, resp, err := websocket.Dial(ctx, "ws://"+proxy+"/ws/chat/nginx", &websocket.DialOptions{
			HTTPHeader: http.Header{"Origin": {"http://shop.example"}},
		})
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})

	t.Run("SSE arrives as it is said", func(t *testing.T) {
		ask := `{"content":"one two three four","model":"echo-100ms"}`
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+proxy+"/api/chat", strings.NewReader(ask))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Origin", "http://"+proxy)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
		var events []string
		var first, last time.Time
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			kind, ok := strings.CutPrefix(lines.Text(), "event: ")
			if !ok {
				continue
			}
			events = append(events, kind)
			if last = time.Now(); first.IsZero() {
				first = last
			}
		}
		require.Equal(t, []string{"accepted", "chunk", "chunk", "chunk", "chunk", "complete"}, events)
		require.Greater(t, last.Sub(first), 150*time.Millisecond, "nginx kept the events back")
	})

	t.Run("operators are not let in by the proxy", func(t *testing.T) {
		resp, err := http.Get("http://" + proxy + "/metrics")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	})
}
