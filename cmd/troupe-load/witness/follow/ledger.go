package follow

import (
	"maps"
	"sync"
	"time"
)

// Ledger counts open sockets by gateway. The zero Ledger is ready; its methods may
// be called from any goroutine.
type Ledger struct {
	mu      sync.Mutex
	open    map[string]int
	changes map[string][]time.Time // of the last moments, the oldest first
}

// remembered is how long changes are known.
const remembered = 10 * time.Second

func (l *Ledger) add(gateway string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open, l.changes = map[string]int{}, map[string][]time.Time{}
	}
	now := time.Now()
	l.open[gateway] += n
	list := l.changes[gateway]
	for len(list) > 0 && now.Sub(list[0]) > remembered {
		list = list[1:]
	}
	l.changes[gateway] = append(list, now)
}

// Open returns the counts.
func (l *Ledger) Open() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.open)
}

// Churn counts what came and went since a moment, ten seconds ago at most, by
// gateway; gateways where nothing did are not in it.
func (l *Ledger) Churn(since time.Time) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[string]int{}
	for gateway, list := range l.changes {
		for _, at := range list {
			if at.After(since) {
				n[gateway]++
			}
		}
	}
	return n
}
