package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// Clocks of a client.
const (
	openTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	silence      = 20 * time.Second // a named turn hears a status every 15 s: beyond it the socket is taken for dead
	readLimit    = 8 << 20
)

// line is one WebSocket of a client. It belongs to one goroutine.
type line struct {
	conn    *websocket.Conn
	gateway string
	ledger  *ledger
	sheet   *socket // what is remembered of it
}

// visitor is who opens sockets: a session, and the address that limits know it by.
type visitor struct {
	Session string
	Address string
}

// dial opens a socket of a visitor at a gateway.
func (c *caller) dial(ctx context.Context, gateway string, v visitor) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	url := "ws" + c.address(gateway)[len("http"):] + "/ws/chat/" + v.Session
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: http.Header{"X-Forwarded-For": {v.Address}},
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("handshake answered %d: %w", resp.StatusCode, err)
		}
		return nil, err
	}
	conn.SetReadLimit(readLimit)
	c.ledger.add(gateway, 1)
	return &line{conn: conn, gateway: gateway, ledger: c.ledger, sheet: &socket{Gateway: gateway, Opened: time.Now()}}, nil
}

// say writes one frame.
func (l *line) say(ctx context.Context, frame map[string]any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return l.conn.Write(ctx, websocket.MessageText, data)
}

// hear reads one frame. Silence beyond the bound ends the socket.
func (l *line) hear(ctx context.Context, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind, data, err := l.conn.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		return nil, errors.New("a binary frame")
	}
	return data, err
}

// hangUp closes the socket in good order.
func (l *line) hangUp() {
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	l.gone("closed by the client", true)
}

// lost notes that the socket died.
func (l *line) lost(err error) {
	_ = l.conn.CloseNow()
	why := err.Error()
	if code := websocket.CloseStatus(err); code != -1 {
		why = fmt.Sprintf("closed %d", code)
	}
	l.gone(why, false)
}

func (l *line) gone(why string, own bool) {
	if !l.sheet.Closed.IsZero() {
		return
	}
	l.sheet.Closed, l.sheet.Why, l.sheet.Own = time.Now(), why, own
	l.ledger.add(l.gateway, -1)
}
