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

	Done    []LiveFault // what was done last, the newest at the end
	Touched []LiveTouch // who was touched last, the newest first
}

// LiveFault is one thing that was done, and whom it has touched so far.
type LiveFault struct {
	Label    string
	Touched  int // of those that it was meant for, and of hits
	Expected int // streams that it was meant for, as far as is known
}

// String is its part of the line.
func (f LiveFault) String() string {
	return fmt.Sprintf("%s touched %d of %d", f.Label, f.Touched, f.Expected)
}

// LiveTouch is one stream that was touched.
type LiveTouch struct {
	Stream int
	What   string // see Touch…
	Fault  string // label of what explains it; empty = nothing does so far
}

// String is its part of the line.
func (t LiveTouch) String() string {
	if t.Fault == "" {
		return fmt.Sprintf("%d %s by nothing that was done", t.Stream, t.What)
	}
	return fmt.Sprintf("%d %s by %s", t.Stream, t.What, t.Fault)
}

// String is one line.
func (l Live) String() string {
	what := "calm"
	if len(l.Faults) > 0 {
		what = strings.Join(l.Faults, ", ")
	}
	line := fmt.Sprintf("%5.1fs  %d streams  %d live  %d complete  %d errors  %d sockets lost  %d chunks/s  %d breaches  %s",
		l.Elapsed.Seconds(), l.Streams, l.Now, l.Complete, l.Errors, l.Lost, l.Chunks, l.Breaches, what)
	if len(l.Done) > 0 {
		line += "  " + joined(l.Done)
	}
	if len(l.Touched) > 0 {
		line += "  last " + joined(l.Touched)
	}
	return line
}

// joined puts what can be said one behind the other.
func joined[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, one := range list {
		words[i] = one.String()
	}
	return strings.Join(words, ", ")
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
	w := newWatch(r)
	for crew.Sleep(ctx, every) {
		l := r.now()
		l.Done, l.Touched = w.look()
		r.o.Live(l)
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
