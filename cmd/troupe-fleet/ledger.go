package main

import (
	"maps"
	"sync"
	"time"
)

// ledger counts the sockets that the harness holds, by gateway.
type ledger struct {
	mu      sync.Mutex
	open    map[string]int
	changed time.Time
}

func newLedger() *ledger { return &ledger{open: map[string]int{}} }

func (l *ledger) add(gateway string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[gateway] += n
	l.changed = time.Now()
}

// look returns the counts and when the last one changed.
func (l *ledger) look() (open map[string]int, changed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.open), l.changed
}
