package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// What a breach may break besides the invariants I1 to I9.
const (
	ruleUntouched = "untouched"   // a fault reached somebody whom it must not
	ruleMust      = "must touch"  // a fault reached nobody: nothing was tried
	ruleOutcome   = "outcome"     // an end that the scenario does not allow
	ruleLost      = "lost answer" // neither an answer nor a reason
	ruleBound     = "bound"       // a pass mark
	ruleProcess   = "process"     // a process ended by itself
	ruleTool      = "tool"        // the tool itself is broken: nothing is proven
)

// Invariants in their order, with what they say; docs/reliability.md has the
// whole words.
func invariants() [][2]string {
	return [][2]string{
		{"I1", "one end for every turn that was accepted"},
		{"I2", "one text, in order and whole"},
		{"I3", "slots held are connections, none at rest"},
		{"I4", "no vendor call without a run"},
		{"I5", "executed once"},
		{"I6", "keys stay inside"},
		{"I7", "limits hold"},
		{"I8", "back at rest"},
		{"I9", "nobody else's text"},
	}
}

// What invariants excuse depends on what can be done to a server, and on how much of
// it is seen; both differ from the fleet's harness, which has wires to cut, seeds, and
// only servers of its own. So the judges are apart, and what they judge by is shared:
// texts, frames, turns, calls, floods, readings.

// verdict gathers breaches, and counts how often each invariant was looked at.
type verdict struct {
	*evidence
	views    []*view
	byNumber map[int]*view
	calls    map[int][]mimic.Call // by question, in order of their starts
	breaches []Breach
	checked  map[string]int
	spent    map[*harm]map[int]bool // who was explained by hits of nobody known
	figures  map[*harm]*figure
}

// view is a turn with what follows from its frames.
type view struct {
	*turn
	calls []mimic.Call
	end   int // index of the first frame that ends it, -1 without one
}

// judge holds the evidence against the invariants. It reads nothing else and
// changes nothing.
func judge(e *evidence) *verdict {
	v := newVerdict(e)
	for _, w := range v.views {
		v.judgeEnds(w)
		if v.judgeOwner(w) {
			v.judgeText(w)
		}
	}
	v.judgeSlots()
	v.judgeCalls()
	v.judgeAttempts()
	v.judgeKeys()
	v.judgeFloods()
	v.judgeRest()
	return v
}

func newVerdict(e *evidence) *verdict {
	v := &verdict{evidence: e, byNumber: map[int]*view{}, calls: map[int][]mimic.Call{}, checked: map[string]int{}}
	for _, c := range e.Calls {
		v.calls[c.N] = append(v.calls[c.N], c)
	}
	for _, list := range v.calls {
		slices.SortFunc(list, func(a, b mimic.Call) int { return a.Start.Compare(b.Start) })
	}
	for _, t := range e.Turns {
		w := &view{turn: t, calls: v.calls[t.N], end: slices.IndexFunc(t.Frames, func(f frame) bool { return f.Ends(turnID) })}
		v.views = append(v.views, w)
		v.byNumber[t.N] = w
	}
	return v
}

func (v *verdict) add(rule string, stream int, at time.Time, format string, args ...any) {
	b := Breach{Rule: rule, Stream: stream, What: fmt.Sprintf(format, args...)}
	if !at.IsZero() {
		b.At = v.ms(at)
	}
	v.breaches = append(v.breaches, b)
}

// ms is a moment as the result tells it.
func (e *evidence) ms(at time.Time) float64 {
	return float64(at.Sub(e.Began).Microseconds()) / 1000
}

// accepted tells whether a run was ever named for this turn.
func (w *view) accepted() bool {
	return slices.ContainsFunc(w.Frames, func(f frame) bool { return f.Type == frames.Accepted || f.Type == frames.Snapshot })
}

// ended is when the client was told, the zero time where it never was.
func (w *view) ended() time.Time {
	if w.end < 0 {
		return time.Time{}
	}
	return w.Frames[w.end].At
}

// code is that of the error that ended the turn.
func (w *view) code() string {
	if w.end < 0 {
		return ""
	}
	return w.Frames[w.end].Code
}

func (w *view) workers() (list []string) {
	for _, c := range w.calls {
		list = append(list, c.Worker)
	}
	return list
}

// away tells whether the client went, was stopped, or asked anew elsewhere.
func (w *view) away() bool {
	return slices.Contains([]string{follow.Left, follow.Stopped, follow.Replaced}, w.GaveUp)
}

