package chaos

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// outcome is what came of a turn, with the code of an error.
func (v *verdict) outcome(w *view) (what, code string) {
	if w.end >= 0 {
		switch f := w.Frames[w.end]; {
		case f.Type == frames.Complete:
			return OutcomeComplete, ""
		case f.Type == frames.Cancelled:
			return OutcomeCancelled, ""
		case !w.accepted():
			return OutcomeRefused, f.Code
		default:
			return OutcomeError, f.Code
		}
	}
	switch w.GaveUp {
	case follow.Left:
		return OutcomeLeft, ""
	case follow.Replaced:
		return OutcomeReplaced, ""
	case follow.Stopped, giveUpDeadline, "":
		if v.Aborted {
			return OutcomeUnfinished, ""
		}
		return OutcomeLost, ""
	}
	return OutcomeError, w.GaveUp
}

// judgeStreams finds who was touched by what, and whether ends are as allowed.
func (v *verdict) judgeStreams(r *Result) {
	v.spent = map[*harm]map[int]bool{}
	v.figures = map[*harm]*figure{}
	for _, h := range v.Harms {
		v.figures[h] = &figure{}
	}
	for _, w := range v.views {
		s := v.stream(w)
		list := v.touches(w)
		v.explain(w, list)
		v.weigh(w, &s, list)
		v.judgeOutcome(w, &s)
		r.Streams = append(r.Streams, s)
	}
}

// stream is the turn as the result tells it.
func (v *verdict) stream(w *view) StreamResult {
	s := StreamResult{N: w.N, Group: w.Group.Name, Client: w.Client, Asked: v.ms(w.Asked), First: v.moment(w.First), End: v.moment(w.ended()), Chunks: w.Chunks}
	s.Outcome, s.Code = v.outcome(w)
	if len(w.Sockets) > 0 && v.Rules.Own {
		s.Gateway = w.Sockets[0].Gateway
	}
	if len(w.calls) > 0 {
		s.Worker = w.calls[len(w.calls)-1].Worker
	}
	for _, f := range w.Frames {
		s.RunID = cmp.Or(f.RunID, s.RunID)
	}
	for i, k := range w.Sockets {
		if k.Own || k.Closed.IsZero() || w.saidGoodbye(k) {
			continue
		}
		loss := LossResult{At: v.ms(k.Closed), Why: k.Why}
		if j := slices.IndexFunc(w.Frames, func(f frame) bool { return f.Socket > i }); j >= 0 {
			loss.Back = v.moment(w.Frames[j].At)
		}
		s.Losses = append(s.Losses, loss)
	}
	for _, g := range w.Silences {
		s.Gaps = append(s.Gaps, GapResult{v.ms(g.From), v.ms(g.To)})
	}
	return s
}

// moment is nil for the zero time.
func (e *evidence) moment(at time.Time) *float64 {
	if at.IsZero() {
		return nil
	}
	ms := e.ms(at)
	return &ms
}

// figure gathers what came of one harm.
type figure struct {
	expected, touched, beyond int
	waits                     []float64 // to the word, in milliseconds
	signs                     []float64 // to the first thing that a client saw, likewise
}

// weigh notes who was touched and who should have been.
func (v *verdict) weigh(w *view, s *StreamResult, list []touch) {
	for _, h := range v.Harms {
		if h.Verb == "streams" && h.Group == w.Group && len(list) > 0 {
			v.figures[h].touched++
		}
		if v.expects(h, w) {
			v.figures[h].expected++
			s.Expected = true
		}
	}
	counted := map[*harm]bool{}
	for _, t := range list {
		s.Touched = true
		out := TouchResult{At: v.ms(t.at), Kind: t.kind}
		if t.harm == nil {
			v.add(ruleUntouched, w.N, t.at, "%s %s, and no fault was meant for it", describeTouch(t.kind), s.Code)
			for _, h := range v.Harms {
				if v.within(h, &t) {
					v.figures[h].beyond++
				}
			}
			s.Touches = append(s.Touches, out)
			continue
		}
		out.Fault = t.harm.ID
		s.Touches = append(s.Touches, out)
		f := v.figures[t.harm]
		if counted[t.harm] {
			continue
		}
		counted[t.harm] = true
		if t.harm.Verb != "streams" { // which is counted above
			f.touched++
		}
		if from := v.base(t.harm, w); !t.told.IsZero() && t.harm.Verb != "clients" {
			f.waits = append(f.waits, float64(t.told.Sub(from).Microseconds())/1000)
			f.signs = append(f.signs, float64(t.at.Sub(from).Microseconds())/1000)
		}
	}
}

