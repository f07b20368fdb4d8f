package actors

import "sync"

// recent remembers the last things by their keys, at most max of them, the oldest
// out. Safe for concurrent use.
type recent[K comparable, V any] struct {
	max int

	mu    sync.Mutex
	kept  map[K]V
	order []K // a ring once it is full
	next  int // the oldest of the ring
}

func newRecent[K comparable, V any](max int) *recent[K, V] {
	return &recent[K, V]{max: max, kept: map[K]V{}}
}

// put remembers v, in place of what was remembered of k.
func (r *recent[K, V]) put(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.kept[k]; !known {
		if len(r.order) < r.max {
			r.order = append(r.order, k)
		} else {
			delete(r.kept, r.order[r.next])
			r.order[r.next] = k
			r.next = (r.next + 1) % r.max
		}
	}
	r.kept[k] = v
}

// get tells what is remembered of k.
func (r *recent[K, V]) get(k K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.kept[k]
	return v, ok
}
