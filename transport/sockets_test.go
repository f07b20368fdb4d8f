package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

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