func describeTouch(kind string) string {
	switch kind {
	case TouchSocket:
		return "lost its socket"
	case TouchNewRun:
		return "changed its worker"
	case TouchGap:
		return "heard nothing for too long"
	}
	return "was told an error"
}

// base is the moment from which a client waits for a word: its own hit, the last
// sign of a vendor that fails, or the beginning of the harm.
func (v *verdict) base(h *harm, w *view) time.Time {
	if at, ok := h.Streams[w.N]; ok {
		return at
	}
	if h.Verb == "streams" {
		return w.lastSign()
	}
	return latest(h.From, w.Asked)
}

// lastSign is the last chunk, or the question where none came.
func (w *view) lastSign() time.Time {
	if w.Last.IsZero() {
		return w.Asked
	}
	return w.Last
}

// judgeOutcome holds the end of a turn against what is allowed.
func (v *verdict) judgeOutcome(w *view, s *StreamResult) {
	if s.Outcome == OutcomeLost {
		v.add(ruleLost, w.N, w.last(), "neither an answer nor a reason, %s after the question", w.last().Sub(w.Asked).Round(time.Millisecond))
		return
	}
	if s.Outcome == OutcomeUnfinished || s.Outcome == OutcomeLeft || s.Outcome == OutcomeReplaced {
		return
	}
	allowed := w.Group.Ends
	switch {
	case len(allowed) > 0:
	case w.end >= 0 && s.Outcome == OutcomeCancelled && !w.Stopped.IsZero(), s.Outcome == OutcomeComplete:
		return
	case len(v.Plan.Expect.Ends) > 0 && s.Touched:
		allowed = v.Plan.Expect.Ends
	default:
		return // untouched and not complete is a breach already; touched may end as it likes
	}
	if !slices.Contains(allowed, cmp.Or(s.Code, s.Outcome)) {
		v.add(ruleOutcome, w.N, w.last(), "ended %s %s; allowed is %v", s.Outcome, s.Code, allowed)
	}
}

// spread sums up durations in milliseconds.
func spread(ms []float64) Spread {
	if len(ms) == 0 {
		return Spread{}
	}
	slices.Sort(ms)
	at := func(p float64) float64 { return ms[int(math.Ceil(p*float64(len(ms))))-1] }
	return Spread{Count: len(ms), P50: at(0.5), P99: at(0.99), Max: ms[len(ms)-1]}
}

// judgeHarms sums up what came of each thing that was done.
func (v *verdict) judgeHarms(r *Result) {
	var all []float64
	r.Faults = []FaultResult{}
	for _, h := range v.Harms {
		f := v.figures[h]
		out := FaultResult{
			ID: h.ID, Label: h.Label, Kind: h.Verb, Target: h.Target, From: v.ms(h.From), To: v.ms(h.To), Hits: h.Hits, Who: h.Who,
			Expected: f.expected, Touched: f.touched, Beyond: f.beyond, Must: h.must(), Terminal: spread(f.waits), Note: h.Note,
		}
		if h.Verb == "streams" {
			out.To = v.ms(v.Ended)
		} else {
			all = append(all, f.waits...)
		}
		if h.Who == TouchesHits && h.Spare > 0 {
			out.Expected = -1
			r.Unseen = appendOnce(r.Unseen, "whose actors were hit: the server does not tell for all hits, so touched streams are counted against hits")
		}
		if since, ok := h.recovers(); ok {
			out.Recovery = v.recovery(since)
		}
		if out.Must && f.touched == 0 {
			v.add(ruleMust, 0, h.From, "%s touched nobody: nothing was tried", h.Label)
		}
		r.Faults = append(r.Faults, out)
	}
	r.Terminal = spread(all)
}

func appendOnce(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func (h *harm) must() bool {
	return h.Step != nil && h.Step.Must || h.Verb == "streams" && !slices.Contains(h.Group.Ends, OutcomeComplete)
}

// recovers is the moment from which recovery counts: the end of what stopped
// everything, the beginning of what others make good.
func (h *harm) recovers() (time.Time, bool) {
	switch {
	case h.Verb == "clients" && h.Step.Recovers:
		return h.To, true
	case h.Verb == "streams" || h.Verb == "clients" || h.Verb == "burn":
		return time.Time{}, false
	case h.Who == TouchesAll || h.Verb == "inject":
		return h.To, true
	}
	return h.From, true
}

// recovery is from a moment to the end of the first question that was asked after
// it and answered.
func (v *verdict) recovery(from time.Time) *float64 {
	var first time.Time
	for _, p := range v.Probes {
		if p.OK && !p.Asked.Before(from) && (first.IsZero() || p.Done.Before(first)) {
			first = p.Done
		}
	}
	if first.IsZero() {
		return nil
	}
	ms := float64(first.Sub(from).Microseconds()) / 1000
	return &ms
}
