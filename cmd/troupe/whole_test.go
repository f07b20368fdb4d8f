package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// whole is a running Troupe for a test, with its log at debug level.
type whole struct {
	*app
	t   *testing.T
	log *lockedBuffer
}

// logged returns the log's lines with this message.
func (w *whole) logged(message string) (out []map[string]any) {
	for line := range strings.Lines(w.log.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["message"] == message {
			out = append(out, m)
		}
	}
	return out
}

// start runs a whole Troupe on a port of its own. change may bend the
// configuration and the options first.
func start(t *testing.T, change ...func(*appOptions)) *whole {
	t.Helper()
	c, _, err := config.Load(config.Sources{Args: []string{"--http.listen=127.0.0.1:0"}, Env: underTest()})
	require.NoError(t, err)
	c.Overload.Enabled = false // how busy the machine of the tests is decides nothing; see whole_overload_test.go
	log := &lockedBuffer{}
	o := appOptions{Role: roleServe, Config: c, Log: zerolog.New(log).Level(zerolog.DebugLevel), Version: "test"}
	for _, f := range change {
		f(&o)
	}
	a, err := newApp(t.Context(), o)
	require.NoError(t, err)
	w := &whole{app: a, t: t, log: log}
	t.Cleanup(func() { a.stop(context.Background()) })
	if a.gateway != nil && a.worker != nil {
		require.Eventually(t, func() bool { return a.gateway.actors.Health().Workers == 1 }, 5*time.Second, 5*time.Millisecond)
	}
	return w
}

// underTest is what the environment asks the tests to run with: make test-reader
// runs them a second time with the other reader.
func underTest() []string {
	if reader := os.Getenv("TROUPE_WEBSOCKET_READER"); reader != "" {
		return []string{"TROUPE_WEBSOCKET_READER=" + reader}
	}
	return []string{}
}

// with bends the configuration.
func with(f func(*config.Config)) func(*appOptions) {
	return func(o *appOptions) { f(o.Config) }
}

func (w *whole) http(path string) string { return "http://" + w.addr().String() + path }

func (w *whole) ws(path string) string { return "ws://" + w.addr().String() + path }

// peer is a WebSocket client that is not ours.
type peer struct {
	*websocket.Conn
	t *testing.T
}

// dial opens a chat socket. Pings are answered by the library while it reads.
func (w *whole) dial(path string, header ...string) *peer {
	w.t.Helper()
	c, _, err := w.tryDial(path, header...)
	require.NoError(w.t, err)
	return c
}

func (w *whole) tryDial(path string, header ...string) (*peer, *http.Response, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	conn, resp, err := websocket.Dial(ctx, w.ws(path), &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(64 << 20)
	w.t.Cleanup(func() { conn.CloseNow() })
	return &peer{Conn: conn, t: w.t}, resp, nil
}

func (c *peer) send(frame string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(c.t, c.Write(ctx, websocket.MessageText, []byte(frame)))
}

// raw reads the next frame as it is on the wire.
func (c *peer) raw() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	_, data, err := c.Read(ctx)
	require.NoError(c.t, err)
	return string(data)
}

// said is what a test looks at in a server's frame.
type said struct {
	Type         string `json:"type"`
	ID           string `json:"id"`
	RunID        string `json:"run_id"`
	Seq          uint64 `json:"seq"`
	From         uint64 `json:"from"`
	Content      string `json:"content"`
	FullResponse string `json:"full_response"`
	Partial      string `json:"partial"`
	FinishReason string `json:"finish_reason"`
	Provider     string `json:"provider"`
	Model        string `json:"model"`
	Code         string `json:"code"`
	Message      string `json:"message"`
	RetryAfter   int    `json:"retry_after"`
	For          string `json:"for"`
	State        string `json:"state"`
	Position     int    `json:"position"`
	Attempts     int    `json:"attempts"`
	SessionID    string `json:"session_id"`
	Usage        *struct {
		InputTokens  int  `json:"input_tokens"`
		OutputTokens int  `json:"output_tokens"`
		Estimated    bool `json:"estimated"`
	} `json:"usage"`
}

func (f said) terminal() bool {
	return f.Type == "complete" || f.Type == "cancelled" || f.Type == "error"
}

func (c *peer) next() said {
	c.t.Helper()
	return parse(c.t, c.raw())
}

func parse(t *testing.T, raw string) (f said) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(raw), &f), raw)
	return f
}

// answer reads to the terminal frame and checks that chunks in order make the
// full response.
func (c *peer) answer() (text string, last said) {
	c.t.Helper()
	var b strings.Builder
	var seq uint64
	for {
		f := c.next()
		switch f.Type {
		case "chunk", "snapshot":
			if f.Seq > 0 {
				first := f.Seq
				if f.From > 0 {
					first = f.From
				}
				if f.Type == "chunk" {
					require.Equal(c.t, seq+1, first, "seq in order")
				}
				seq = f.Seq
			}
			b.WriteString(f.Content)
		case "accepted", "status":
		default:
			require.True(c.t, f.terminal(), f.Type)
			if f.Type != "error" {
				require.Equal(c.t, f.FullResponse, b.String())
			}
			return b.String(), f
		}
	}
}

// closed reads until the server closes and returns the code.
func (c *peer) closed() websocket.StatusCode {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// post sends JSON and returns status and body.
func (w *whole) post(path, body string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.http(path), strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/json")
	return w.do(r, header...)
}

func (w *whole) get(path string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.http(path), nil)
	require.NoError(w.t, err)
	return w.do(r, header...)
}

func (w *whole) do(r *http.Request, header ...string) (int, string, http.Header) {
	w.t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp.StatusCode, string(body), resp.Header
}

// spy hears everything on the embedded bus.
type spy struct {
	mu       sync.Mutex
	subjects []string
	data     [][]byte
}

func (w *whole) spy() *spy {
	w.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(w.nats))
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	s := &spy{}
	_, err = nc.Subscribe(">", func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subjects = append(s.subjects, m.Subject)
		s.data = append(s.data, m.Data)
	})
	require.NoError(w.t, err)
	require.NoError(w.t, nc.Flush())
	return s
}

// about returns the messages whose subject holds part.
func (s *spy) about(part string) (out [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, subject := range s.subjects {
		if strings.Contains(subject, part) {
			out = append(out, s.data[i])
		}
	}
	return out
}

// metric reads one series of /metrics.
func (w *whole) metric(series string) string {
	w.t.Helper()
	status, body, _ := w.get("/metrics")
	require.Equal(w.t, http.StatusOK, status)
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return fmt.Sprintf("no series %s", series)
}
