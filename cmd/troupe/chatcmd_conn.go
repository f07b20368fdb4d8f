package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// The client is coder/websocket and the server is gobwas/ws on purpose: two
// implementations that never met agree on every byte, so `troupe check` proves
// what a browser will see and not that one library understands itself.

const (
	dialTimeout  = 10 * time.Second
	leaveTimeout = time.Second
	// readLimit is far above any answer a server sends in one frame.
	readLimit = 64 << 20
)

// parseTarget reads the address of a server, in any spelling, as http or https.
func parseTarget(raw string) (*url.URL, error) {
	spelled := raw
	if !strings.Contains(spelled, "://") {
		spelled = "http://" + spelled
	}
	u, err := url.Parse(spelled)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not an address: give one like ws://127.0.0.1:8000 or https://chat.example.com", raw)
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "ws":
		u.Scheme = "http"
	case "https", "wss":
		u.Scheme = "https"
	default:
		return nil, fmt.Errorf("%q: the scheme must be ws, wss, http or https", raw)
	}
	if strings.Contains(u.Path, "/ws/chat") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("give the address of the server alone, as in ws://127.0.0.1:8000; the session goes into --session")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func chatAddress(base *url.URL, session, product string) *url.URL {
	if product != "" {
		return base.JoinPath("ws", "chat", "customer", url.PathEscape(product), url.PathEscape(session))
	}
	return base.JoinPath("ws", "chat", url.PathEscape(session))
}

// question is a chat frame. The key is written by encode alone.
type question struct {
	Type         protocol.Type `json:"type"`
	ID           string        `json:"id"`
	Content      string        `json:"content"`
	Provider     string        `json:"provider,omitempty"`
	Model        string        `json:"model,omitempty"`
	System       string        `json:"system,omitempty"`
	MaxTokens    int           `json:"max_tokens,omitempty"`
	OnDisconnect string        `json:"on_disconnect,omitempty"`
	Reasoning    bool          `json:"reasoning,omitempty"`
	key          protocol.Secret
}

func (q question) encode() []byte {
	type withKey struct {
		question
		Keys map[string]string `json:"api_keys,omitempty"`
	}
	w := withKey{question: q}
	if !q.key.Empty() {
		w.Keys = map[string]string{q.Provider: string(q.key.Reveal())}
	}
	// Strings and numbers alone cannot fail to encode.
	data, _ := json.Marshal(w)
	return data
}

// frame is what a server says, as far as a terminal shows it.
type frame struct {
	Type         protocol.Type `json:"type"`
	ID           string        `json:"id"`
	Content      string        `json:"content"`
	FullResponse string        `json:"full_response"`
	Provider     string        `json:"provider"`
	Model        string        `json:"model"`
	Code         protocol.Code `json:"code"`
	Message      string        `json:"message"`
	RetryAfter   int           `json:"retry_after"`
	For          string        `json:"for"`
	State        string        `json:"state"`
	Position     int           `json:"position"`
}

// client is one WebSocket to a server.
type client struct {
	conn *websocket.Conn
	http *http.Client
}

// dial connects, or says as a *trouble why not.
func dial(ctx context.Context, address *url.URL, header http.Header) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	h := newHTTPClient()
	conn, resp, err := websocket.Dial(ctx, address.String(), &websocket.DialOptions{HTTPClient: h, HTTPHeader: header})
	if err != nil {
		h.CloseIdleConnections()
		return nil, explain(address, resp, err)
	}
	conn.SetReadLimit(readLimit)
	return &client{conn: conn, http: h}, nil
}

// newHTTPClient follows no redirect: a check must see it, and a key must not.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// leave says goodbye with a close frame and waits a moment for the answer, so
// that the server's log tells an end from a loss.
func (c *client) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.CloseNow() })
	defer stop()
	_ = c.conn.Close(websocket.StatusNormalClosure, "")
}

// close lets go at once. It may follow leave.
func (c *client) close() {
	_ = c.conn.CloseNow()
	c.http.CloseIdleConnections()
}

func (c *client) send(ctx context.Context, data []byte) error {
	if err := c.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return explainEnd(err)
	}
	return nil
}

func (c *client) read(ctx context.Context) (frame, error) {
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return frame{}, explainEnd(err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		return frame{}, &trouble{What: "the server sent something that is not a frame of Troupe", Remedy: "check the address", Closed: true}
	}
	return f, nil
}

type incoming struct {
	frame frame
	err   error
}

// frames reads until the socket ends; the last one carries the error.
func (c *client) frames(ctx context.Context, errs io.Writer) <-chan incoming {
	in := make(chan incoming)
	go func() {
		defer reportPanic(errs, "reading from the server")
		for {
			f, err := c.read(ctx)
			select {
			case in <- incoming{frame: f, err: err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}
