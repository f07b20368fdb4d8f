// Package followtest is a gateway for tests of clients: it plays a script on each
// socket.
package followtest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// Desk is the far end of a socket.
type Desk struct {
	t    *testing.T
	conn *websocket.Conn
}

// Gateway plays script on its n-th socket, from 0, which ends when script
// returns. It lives as long as the test; the URL is for follow.Gateway.
func Gateway(t *testing.T, script func(ctx context.Context, n int, d *Desk)) (url string) {
	t.Helper()
	var sockets atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		script(r.Context(), int(sockets.Add(1))-1, &Desk{t, conn})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Hear reads one frame of the client; nil when it is gone.
func (d *Desk) Hear(ctx context.Context) map[string]any {
	_, data, err := d.conn.Read(ctx)
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		d.t.Errorf("the client said %q", data)
	}
	return m
}

// Tell sends frames.
func (d *Desk) Tell(ctx context.Context, list ...frames.Body) {
	for _, f := range list {
		data, err := json.Marshal(f)
		if err != nil {
			d.t.Error(err)
		}
		_ = d.conn.Write(ctx, websocket.MessageText, data)
	}
}

// Accepted answers what the client said; the run is run-1.
func Accepted(said map[string]any) frames.Body {
	return frames.Body{Type: frames.Accepted, ID: said["id"].(string), RunID: "run-1"}
}

// Rest are the chunks from one on, and the end.
func Rest(q answer.Question, id string, from int) []frames.Body {
	full := q.Whole()
	return append(Chunks(q, id, from, q.Model.Words), frames.Body{Type: frames.Complete, ID: id, RunID: "run-1", Seq: uint64(q.Model.Words + 1), Full: &full})
}

// Chunks are those from one to another, both of them included.
func Chunks(q answer.Question, id string, from, to int) (list []frames.Body) {
	for i := from; i <= to; i++ {
		list = append(list, frames.Body{Type: frames.Chunk, ID: id, Seq: uint64(i), Content: q.Piece(i)})
	}
	return list
}
