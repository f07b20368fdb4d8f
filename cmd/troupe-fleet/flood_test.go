package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// room is a scripted gateway with room for so many sockets at once.
func room(t *testing.T, size int64, refusal body) *caller {
	var inside atomic.Int64
	return scripted(t, func(ctx context.Context, _ int, d *desk) {
		if inside.Add(1) > size {
			inside.Add(-1)
			d.tell(ctx, refusal)
			return
		}
		defer inside.Add(-1)
		for d.hear(ctx) != nil {
			d.tell(ctx, body{Type: typePong})
		}
	})
}

func strangers(n int) (list []visitor) {
	for i := range n {
		list = append(list, visitor{fmt.Sprintf("s%d", i), fmt.Sprintf("10.0.0.%d", i)})
	}
	return list
}

func TestCrowd(t *testing.T) {
	full := body{Type: typeError, Code: codeFull}
	for name, c := range map[string]struct {
		size    int64
		refusal body
		want    crowd
		strange int
		red     bool
	}{
		"some get in":         {5, full, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 5, Refused: 7}, 0, false},
		"nobody is refused":   {100, full, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 12}, 0, true},
		"told something else": {5, body{Type: typeError, Code: "INTERNAL"}, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 5}, 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := &crew{}
			caller := room(t, c.size, c.refusal)
			seen := caller.fill(t.Context(), all, "gateway-1", strangers(12), 0)
			require.Empty(t, all.failed())
			require.Len(t, seen.Strange, c.strange)
			v := newVerdict(genuine())
			v.Crowds = []crowd{seen}
			crowdsRefused(v)
			require.Equal(t, c.red, len(v.breaches) > 0, v.breaches)
			require.False(t, seen.At.IsZero())
			seen.Strange, seen.At = nil, time.Time{}
			require.Equal(t, c.want, seen)
			open, _ := caller.ledger.look()
			require.Zero(t, open["gateway-1"])
		})
	}
	v := newVerdict(genuine())
	crowdsRefused(v)
	require.NotEmpty(t, v.breaches, "a calm round without a crowd has not tried the bound")
}

// A crowd is more than fits beside all streams of a round, and the streams always
// fit.
func TestSlotsAreNearTheLoad(t *testing.T) {
	for _, streams := range []int{10, 60, 300, maxSlots / 2} {
		slots := slotsFor(streams)
		require.Greater(t, slots, streams+streams/10)
		require.Less(t, slots, streams+streams/5+20)
	}
	require.Contains(t, settings(77), "--pool.max_connections=77")
}

// Who finds no room comes back after a while, and not at once, again and again.
func TestRefusedSocketsWait(t *testing.T) {
	var sockets atomic.Int64
	var waited time.Duration
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
		sockets.Add(1)
		m := d.hear(ctx)
		switch {
		case m == nil:
		case n == 0: // the socket dies behind the accept
			d.tell(ctx, accepted(m))
		case n < 4:
			d.tell(ctx, body{Type: typeError, Code: codeFull, Retryable: true})
		default:
			a := asked{N: 1, Chunks: 4}
			full := a.answer()
			d.tell(ctx, body{Type: typeSnapshot, ID: "1", RunID: "run-1", Seq: 4, From: 1, Content: full},
				body{Type: typeComplete, ID: "1", RunID: "run-1", Seq: 5, Full: &full})
			d.hear(ctx)
		}
	})
	require.Len(t, turns, 1)
	require.Len(t, turns[0].Sockets, 5)
	require.EqualValues(t, 5, sockets.Load())
	refused := turns[0].Sockets[1:4]
	for i, s := range refused {
		require.True(t, s.Own, s.Why)
		waited += turns[0].Sockets[i+2].Opened.Sub(s.Closed)
	}
	require.Greater(t, waited, 20*time.Millisecond, "what the seed draws, three times")
}
