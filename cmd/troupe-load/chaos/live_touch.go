package chaos

import (
	"maps"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// Bounds of what is shown while a run goes on.
const (
	liveFaults = 3
	liveTouch  = 4
	liveAfter  = 4 * time.Second // how long a turn is looked at behind its end: a fault may be known later
)

// watch finds who was touched while a run goes on, by the rules of the verdict. It
// looks at turns that are under way or have just ended, so that a long run costs no
// more than a short one; what it knows of older ones it remembers. It belongs to
// the goroutine that shows.
type watch struct {
	round  *round
	taken  int                  // of the book's turns
	open   []*turn              // still looked at
	ended  map[*turn]time.Time  // when they were first seen to be over
	meant  map[string]streamSet // by the id of a harm: whom it may touch
	struck map[string]streamSet // whom it has touched
	last   []LiveTouch          // the newest first
	known  streamSet            // those that are in last, or were
}

// streamSet holds numbers of streams.
type streamSet map[int]bool

func newWatch(r *round) *watch {
	return &watch{round: r, ended: map[*turn]time.Time{}, meant: map[string]streamSet{}, struck: map[string]streamSet{}, known: streamSet{}}
}

// look returns what was done last and who was touched last.
func (w *watch) look() ([]LiveFault, []LiveTouch) {
	harms := w.round.harmsNow()
	w.judge(harms, w.round.callsNow(w.since(harms)))
	var done []LiveFault
	for _, h := range harms {
		if h.Verb != "burn" {
			done = append(done, LiveFault{Label: h.Label, Touched: len(w.struck[h.ID]), Expected: len(w.meant[h.ID])})
		}
	}
	return done[max(0, len(done)-liveFaults):], slices.Clone(w.last)
}

// harmsNow copies what was done so far.
func (r *round) harmsNow() []*harm {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*harm, len(r.harms))
	for i, h := range r.harms {
		one := *h
		one.Streams = maps.Clone(h.Streams)
		all[i] = &one
	}
	return all
}

// callsNow are the vendor's calls that were open at a moment, or began later.
func (r *round) callsNow(since time.Time) []mimic.Call {
	if r.vendor == nil {
		return nil
	}
	return r.vendor.Since(since)
}

// since is the moment from which calls may still matter.
func (w *watch) since(harms []*harm) time.Time {
	from := time.Now().Add(-liveAfter)
	for _, h := range harms {
		if !h.over().Before(from) && h.From.Before(from) {
			from = h.From
		}
	}
	return from.Add(-tellingTakes)
}

// judge looks at the turns that are open.
func (w *watch) judge(harms []*harm, calls []mimic.Call) {
	b := w.round.book
	b.mu.Lock()
	defer b.mu.Unlock()
	w.open = append(w.open, b.turns[w.taken:]...)
	w.taken = len(b.turns)
	v := newVerdict(&evidence{Plan: w.round.plan, Rules: w.round.rules, Began: w.round.began, Turns: w.open, Harms: harms, Calls: calls})
	v.spent = map[*harm]map[int]bool{}
	for _, one := range v.views {
		w.judgeTurn(v, one)
	}
	w.open = slices.DeleteFunc(w.open, w.past)
}

// past tells whether nothing more is to be learned of a turn.
func (w *watch) past(t *turn) bool {
	if !t.Done {
		return false
	}
	at, seen := w.ended[t]
	if !seen {
		w.ended[t] = time.Now()
		return false
	}
	if time.Since(at) < liveAfter {
		return false
	}
	delete(w.ended, t)
	return true
}

func (w *watch) judgeTurn(v *verdict, one *view) {
	for _, h := range v.Harms {
		if v.expects(h, one) {
			put(w.meant, h.ID, one.N)
		}
	}
	list := v.touches(one)
	if len(list) == 0 {
		return
	}
	v.explain(one, list)
	for _, t := range list {
		if t.harm != nil {
			put(w.struck, t.harm.ID, one.N)
		}
	}
	w.show(one.N, list[len(list)-1])
}

// show puts a stream in front where it is not there yet, and says of one that is
// what is known now.
func (w *watch) show(n int, t touch) {
	shown := LiveTouch{Stream: n, What: t.kind}
	if t.harm != nil {
		shown.Fault = t.harm.Label
	}
	if i := slices.IndexFunc(w.last, func(l LiveTouch) bool { return l.Stream == n }); i >= 0 {
		w.last[i] = shown
		return
	}
	if w.known[n] {
		return
	}
	w.known[n] = true
	w.last = slices.Insert(w.last, 0, shown)
	w.last = w.last[:min(len(w.last), liveTouch)]
}

func put(sets map[string]streamSet, id string, n int) {
	if sets[id] == nil {
		sets[id] = streamSet{}
	}
	sets[id][n] = true
}
