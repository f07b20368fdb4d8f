package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// Live is how a run goes at one moment.
type Live struct {
	Scenario string
	Elapsed  time.Duration
	Length   time.Duration // of the asking; what is under way then goes on
	Streams  int           // asked so far
	Now      int           // under way
	Complete int
	Errors   int      // ends by an error, so far
	Lost     int      // sockets that ended without their client wanting it
	Chunks   int      // within the last second
	Faults   []string // that last now
	Breaches int      // seen so far: text of somebody else, keys, second ends
}

// String is one line.
func (l Live) String() string {
	what := "calm"
	if len(l.Faults) > 0 {
		what = strings.Join(l.Faults, ", ")
	}
	return fmt.Sprintf("%5.1fs  %d streams  %d live  %d complete  %d errors  %d sockets lost  %d chunks/s  %d breaches  %s",
		l.Elapsed.Seconds(), l.Streams, l.Now, l.Complete, l.Errors, l.Lost, l.Chunks, l.Breaches, what)
}

// showUntil tells once a second how it goes.
func (r *round) showUntil(ctx context.Context) {
	if r.o.Live == nil {
		return
	}
	every := r.o.Every
	if every == 0 {
		every = time.Second
	}
	for crew.Sleep(ctx, every) {
		r.o.Live(r.now())
	}
}

func (r *round) now() Live {
	l := Live{Scenario: r.plan.Name, Elapsed: time.Since(r.began), Length: since(r.plan.Length)}
	b := r.book
	b.mu.Lock()
	l.Streams, l.Now = len(b.turns), len(b.live)
	for _, s := range b.seconds {
		l.Complete += s.Completed
		l.Errors += s.Errors
	}
	l.Chunks = b.second(time.Now().Add(-time.Second)).Chunks
	l.Lost, l.Breaches = b.lost, b.breaches
	b.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, h := range r.harms {
		if h.Verb != "streams" && now.Before(h.To.Add(time.Second)) {
			l.Faults = append(l.Faults, h.Label)
		}
	}
	return l
}
