package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestShutdownSaysGoodbye(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		polite, told := e.dial(t, nil)
		_, silent := e.dial(t, nil)
		require.Equal(t, 2, e.count())

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.shutdown(ctx) }()
		polite.wantClose(1001, "SHUTTING_DOWN")
		polite.send(masked(ws.OpClose, true, closeBody(1001, "")))
		polite.wantEnd()
		told.wantClosed(t, protocol.CauseServer)

		w := httptest.NewRecorder()
		e.serve(w, handshake(nil), protocol.Client{})
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Contains(t, w.Body.String(), "SHUTTING_DOWN")
		require.Equal(t, "1", w.Header().Get("Retry-After"))

		cancel() // the silent one is cut
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			require.Fail(t, "shutdown does not return")
		}
		require.Zero(t, e.count())
		silent.wantClosed(t, protocol.CauseServer)
	})
}

func TestShutdownOfNothingReturnsAtOnce(t *testing.T) {
	e := newEdge(t, edgeConfig(), overTCP)
	e.shutdown(t.Context())
	e.shutdown(t.Context())
}

// TestEachSocketIsSeen: whoever is there all the time is seen, whoever leaves
// meanwhile.
func TestEachSocketIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSockets(WebSocketConfig{}, nil, zerolog.Nop(), &edgeMetrics{})
		n := rapid.IntRange(0, 3*sweepBatch).Draw(t, "sockets")
		var there []*conn
		for range n {
			c := newConn(s, nil)
			require.True(t, s.add(c))
			there = append(there, c)
		}
		gone, seen := map[*conn]bool{}, map[*conn]bool{}
		s.each(func(c *conn) {
			seen[c] = true
			if left := rapid.IntRange(0, 2*n).Draw(t, "who leaves"); left < n && !gone[there[left]] {
				gone[there[left]] = true
				s.remove(there[left])
			}
		})
		for _, c := range there {
			require.True(t, seen[c] || gone[c])
		}
		require.Equal(t, n-len(gone), s.count())
		for i, c := range s.conns {
			require.Equal(t, i, c.place)
		}
	})
}
