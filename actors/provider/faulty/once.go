package faulty

import "sync"

// maxOnce bounds how many questions are remembered.
const maxOnce = 4096

// onceTable remembers questions that failed once. When it is full the oldest
// is forgotten, so that its question may fail once more.
type onceTable struct {
	mu    sync.Mutex
	known map[[32]byte]struct{}
	order [][32]byte // a ring once it is full
	next  int        // where the oldest of a full ring is
}

// add tells whether id is new, and remembers it.
func (t *onceTable) add(id [32]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.known[id]; ok {
		return false
	}
	if t.known == nil {
		t.known = make(map[[32]byte]struct{})
	}
	t.known[id] = struct{}{}
	if len(t.order) < maxOnce {
		t.order = append(t.order, id)
		return true
	}
	delete(t.known, t.order[t.next])
	t.order[t.next] = id
	t.next = (t.next + 1) % maxOnce
	return true
}

// forget makes id new again. Its place in the ring is kept until its turn.
func (t *onceTable) forget(id [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, id)
}
