package actors

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// TestRegistryIsCompact: few maps, in which everybody is still found, also who
// was there before.
func TestRegistryIsCompact(t *testing.T) {
	s := NewSystem(SystemOptions{Log: zerolog.Nop(), Metrics: NewMetrics(prometheus.NewRegistry())})
	require.Len(t, s.actors.ProcessRegistry.LocalPIDs.LocalPIDs, registryBuckets)
	_, found := s.actors.ProcessRegistry.GetLocal("eventstream")
	require.True(t, found)

	const many = 1000
	heard := make(chan struct{}, many)
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*probe); ok {
			heard <- struct{}{}
		}
	})
	for i := range many {
		_, err := s.root.SpawnNamed(props, fmt.Sprint("a", i))
		require.NoError(t, err)
	}
	for i := range many {
		pid := s.actors.NewLocalPID(fmt.Sprint("a", i))
		s.root.Send(pid, &probe{})
		<-heard
		require.NoError(t, s.root.StopFuture(pid).Wait())
		_, found := s.actors.ProcessRegistry.GetLocal(pid.Id)
		require.False(t, found)
	}
}
