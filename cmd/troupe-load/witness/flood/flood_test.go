package flood_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow/followtest"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

func upTo(n int) func(flood.Ask) int { return func(flood.Ask) int { return n } }

func TestFloodCountsWhatIsLetIn(t *testing.T) {
	url := followtest.Gateway(t, func(ctx context.Context, _ int, d *followtest.Desk) {
		for i := range 5 {
			id := d.Hear(ctx)["id"].(string)
			if i < 3 {
				d.Tell(ctx, frames.Body{Type: frames.Accepted, ID: id, RunID: "r"}, frames.Body{Type: frames.Complete, ID: id, Seq: 1})
				continue
			}
			d.Tell(ctx, frames.Body{Type: frames.Error, ID: id, Code: "RATE_LIMIT_EXCEEDED", Retryable: true})
		}
		d.Hear(ctx)
	})
	var ledger follow.Ledger
	s, err := ledger.Dial(t.Context(), follow.Gateway{URL: url}, "s", nil)
	require.NoError(t, err)
	defer s.Close()
	n, f := 100, flood.Flood{}
	f.Run(t.Context(), s, "vendor", 5, 0, func() int { n++; return n })
	admitted := 0
	for i, a := range f.Asks {
		require.Equal(t, 101+i, a.N)
		require.False(t, a.Answered.IsZero())
		if a.Admitted {
			admitted++
		}
	}
	require.Equal(t, 3, admitted)
	_, beyond := f.Beyond(time.Minute, upTo(3))
	require.Zero(t, beyond)
	first, beyond := f.Beyond(time.Minute, upTo(2))
	require.Equal(t, 3, beyond)
	require.Equal(t, 101, first.N)
}

// TestFloodIsCountedByWindows: only what was surely admitted within one counts.
func TestFloodIsCountedByWindows(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	f := flood.Flood{Asks: []flood.Ask{
		{N: 1, Sent: at(0), Answered: at(1), Admitted: true},
		{N: 2, Sent: at(1), Answered: at(2), Admitted: true},
		{N: 3, Sent: at(500), Answered: at(1001), Admitted: true}, // perhaps in the next one
		{N: 4, Sent: at(2), Answered: at(3)},
		{N: 5, Sent: at(3), Admitted: true}, // never answered
	}}
	_, n := f.Beyond(time.Second, upTo(2))
	require.Zero(t, n)
	copied := flood.Clone([]flood.Flood{f})
	copied[0].Asks[3].Admitted = true
	_, n = copied[0].Beyond(time.Second, upTo(2))
	require.Equal(t, 3, n)
	require.False(t, f.Asks[3].Admitted, "a copy is a copy")
}
