package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// schedule tells the moments of an open loop, in nanoseconds since its beginning.
// They depend on the seed alone.
type schedule struct {
	gap     float64    // nanoseconds between two, on average
	random  *rand.Rand // nil: evenly spaced
	elapsed float64
}

func newSchedule(rate float64, poisson bool, seed uint64) *schedule {
	s := &schedule{gap: float64(time.Second) / rate}
	if poisson {
		s.random = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	}
	return s
}

// next is the moment of the next arrival.
func (s *schedule) next() int64 {
	if s.random != nil {
		s.elapsed += s.gap * s.random.ExpFloat64()
	} else {
		s.elapsed += s.gap
	}
	return int64(s.elapsed)
}

// play calls arrive at every moment of s before end, in nanoseconds after start,
// until ctx ends. It never skips one: what it came to late it does at once.
func (r *run) play(ctx context.Context, s *schedule, start, end int64, arrive func(due int64)) {
	for due := s.next(); due < end; due = s.next() {
		if !r.waitUntil(ctx, start+due) {
			return
		}
		arrive(start + due)
	}
}

// waitUntil sleeps until a moment of the run; false where ctx ended before.
func (r *run) waitUntil(ctx context.Context, moment int64) bool {
	d := time.Duration(moment - r.clock())
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
