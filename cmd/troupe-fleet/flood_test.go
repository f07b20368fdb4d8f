package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow/followtest"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// room is a scripted gateway with room for so many sockets at once.
func room(t *testing.T, size int64, refusal frames.Body) *caller {
	var inside atomic.Int64
	return scripted(t, func(ctx context.Context, _ int, d *followtest.Desk) {
		if inside.Add(1) > size {
			inside.Add(-1)
			d.Tell(ctx, refusal)
			return
		}
		defer inside.Add(-1)
		for d.Hear(ctx) != nil {
			d.Tell(ctx, frames.Body{Type: frames.Pong})
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
	full := frames.Body{Type: frames.Error, Code: codeFull}
	for name, c := range map[string]struct {
		size    int64
		refusal frames.Body
		want    crowd
		strange int
		red     bool
	}{
		"some get in":         {5, full, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 5, Refused: 7}, 0, false},
		"nobody is refused":   {100, full, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 12}, 0, true},
		"told something else": {5, frames.Body{Type: frames.Error, Code: "INTERNAL"}, crowd{Gateway: "gateway-1", Asked: 12, Admitted: 5}, 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := &crew.Crew{}
			caller := room(t, c.size, c.refusal)
			seen := caller.fill(t.Context(), all, "gateway-1", strangers(12), 0)
			require.Empty(t, all.Failures())
			require.Len(t, seen.Strange, c.strange)
			v := newVerdict(genuine())
			v.Crowds = []crowd{seen}
			crowdsRefused(v)
			require.Equal(t, c.red, len(v.breaches) > 0, v.breaches)
			require.False(t, seen.At.IsZero())
			seen.Strange, seen.At = nil, time.Time{}
			require.Equal(t, c.want, seen)
			open := caller.ledger.Open()
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
