package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// ear is a Sink that remembers.
type ear struct {
	pieces   []string
	thoughts []string
	progress int
	onText   func(n int) // after the nth piece
}

func (e *ear) Text(piece []byte) {
	e.pieces = append(e.pieces, string(piece))
	if e.onText != nil {
		e.onText(len(e.pieces))
	}
}

func (e *ear) Reasoning(piece []byte) { e.thoughts = append(e.thoughts, string(piece)) }

func (e *ear) Progress() { e.progress++ }

func (e *ear) text() string {
	var b bytes.Buffer
	for _, p := range e.pieces {
		b.WriteString(p)
	}
	return b.String()
}

func ask(text string) *Question {
	return &Question{Model: "m-1", Messages: []protocol.Message{{Role: protocol.RoleUser, Content: text}}}
}

func secret(s string) protocol.Secret { return protocol.NewSecret([]byte(s)) }

// newTestOpenAI is a provider whose idle connections end with the test.
func newTestOpenAI(t testing.TB, c Config) Provider {
	t.Helper()
	c.Type = TypeOpenAI
	require.NoError(t, c.Validate("vendor"))
	p, err := New("vendor", c, Deps{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(interface{ Close() error }).Close()) })
	return p
}

func stream(t testing.TB, p Provider, q *Question) (*ear, Result, error) {
	t.Helper()
	e := new(ear)
	res, err := p.Stream(context.Background(), q, e)
	return e, res, err
}

// requireCode checks both faces of an error.
func requireCode(t testing.TB, err error, want protocol.Code) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	require.True(t, errors.As(err, &e), "want %s, got %v", want, err)
	require.Equal(t, want, e.Code, "%v", err)
	require.NotEmpty(t, e.Message)
	return e
}

// requireStops cancels a call after so much text, a piece a byte, and holds that
// its return proves that the vendor was stopped: the connection is closed by then,
// so its server sees it at once.
func requireStops(t *testing.T, srv *providertest.Server, p Provider, q *Question, text string) {
	t.Helper()
	stop := errors.New("the user said stop")
	_, open := dials(p)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	e, done := new(ear), make(chan error, 1)
	heard := make(chan struct{}, 16)
	e.onText = func(int) { heard <- struct{}{} }
	go func() {
		_, err := p.Stream(ctx, q, e)
		if n := open.Load(); n != 0 {
			err = errors.Join(err, fmt.Errorf("returned with %d open connections", n))
		}
		done <- err
	}()
	srv.WaitOpen(t, 1, 5*time.Second)
	for range text {
		<-heard
	}
	cancel(stop)
	err := <-done
	require.NotContains(t, err.Error(), "open connections")
	require.ErrorIs(t, err, stop)
	require.ErrorIs(t, err, context.Canceled)
	requireCode(t, err, protocol.ProviderInterrupted)
	require.Equal(t, text, e.text())
	srv.WaitLeft(t, 1, time.Second)
	srv.WaitOpen(t, 0, time.Second)
}
