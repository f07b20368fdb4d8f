package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/actors/fault"
)

// bare is a context with a message alone.
type bare struct {
	actor.Context
	message any
}

func (b bare) Message() any { return b.message }

// idler is an actor that only enters.
type idler struct{ guard }

func (i *idler) Receive(ctx actor.Context) {
	defer i.caught(ctx)
	i.enter(ctx)
}

// BenchmarkEnter is what faults cost each message: where there are none, and
// where they are enabled and none is set.
func BenchmarkEnter(b *testing.B) {
	for name, faults := range map[string]*fault.Set{"off": nil, "enabled": fault.NewSet(fault.Options{Catalogue: FaultCatalogue()})} {
		b.Run(name, func(b *testing.B) {
			s := NewSystem(SystemOptions{Log: zerolog.Nop(), Metrics: NewMetrics(prometheus.NewRegistry()), Faults: faults})
			a := s.staged(kindConnection, &idler{guard{sys: s, kind: kindConnection}})
			var ctx actor.Context = bare{message: &chunksArrived{}}
			b.ReportAllocs()
			for b.Loop() {
				a.Receive(ctx)
			}
		})
	}
}
