package provider

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// alarm is a Sink that tells of the first sign of life.
type alarm struct {
	ear
	alive chan struct{}
}

func (a *alarm) Progress() {
	if a.progress++; a.progress == 1 {
		close(a.alive)
	}
}

// A stream is a sign of life before its first event: the vendor took the key.
func TestAStreamIsASignOfLife(t *testing.T) {
	heard := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-heard:
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"))
	}))
	t.Cleanup(srv.Close)
	p := newTestOpenAI(t, Config{BaseURL: srv.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sink := &alarm{alive: heard}
	_, err := p.Stream(ctx, ask("a"), sink)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, sink.pieces)
	require.Equal(t, 2, sink.progress, "the stream, and its end")
}

// A refusal is none: it says nothing for the key.
func TestARefusalIsNoSignOfLife(t *testing.T) {
	for _, status := range []int{400, 401, 429, 500} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		e, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL}), ask("a"))
		srv.Close()
		require.Error(t, err)
		require.Zero(t, e.progress)
	}
}

// requireLate asks a vendor that takes no connection and wants the clock's error.
func requireLate(t *testing.T, base string) {
	t.Helper()
	p := newTestOpenAI(t, Config{BaseURL: base, ConnectTimeout: 100 * time.Millisecond})
	_, open := dials(p)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second) // below the default of the clock
	defer cancel()
	res, err := p.Stream(ctx, ask("a"), new(ear))
	require.NoError(t, ctx.Err(), "the clock did not run out")
	require.Contains(t, requireCode(t, err, protocol.ProviderTimeout).Message, "could not be reached in time")
	require.Equal(t, Result{Model: "m-1", Usage: &protocol.Usage{}, Fault: FaultConnect}, res)
	require.Zero(t, open.Load(), "connections left open")
}

// The clock of the connection runs for the TLS handshake, too. That it runs for
// the dial is in TestConnectTimeoutOfTheDial, where a dial can be made to hang.
func TestConnectTimeoutOfTheHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections, nobody says a word
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	requireLate(t, "https://"+l.Addr().String())
}
