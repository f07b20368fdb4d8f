package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/rs/zerolog"
)

// Bounds of giving memory back. The collector lets a heap grow to twice what
// lives, so a process that was busy and has become quiet would hold as much
// again for nobody: thousands of idle connections are exactly that.
const (
	spareLook  = 5 * time.Second
	sparePause = 100     // times what the last one took, from there to the next: one percent of the time
	spareLeast = 2 << 20 // bytes that are worth the work
	spareOf    = 8       // and at least this part of what lives
	quietPart  = 64      // quiet: between two looks less than this part of what lives was allocated,
	quietLeast = 1 << 20 // or fewer bytes than this: the beats of a fleet alone take some
)

// sparing gives memory back to the system while the process is quiet. It never
// works under load: there the runtime's own pace is the better one.
type sparing struct {
	log     zerolog.Logger
	samples []metrics.Sample
	before  uint64    // bytes allocated ever, when it last looked
	rest    time.Time // not again before
}

func newSparing(log zerolog.Logger) *sparing {
	names := []string{
		"/gc/heap/allocs:bytes", "/gc/heap/live:bytes",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
	}
	s := &sparing{log: log, samples: make([]metrics.Sample, len(names))}
	for i, name := range names {
		s.samples[i].Name = name
	}
	return s
}

// collectorIsTuned tells whether whoever runs the process has decided how the
// collector works. Then nothing here interferes.
//
// GOMEMLIMIT is no such decision: it says how much there may be at most, and
// overload protection wants it everywhere. What a quiet process gives back below
// it is as welcome as without one; one that is never far below it is not quiet,
// or holds little to give.
func collectorIsTuned() bool { return os.Getenv("GOGC") != "" }

// run looks every few seconds until ctx ends.
func (s *sparing) run(ctx context.Context) {
	t := time.NewTicker(spareLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.look(now)
		}
	}
}

// look gives back what is worth it, and tells whether it did.
func (s *sparing) look(now time.Time) bool {
	metrics.Read(s.samples)
	value := func(i int) uint64 { return s.samples[i].Value.Uint64() }
	allocated, live, objects, free := value(0)-s.before, value(1), value(2), value(3)
	s.before = value(0)
	spare := objects - min(live, objects) + free
	if now.Before(s.rest) || !worthSparing(allocated, live, spare) {
		return false
	}
	began := time.Now()
	debug.FreeOSMemory()
	took := time.Since(began)
	s.rest = now.Add(sparePause * took)
	s.log.Debug().Uint64("bytes", spare).Dur("took", took).Msg("Memory given back")
	return true
}

// worthSparing tells whether a process that allocated so many bytes since the
// last look is quiet, and holds enough beside what lives.
func worthSparing(allocated, live, spare uint64) bool {
	return allocated <= max(quietLeast, live/quietPart) && spare >= max(spareLeast, live/spareOf)
}
