package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// The judge of `troupe-load faults` is another one: it has to say whom a fault may
// touch, excuses other harms, and may not see everything. What both judge by (texts,
// frames, turns, calls, floods, readings) is shared, in cmd/troupe-load/witness.

// Invariants, and what is named like them in a verdict. What they say in words is
// in docs/reliability.md.
const (
	inv1       = "I1" // one end
	inv2       = "I2" // one text
	inv3       = "I3" // slots
	inv4       = "I4" // vendor calls end
	inv5       = "I5" // executed once
	inv6       = "I6" // keys
	inv7       = "I7" // limits
	inv8       = "I8" // back at rest
	inv9       = "I9" // nobody else's text
	lostAnswer = "lost answer"
	expected   = "expectation"
)

func invariants() []string {
	return []string{inv1, inv2, inv3, inv4, inv5, inv6, inv7, inv8, inv9}
}

// breach is one thing that must not be.
type breach struct {
	Invariant string `json:"invariant"`
	Question  int    `json:"question,omitempty"`
	What      string `json:"what"`
}

// String names the invariant first.
func (b breach) String() string {
	if b.Question == 0 {
		return fmt.Sprintf("%s: %s", b.Invariant, b.What)
	}
	return fmt.Sprintf("%s: q-%d: %s", b.Invariant, b.Question, b.What)
}

// verdict gathers breaches.
type verdict struct {
	*evidence
	views    []view
	calls    map[int][]mimic.Call // by question, in order of their starts
	breaches []breach
}

// view is a turn with its frames read.
type view struct {
	*turn
	bodies []frames.Body
}

// judge holds the evidence against the invariants. It reads nothing else and
// changes nothing.
func judge(e *evidence) []breach {
	v := newVerdict(e)
	for i := range v.views {
		t := &v.views[i]
		v.judgeEnds(t)
		if v.judgeOwner(t) {
			v.judgeText(t)
		}
	}
	v.judgeLost()
	v.judgeSlots()
	v.judgeCalls()
	v.judgeAttempts()
	v.judgeKeys()
	v.judgeFloods()
	v.judgeRest()
	return v.breaches
}

func newVerdict(e *evidence) *verdict {
	v := &verdict{evidence: e, calls: map[int][]mimic.Call{}}
	for _, t := range e.Turns {
		w := view{turn: t, bodies: make([]frames.Body, len(t.Frames))}
		for i, f := range t.Frames {
			w.bodies[i] = frames.Parse(f.Raw)
		}
		v.views = append(v.views, w)
	}
	for _, c := range e.Calls {
		v.calls[c.N] = append(v.calls[c.N], c)
	}
	for _, list := range v.calls {
		slices.SortFunc(list, func(a, b mimic.Call) int { return a.Start.Compare(b.Start) })
	}
	return v
}

func (v *verdict) add(invariant string, question int, format string, args ...any) {
	v.breaches = append(v.breaches, breach{invariant, question, fmt.Sprintf(format, args...)})
}

// end is the index of the first frame that ends the turn, -1 without one.
func (w *view) end() int {
	return slices.IndexFunc(w.bodies, func(b frames.Body) bool { return b.Ends(w.ID) })
}

// outcome is the type of the end, else why the client gave up, else "".
func (w *view) outcome() string {
	if i := w.end(); i >= 0 {
		return w.bodies[i].Type
	}
	return w.GaveUp
}

// code is that of an error at the end.
func (w *view) code() string {
	if i := w.end(); i >= 0 {
		return w.bodies[i].Code
	}
	return ""
}

// ended is when the client was told, the zero time where it never was.
func (w *view) ended() time.Time {
	if i := w.end(); i >= 0 {
		return w.Frames[i].At
	}
	return time.Time{}
}

// accepted tells whether a run was ever named for this turn.
func (w *view) accepted() bool {
	return slices.ContainsFunc(w.bodies, func(b frames.Body) bool { return b.Type == frames.Accepted || b.Type == frames.Snapshot })
}

// judgeEnds: I1.
func (v *verdict) judgeEnds(w *view) {
	ends, after := 0, 0
	for _, b := range w.bodies {
		if b.Ends(w.ID) {
			ends++
		} else if ends > 0 && b.ID == w.ID && b.For == "" {
			after++
		}
	}
	switch {
	case ends > 1:
		v.add(inv1, w.Ask.N, "%d ends", ends)
	case after > 0:
		v.add(inv1, w.Ask.N, "%d frames behind the end", after)
	case ends == 0 && w.accepted() && !v.excused(w):
		v.add(inv1, w.Ask.N, "accepted, and no end; the client gave up: %s", cmp.Or(w.GaveUp, "it was replaced"))
	}
}

// excused: an answer whose client may be told that it is gone. A run ends with
// its socket where the client wanted that, and with its worker.
func (v *verdict) excused(w *view) bool {
	if w.GaveUp != "RUN_NOT_FOUND" {
		return w.GaveUp == follow.Left
	}
	if w.Policy == policyCancel || w.Second {
		return true
	}
	for _, c := range v.calls[w.Ask.N] {
		if v.disturbed(c.Start, w.Frames[len(w.Frames)-1].At, []string{harmKill, harmPause, harmBlackHole}, c.Worker) {
			return true
		}
	}
	return false
}

// judgeLost: a client that asked and heard neither an end nor a reason.
func (v *verdict) judgeLost() {
	for i := range v.views {
		w := &v.views[i]
		if !w.Replaced && !w.accepted() && (w.outcome() == "" || w.outcome() == giveUpDeadline) {
			v.add(lostAnswer, w.Ask.N, "neither an answer nor an error")
		}
	}
}

// judgeKeys: I6.
func (v *verdict) judgeKeys() {
	keys := canary.Spell(v.Rules.Keys)
	for _, s := range v.Sinks {
		if how, found := keys.In(s.Text); found {
			v.add(inv6, 0, "a key, %s, in %s", how, s.Name)
		}
	}
	for _, t := range v.Turns {
		for _, f := range t.Frames {
			if how, found := keys.In(string(f.Raw)); found {
				v.add(inv6, t.Ask.N, "a key, %s, in a frame", how)
			}
		}
	}
	for _, what := range v.Strange {
		v.add(inv6, 0, "a request at the vendor that is not ours: %s", what)
	}
}

// judgeFloods: I7. No fault here is one of the limiter's, so the limit holds always.
func (v *verdict) judgeFloods() {
	for _, f := range v.Floods {
		if first, n := f.Beyond(v.Rules.Window, func(flood.Ask) int { return v.Rules.Messages }); n > 0 {
			v.add(inv7, first.N, "%s admitted %d of a session within %s, the limit is %d", f.Gateway, n, v.Rules.Window, v.Rules.Messages)
		}
	}
}
