package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a Set.
const (
	maxActive = 100              // faults at once
	maxOver   = 1000             // ended ones that are still listed
	keepOver  = 10 * time.Minute // how long they are
	keptHits  = 1000             // the newest, of all faults together
)

// Options are what a Set is made of.
type Options struct {
	Catalogue Catalogue
	// Told is called after a fault was set, cleared or has expired, one of these
	// words. Hit is called for every message that is struck. Both may be nil, are
	// called from any goroutine and must not block or call the Set.
	Told func(what, id string, s Spec)
	Hit  func(actor, fault string)
}

// What Options.Told is told.
const (
	ToldSet     = "set"
	ToldCleared = "cleared"
	ToldExpired = "expired"
)

// Set holds the faults of one process. Safe for concurrent use. Close ends it;
// without one, each fault's timer ends with the fault.
type Set struct {
	options Options
	count   atomic.Int32 // of active: what Decide looks at first

	mu     sync.Mutex
	last   int       // guarded by mu: number of the newest fault
	active []*active // guarded by mu: in the order in which they were set
	ended  []*active // guarded by mu: oldest first
	hits   ring      // guarded by mu
	closed bool      // guarded by mu
}

// active is one fault that was set.
type active struct {
	// Set once.
	id      string
	spec    Spec
	strikes map[string]bool // names of messages
	expires time.Time
	over    chan struct{} // closed at the end
	timer   *time.Timer

	// Guarded by the set's mu.
	met, hit int
	dice     *rand.Rand
	isOver   bool
	endedAt  time.Time
}

// NewSet makes an empty set.
func NewSet(o Options) *Set { return &Set{options: o} }

var errClosed = errors.New("this process is stopping: no fault is set any more")

// Add sets a fault. It ends by itself after s.For.
func (s *Set) Add(spec Spec) (id string, err error) {
	if err := s.options.Catalogue.Check(&spec); err != nil {
		return "", err
	}
	for spec.Seed == 0 {
		spec.Seed = rand.Uint64() >> 11 // exact in every reader of JSON
	}
	f := &active{
		spec: spec, strikes: map[string]bool{}, over: make(chan struct{}),
		expires: time.Now().Add(spec.For), dice: rand.New(rand.NewPCG(spec.Seed, 0)),
	}
	for _, name := range s.options.Catalogue.struck(spec.Actor, spec.Fault, spec.Message) {
		f.strikes[name] = true
	}
	if err := s.enter(f); err != nil {
		return "", err
	}
	s.tell(ToldSet, f)
	return f.id, nil
}

func (s *Set) enter(f *active) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case len(s.active) >= maxActive:
		return fmt.Errorf("%d faults are set already, as many as there may be: clear one first", maxActive)
	}
	s.last++
	f.id = fmt.Sprintf("f%d", s.last)
	s.active = append(s.active, f)
	s.count.Add(1)
	f.timer = time.AfterFunc(f.spec.For, func() { s.end(ToldExpired, func(a *active) bool { return a == f }) })
	return nil
}

// Remove clears one fault; false where there is none of that id, or it is over.
func (s *Set) Remove(id string) bool {
	return s.end(ToldCleared, func(a *active) bool { return a.id == id }) > 0
}

// Clear clears all faults and tells how many there were.
func (s *Set) Clear() int {
	return s.end(ToldCleared, func(*active) bool { return true })
}

// Close is Clear, and no fault is set afterwards.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Clear()
}

// end takes faults out and lets go of all that they hold up.
func (s *Set) end(how string, which func(*active) bool) int {
	s.mu.Lock()
	now := time.Now()
	var out []*active
	s.active = slices.DeleteFunc(s.active, func(f *active) bool {
		if !which(f) {
			return false
		}
		f.isOver, f.endedAt = true, now
		f.timer.Stop()
		close(f.over)
		out = append(out, f)
		return true
	})
	s.count.Add(int32(-len(out)))
	s.ended = append(s.ended, out...)
	s.forget(now)
	s.mu.Unlock()
	for _, f := range out {
		s.tell(how, f)
	}
	return len(out)
}

// forget lets go of faults that ended long ago. The caller holds mu.
func (s *Set) forget(now time.Time) {
	s.ended = slices.DeleteFunc(s.ended, func(f *active) bool { return now.Sub(f.endedAt) >= keepOver })
	if n := len(s.ended) - maxOver; n > 0 {
		s.ended = slices.Delete(s.ended, 0, n)
	}
}

func (s *Set) tell(what string, f *active) {
	if s.options.Told != nil {
		s.options.Told(what, f.id, f.spec)
	}
}
