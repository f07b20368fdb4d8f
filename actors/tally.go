package actors

import (
	"sync"
	"sync/atomic"
)

// line is one line of the tree: a permanent actor, or all temporary ones of a
// kind below one parent.
type line struct{ parent, kind, id string }

// lineOf is where an actor is counted.
func lineOf(id string) line {
	l := line{parent: parentOf(id), kind: kindOfID(id)}
	if !temporary(l.kind) {
		l.id = id
	}
	return l
}

// tally counts what became of the actors of one line.
type tally struct{ started, restarts, panics atomic.Uint64 }

// tallies are those of all lines, as many as there are permanent actors and a
// few more. The zero value is empty.
type tallies struct {
	mu    sync.Mutex
	lines map[line]*tally // guarded by mu
}

// of is where an actor is counted.
func (t *tallies) of(id string) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := lineOf(id)
	if t.lines[l] == nil {
		if t.lines == nil {
			t.lines = map[line]*tally{}
		}
		t.lines[l] = &tally{}
	}
	return t.lines[l]
}

// each shows every line that was ever counted.
func (t *tallies) each(show func(line, *tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l, n := range t.lines {
		show(l, n)
	}
}
