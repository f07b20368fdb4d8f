// Package follow is a client: it opens sockets at gateways, and stays with one
// turn over as many of them as that takes. It is written from the contract in
// docs/protocol.md, on another WebSocket library than the server's.
package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Clocks and bounds of a client.
const (
	OpenTimeout  = 5 * time.Second  // of a handshake
	Silence      = 20 * time.Second // a named turn hears a status every 15 s: beyond it the socket is taken for dead
	ReadLimit    = 16 << 20         // bytes of a frame
	writeTimeout = 5 * time.Second
)

// Gateway is where clients connect.
type Gateway struct {
	Name string // of the process; the URL where it is not ours
	URL  string // ws://host:port, or http
}

// Socket is one WebSocket of a client. One goroutine reads it; Close and Cut may be
// called from any.
type Socket struct {
	conn    *websocket.Conn
	net     net.Conn
	gateway string
	ledger  *Ledger
	gone    sync.Once
}

// Dial opens a socket at a gateway for a session, and counts it until it is closed
// or cut. header may be nil.
func (l *Ledger) Dial(ctx context.Context, to Gateway, session string, header http.Header) (*Socket, error) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	s := &Socket{gateway: to.Name, ledger: l}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		s.net = nc
		return nc, err
	}}
	conn, resp, err := websocket.Dial(ctx, strings.TrimSuffix(to.URL, "/")+"/ws/chat/"+session, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("the handshake was answered %d: %w", resp.StatusCode, err)
		}
		return nil, err
	}
	conn.SetReadLimit(ReadLimit)
	s.conn = conn
	l.add(to.Name, 1)
	return s, nil
}

// Say writes one frame.
func (s *Socket) Say(ctx context.Context, frame map[string]any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, data)
}

// Hear reads one frame. Silence beyond the bound ends the socket.
func (s *Socket) Hear(ctx context.Context, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind, data, err := s.conn.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		return nil, errors.New("a binary frame")
	}
	return data, err
}

// Close ends the socket in good order. It may wait for the other side, five
// seconds at most.
func (s *Socket) Close() {
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	s.drop()
}

// Cut ends it without a word; with a reset where hard is set.
func (s *Socket) Cut(hard bool) {
	if t, ok := s.net.(*net.TCPConn); ok && hard {
		_ = t.SetLinger(0)
	}
	if s.net != nil {
		_ = s.net.Close()
	}
	_ = s.conn.CloseNow()
	s.drop()
}

func (s *Socket) drop() {
	s.gone.Do(func() { s.ledger.add(s.gateway, -1) })
}

// reason says why a socket ended, shortly.
func reason(err error) string {
	if err == nil {
		return "closed by the client"
	}
	if code := websocket.CloseStatus(err); code != -1 {
		return fmt.Sprintf("closed %d", code)
	}
	return err.Error()
}
