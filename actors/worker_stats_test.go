package actors

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestPartsOfTheJobCountsNeverExceedTheWhole(t *testing.T) {
	var c jobCounts
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for range 1000 {
				c.received.Add(1)
				c.busy.Add(1)
			}
		})
	}
	var p bus.ProviderLoad
	for p.Busy < 4000 {
		c.fill(&p)
		require.LessOrEqual(t, p.Busy+p.Failed, p.Received)
	}
	counting.Wait()
	require.Equal(t, bus.ProviderLoad{Received: 4000, Busy: 4000}, p)
}

// TestJobsAreCounted: taken, refused for want of room, failed.
func TestJobsAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			time.Sleep(100 * time.Millisecond)
			return provider.Result{}, &protocol.Error{Code: protocol.ProviderUnavailable}
		}, func(p *plan) { p.maxRuns = 1 })
		b.job(bus.Job{})
		b.job(bus.Job{}) // while the first one holds the only slot
		pass(time.Second)
		require.Equal(t, bus.ProviderLoad{Name: "echo", Type: "echo", State: "ready", Received: 2, Busy: 1, Failed: 1}, b.worker.Load().Providers[0])
	})
}
