package transport

import (
	"sync"
	"time"
)

// folder decides which repeats of a log line are worth a line: the first of a
// key in each window, with the number of those that were swallowed since. The
// table is bounded; past the bound new keys share one entry, so a flood from
// many addresses costs less log, not more.
type folder struct {
	// Set once.
	window time.Duration
	bound  int

	mu   sync.Mutex
	keys map[string]*folded
}

type folded struct {
	until time.Time
	count int
}

// overflowKey stands for all keys that found no room.
const overflowKey = ""

func newFolder(window time.Duration, bound int) *folder {
	return &folder{window: window, bound: bound, keys: make(map[string]*folded)}
}

// allow tells whether this occurrence gets a line, and how many of the same
// key went without one since the last.
func (f *folder) allow(key string, now time.Time) (repeats int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entry(key, now)
	if now.Before(e.until) {
		e.count++
		return 0, false
	}
	repeats, e.count = e.count, 0
	e.until = now.Add(f.window)
	return repeats, true
}

func (f *folder) entry(key string, now time.Time) *folded {
	if e := f.keys[key]; e != nil {
		return e
	}
	if len(f.keys) >= f.bound {
		f.expire(now)
	}
	if len(f.keys) >= f.bound {
		key = overflowKey
		if e := f.keys[key]; e != nil {
			return e
		}
	}
	e := &folded{}
	f.keys[key] = e
	return e
}

func (f *folder) expire(now time.Time) {
	for k, e := range f.keys {
		if !now.Before(e.until) {
			delete(f.keys, k)
		}
	}
}

// recent lists keys whose window is still open, at most limit, in no order.
func (f *folder) recent(now time.Time, limit int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for k, e := range f.keys {
		if len(keys) == limit {
			break
		}
		if k != overflowKey && now.Before(e.until) {
			keys = append(keys, k)
		}
	}
	return keys
}

// capped cuts what a stranger sent before it reaches a log line or an answer.
func capped(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
