package actors

import (
	"github.com/troupe-chat/troupe/bus"
)

// moves tells whether a run that could not reach its vendor is followed by
// another worker's.
func (t *turn) moves(e *bus.Event) bool {
	return e.Type == bus.EventError && e.Elsewhere && t.movable && t.seq == 0 && !t.begun && !t.stopping && !t.viewer && t.attempt < t.attempts
}

// elsewhere asks another worker.
func (t *turn) elsewhere(e *bus.Event) step {
	spare := *e
	t.spare, t.avoiding = &spare, true
	t.calls += e.Attempts
	t.spare.Attempts = 0 // they are among the turn's calls now
	t.attempt++
	t.offers = 0
	t.offer()
	return step{verb: doMove}
}

// noOther: nobody else takes the question. The worker that could not reach its
// vendor may ask the next provider now; after that, what it said before counts.
func (t *turn) noOther() step {
	if t.avoiding {
		t.avoiding, t.offers = false, 0
		return t.offer()
	}
	return t.spared()
}

// spared ends a question that moved and found nobody, with the first worker's
// reason. The run that said it has ended: only its name is told.
func (t *turn) spared() step {
	f := t.terminal(t.spare)
	f.Seq = 0
	s := t.finish(f)
	s.frame.RunID = t.spare.Run
	return s
}
