package actors

import (
	"sync"
	"time"
)

// Bounds of folding: the first event of a kind and address is logged, the next
// ones within foldWindow are counted into the line that follows.
const (
	foldWindow = 10 * time.Second
	foldKeys   = 4096
)

// fold keeps one noisy client from filling the log. Safe for concurrent use.
type fold struct {
	mu   sync.Mutex
	seen map[foldKey]*folded
}

type foldKey struct{ kind, address string }

type folded struct {
	since  time.Time
	hidden int
}

// event calls write with the number of events hidden since the last line, or
// not at all while the window of this kind and address is open.
func (f *fold) event(kind, address string, write func(repeats int)) {
	if repeats, show := f.count(foldKey{kind, address}, time.Now()); show {
		write(repeats)
	}
}

func (f *fold) count(key foldKey, now time.Time) (repeats int, show bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[foldKey]*folded{}
	}
	e := f.seen[key]
	switch {
	case e == nil:
		f.makeRoom(now)
		f.seen[key] = &folded{since: now}
		return 0, true
	case now.Sub(e.since) < foldWindow:
		e.hidden++
		return 0, false
	}
	repeats = e.hidden
	*e = folded{since: now}
	return repeats, true
}

// makeRoom forgets closed windows, and everything should that not be enough:
// a line too many is better than a table without end.
func (f *fold) makeRoom(now time.Time) {
	if len(f.seen) < foldKeys {
		return
	}
	for k, e := range f.seen {
		if now.Sub(e.since) >= foldWindow {
			delete(f.seen, k)
		}
	}
	if len(f.seen) >= foldKeys {
		clear(f.seen)
	}
}
