package actors

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// seriesOf counts what a registry exports, buckets of histograms included.
func seriesOf(t *testing.T, g prometheus.Gatherer) (n int) {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n++
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 2 // the rest, and the sum
			}
		}
	}
	return n
}

// TestMillionSessionsAddNoSeries: everything that counts is fed with a million
// different sessions, addresses, providers, models and codes.
func TestMillionSessionsAddNoSeries(t *testing.T) {
	const million = 1_000_000
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
			return provider.Result{Finish: protocol.FinishStop}, nil
		}, nil)
		b.job(bus.Job{Name: "first"})
		pass(time.Second)
		before := seriesOf(t, b.gather)
		require.Less(t, before, 700, "the Go runtime's, the process's and the edge's come on top")
		now := time.Now()
		for i := range million {
			name := strconv.Itoa(i)
			m := &decide{address: name[:len(name)/2], session: name, message: i%2 == 0}
			d := b.gateway.gate.windowsDecide(now, m)
			if i%100 == 0 {
				d = b.gateway.gate.instead(m)
			}
			client := protocol.Client{Session: name, Address: m.address, Product: name, Origin: name}
			if d.decision.OK {
				b.gateway.accepted(&client)
			} else {
				b.gateway.refused(&client)
			}
			b.worker.onJob(&bus.Job{Job: name, Provider: name, Model: name, Session: name, Name: name, Product: name}, name)
			if i%1000 == 0 { // whole runs are dear
				b.job(bus.Job{Name: name, Session: name, Product: name, Model: name})
			}
		}
		pass(time.Second)
		require.Equal(t, before, seriesOf(t, b.gather))
		require.EqualValues(t, million, b.gateway.counts.accepted.Load()+b.gateway.counts.rejected.Load())
	})
}
