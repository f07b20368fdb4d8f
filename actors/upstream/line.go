package upstream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Line is one provider's way out of this worker.
type Line struct {
	// Set once.
	begun   time.Time
	changed func() // own rests appeared, grew or ended early; may be nil

	mu       sync.Mutex
	settings Settings // without its Keys
	keys     keys
	breaker  breaker
	budget   budget
	own      rests // of keys; the provider's own is the breaker's
	heard    rests
	queue    queue
	inFlight int
	dirty    bool // changed is to be called when mu is free
}

// New returns a line that nobody uses yet. Changed is called, outside the lock,
// when a rest that Own tells appears, lasts longer or ends early, so that others
// can be told; one that runs out is no news to them. It may be nil.
func New(s Settings, changed func()) *Line {
	l := &Line{begun: time.Now(), changed: changed}
	l.breaker.jitter = rand.Float64
	l.keys.byID = make(map[string]*key)
	l.keys.configure(s)
	l.settings = s
	l.settings.Keys = nil
	return l
}

// Configure takes new settings. Keys that stay keep their calls in flight and
// their rests after rate limits; those of spent and refused keys are forgotten,
// since a reload is how an operator says that the keys are good again. Whoever
// waits goes on under the new settings, beyond the new Queue if it is shorter.
func (l *Line) Configure(s Settings) {
	l.mu.Lock()
	defer l.unlock()
	now := l.now()
	l.keys.configure(s)
	l.settings = s
	l.settings.Keys = nil
	l.own.drop(func(m mark, c claim) bool {
		gone := l.obsolete(m, c)
		l.dirty = l.dirty || gone && c.until > now
		return gone
	})
	l.heard.drop(l.obsolete)
	l.settle(now)
}

// obsolete tells whether a rest ends with a reload.
func (l *Line) obsolete(m mark, c claim) bool {
	return !m.provider && (!l.keys.has(m.key) || c.why == WhySpent || c.why == WhyRefused)
}

// Retry takes one retry from the budget: a tenth of the calls that entered in
// the last ten seconds, and at least three in ten seconds.
func (l *Line) Retry() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.take(l.now())
}

// AllTried tells whether no key is left beside these.
func (l *Line) AllTried(tried []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.keys.active {
		if !slices.Contains(tried, k.id) {
			return false
		}
	}
	return true
}

// now is the time of this line.
func (l *Line) now() time.Duration { return time.Since(l.begun) }

// unlock lets go of the line and then says what happened to its own rests.
func (l *Line) unlock() {
	tell := l.dirty && l.changed != nil
	l.dirty = false
	l.mu.Unlock()
	if tell {
		l.changed()
	}
}