// judgeEnds: I1.
func (v *verdict) judgeEnds(w *view) {
	if !w.accepted() {
		return
	}
	v.checked["I1"]++
	ends, after := 0, 0
	for _, f := range w.Frames {
		if f.Ends(turnID) {
			ends++
		} else if ends > 0 && f.ID == turnID && f.For == "" {
			after++
		}
	}
	switch {
	case ends > 1:
		v.add("I1", w.N, w.ended(), "%d ends", ends)
	case after > 0:
		v.add("I1", w.N, w.ended(), "%d frames behind the end", after)
	case ends == 0 && !w.away() && !v.excused(w):
		v.add("I1", w.N, w.last(), "accepted, and no end; the client gave up: %s", cmp.Or(w.GaveUp, giveUpDeadline))
	}
}

// last is when the client heard something last.
func (w *view) last() time.Time {
	if len(w.Frames) == 0 {
		return w.Asked
	}
	return w.Frames[len(w.Frames)-1].At
}

// excused: an answer whose client may be told that it is gone. A run ends with
// its worker, and with its socket where the client wanted that. Without a look
// inside, the client's word counts: it was told, which is not silence.
func (v *verdict) excused(w *view) bool {
	if w.GaveUp != "RUN_NOT_FOUND" {
		return false
	}
	return w.Group.OnDisconnect == "cancel" || len(w.calls) == 0 ||
		v.disturbed(w.Asked, w.last().Add(follow.Silence), hits(w.workers()...))
}

// judgeOwner: I9.
func (v *verdict) judgeOwner(w *view) bool {
	for _, f := range w.Frames {
		text := f.Content + f.Text()
		if text == "" {
			continue
		}
		v.checked["I9"]++
		if other, found := w.Foreign(text); found {
			v.add("I9", w.N, f.At, "a %s holds text of %s", f.Type, other)
			return false
		}
	}
	return true
}

// judgeKeys: I6.
func (v *verdict) judgeKeys() {
	if len(v.Rules.Keys) == 0 {
		return
	}
	keys := canary.Spell(v.Rules.Keys)
	for _, s := range v.Sinks {
		v.checked["I6"]++
		if how, found := keys.In(s.Text); found {
			v.add("I6", 0, time.Time{}, "a key, %s, in %s", how, s.Name)
		}
	}
	for _, w := range v.views {
		for _, f := range w.Frames {
			v.checked["I6"]++
			if f.Key {
				v.add("I6", w.N, f.At, "a key in a %s", f.Type)
			}
		}
	}
	for _, what := range v.Strange {
		v.add("I6", 0, time.Time{}, "a request at the vendor that is not ours: %s", strings.TrimSpace(what))
	}
}

// judgeFloods: I7. While the limiter is away half as much again may pass.
func (v *verdict) judgeFloods() {
	if v.Rules.Messages == 0 {
		return // of a server that was not started here; a scenario may send floods all the same
	}
	most := func(first flood.Ask) int {
		if v.disturbed(first.Sent.Add(-v.Rules.Window), first.Sent.Add(v.Rules.Window), limiterAway) {
			return v.Rules.Messages + v.Rules.Messages/2
		}
		return v.Rules.Messages
	}
	for _, f := range v.Floods {
		v.checked["I7"] += len(f.Asks)
		if first, n := f.Beyond(v.Rules.Window, most); n > 0 {
			v.add("I7", 0, first.Sent, "%s admitted %d of a session within %s, the limit is %d", f.Gateway, n, v.Rules.Window, most(first))
		}
	}
}

// limiterAway tells whether a harm makes a gateway decide without its limiter, or
// forget its windows.
func limiterAway(h *harm) bool {
	return h.Verb == "inject" && strings.HasPrefix(h.Step.Inject, "limiter ") || h.Verb != "inject" && h.parts()
}

// judgeRest: I8.
func (v *verdict) judgeRest() {
	for _, now := range v.Settled {
		v.checked["I8"]++
		if now.Connections > 0 || now.Runs > 0 {
			v.add("I8", 0, time.Time{}, "%s has %d connections and %d runs at rest", now.Process, now.Connections, now.Runs)
		}
		for _, before := range v.Baselines {
			if before.Process == now.Process && before.Life == now.Life && grown(before, now) {
				v.add("I8", 0, time.Time{}, "%s: goroutines %d → %d, descriptors %d → %d", now.Process,
					before.Goroutines, now.Goroutines, before.Descriptors, now.Descriptors)
			}
		}
	}
}
