package upstream

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func secret(text string) protocol.Secret { return protocol.NewSecret([]byte(text)) }

// named makes keys of weight 1.
func named(texts ...string) (out []Key) {
	for _, text := range texts {
		out = append(out, Key{Secret: secret(text), Weight: 1})
	}
	return out
}

func idOf(text string) string { return fingerprint(secret(text)) }

// still returns a line whose breaker has no jitter.
func still(s Settings, changed func()) *Line {
	l := New(s, changed)
	l.breaker.jitter = func() float64 { return 0.5 }
	return l
}

func mustEnter(t *testing.T, l *Line, a Ask) *Call {
	t.Helper()
	c, err := l.Enter(t.Context(), a, nil)
	require.NoError(t, err)
	return c
}

func refused(t *testing.T, l *Line, a Ask) error {
	t.Helper()
	c, err := l.Enter(t.Context(), a, nil)
	require.Error(t, err)
	require.Nil(t, c)
	return err
}

// ends lets a call in for each outcome and ends it so.
func ends(t *testing.T, l *Line, kinds ...Kind) {
	t.Helper()
	for _, kind := range kinds {
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: kind})
	}
}

// trip opens a closed breaker.
func trip(t *testing.T, l *Line) {
	t.Helper()
	ends(t, l, Failed, Failed, Failed, Failed, Failed)
	require.Equal(t, Open, l.Load().Breaker)
}

// arrival is one Enter in a goroutine of its own.
type arrival struct {
	ended atomic.Bool

	// Written before it ended, read after.
	call      *Call
	err       error
	positions []int
}

func (a *arrival) over() bool { return a.ended.Load() }

// arrive enters and, inside a bubble, returns when it waits or is over.
func arrive(t *testing.T, l *Line, a Ask) *arrival {
	t.Helper()
	out := &arrival{}
	go func() {
		out.call, out.err = l.Enter(t.Context(), a, func(p int) { out.positions = append(out.positions, p) })
		out.ended.Store(true)
	}()
	synctest.Wait()
	return out
}

// atRest checks that nothing of a line is held.
func atRest(t *testing.T, l *Line) {
	t.Helper()
	load := l.Load()
	require.Zero(t, load.InFlight)
	require.Zero(t, load.Queued)
	require.Empty(t, l.queue.owners)
	for id, k := range l.keys.byID {
		require.Zero(t, k.inFlight, id)
		require.True(t, k.active, id)
	}
}
