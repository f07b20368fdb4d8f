package actors

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/troupe-chat/troupe/bus"
)

// jobCounts are one provider's jobs since its worker's start. Counting is one
// atomic addition; the zero value is ready.
type jobCounts struct {
	received atomic.Uint64 // jobs that were neither late nor repeated
	busy     atomic.Uint64 // of them refused for want of room
	failed   atomic.Uint64 // of them ended with an error
}

// fill writes the counts down. One that grows meanwhile is read before the one
// that it is part of, so no part exceeds its whole.
func (c *jobCounts) fill(p *bus.ProviderLoad) {
	p.Busy, p.Failed = c.busy.Load(), c.failed.Load()
	p.Received = c.received.Load()
}

// Load is this worker now, its providers by name. It never blocks.
func (w *Worker) Load() bus.Load {
	l := bus.Load{Active: w.Active(), Capacity: w.cfg.Worker.MaxRuns, Draining: w.draining.Load()}
	for _, name := range slices.Sorted(maps.Keys(w.served)) {
		s := w.served[name]
		setup := s.setup.Load()
		p := bus.ProviderLoad{Name: name, Type: setup.Config.Type, State: setup.State}
		s.jobs.fill(&p)
		l.Providers = append(l.Providers, p)
	}
	return l
}
