package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// A load that takes every CPU twice: whoever wants one has to wait its turn.
const (
	burnersPerCPU = 2
	loadTime      = 10 * time.Second
	loadBefore    = time.Second // of full load, at least, before anything is broken
)

// playKillWorkerBusy kills a worker while the machine is full, and starts it
// again under the same load. Beats are late then: nobody may be called dead for
// that.
func playKillWorkerBusy(ctx context.Context, r *round, rng *dice) error {
	return r.underLoad(ctx, func() error {
		crew.Sleep(ctx, loadBefore)
		return r.killOne(ctx, rng, roleWorker)
	})
}

// underLoad plays do while burners hold all CPUs. They stay for their whole time,
// or as long as do needs.
func (r *round) underLoad(ctx context.Context, do func() error) error {
	cpus := runtime.GOMAXPROCS(0) // what a container is allowed, too
	b, err := startBurners(burnersPerCPU * cpus)
	if err != nil {
		return err
	}
	defer b.kill() // a panic must not leave them behind
	err = do()
	crew.Sleep(ctx, time.Until(b.from.Add(loadTime)))
	seen, burnedOut := b.stop(cpus)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads = append(r.loads, seen)
	return errors.Join(err, burnedOut)
}
