package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// judgeBounds holds the figures against the pass marks of the plan.
func (v *verdict) judgeBounds(r *Result) {
	x := &v.Plan.Expect
	r.Bounds = []BoundResult{}
	v.boundTime(r, "terminal p99", x.TerminalP99, r.Terminal.P99, r.Terminal.Count)
	v.boundTime(r, "terminal max", x.TerminalMax, r.Terminal.Max, r.Terminal.Count)
	v.boundRecovery(r, x.Recovery)
	losses, newRuns := 0, 0
	for i := range r.Streams {
		losses += len(r.Streams[i].Losses)
		for _, t := range r.Streams[i].Touches {
			if t.Kind == TouchNewRun {
				newRuns++
			}
		}
	}
	v.boundCount(r, "sockets lost", x.Losses, losses)
	v.boundCount(r, "questions that changed their worker", x.NewRuns, newRuns)
	v.boundLeast(r, "questions that changed their worker", x.Moved, newRuns)
	refused := 0
	for _, n := range r.Totals.Refused {
		refused += n
	}
	v.boundCount(r, "questions refused", x.Refused, refused)
	v.boundComplete(r, "complete", x.Complete, func(*StreamResult) bool { return true })
	v.boundComplete(r, "complete, of those taken on", x.Answered, func(s *StreamResult) bool { return s.Outcome != OutcomeRefused && s.Outcome != OutcomeReplaced })
	v.boundClears(r, x.Clears)
	v.boundClearsGrace(r, x.ClearsGrace)
	v.boundTold(r)
	v.boundCalls(r, x.Calls)
	poisoned := 0
	for _, h := range v.Harms {
		if h.Poison {
			poisoned++
		}
	}
	v.boundCount(r, "processes that poison ended", x.Kills, poisoned)
	v.boundGone(r)
	v.boundGrowth(r, x.GapGrowth)
	for i := range x.Metrics {
		v.boundMetric(r, &x.Metrics[i])
	}
	v.boundMarks(r)
}

// bound notes one pass mark; a missed one is a breach.
func (v *verdict) bound(r *Result, b BoundResult) {
	r.Bounds = append(r.Bounds, b)
	if b.Visible && !b.OK {
		v.add(ruleBound, 0, time.Time{}, "%s: %s, wanted %s", b.Name, b.Got, b.Want)
	}
}

func millis(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond).String()
}

func (v *verdict) boundTime(r *Result, name string, want scenario.Duration, got float64, count int) {
	if want == 0 {
		return
	}
	b := BoundResult{Name: name, Want: "≤ " + want.String(), Got: "nothing to measure", OK: true}
	if count > 0 {
		b.Visible, b.Got, b.OK = true, millis(got), got <= float64(since(want))/float64(time.Millisecond)
	}
	v.bound(r, b)
}

func (v *verdict) boundRecovery(r *Result, want scenario.Duration) {
	if want == 0 {
		return
	}
	slowest, count, never := 0.0, 0, ""
	for i, f := range r.Faults {
		if _, judged := v.Harms[i].recovers(); !judged {
			continue
		}
		count++
		if f.Recovery == nil {
			never = f.Label
		} else {
			slowest = max(slowest, *f.Recovery)
		}
	}
	if never != "" {
		v.bound(r, BoundResult{Name: "recovery", Want: "≤ " + want.String(), Got: "no new question was answered after " + never, Visible: true})
		return
	}
	v.boundTime(r, "recovery", want, slowest, count)
}

func (v *verdict) boundCount(r *Result, name string, want *int, got int) {
	if want != nil {
		v.bound(r, BoundResult{Name: name, Want: fmt.Sprintf("≤ %d", *want), Got: fmt.Sprint(got), OK: got <= *want, Visible: true})
	}
}

// boundComplete counts only streams that were not asked to fail, and that count.
func (v *verdict) boundComplete(r *Result, name string, want float64, counts func(*StreamResult) bool) {
	if want == 0 {
		return
	}
	all, complete := 0, 0
	for i, w := range v.views {
		if w.Group.Broken || !w.Left.IsZero() || r.Streams[i].Outcome == OutcomeUnfinished || !counts(&r.Streams[i]) {
			continue
		}
		all++
		if o := r.Streams[i].Outcome; o == OutcomeComplete || o == OutcomeCancelled {
			complete++
		}
	}
	got := float64(complete) / float64(max(1, all))
	v.bound(r, BoundResult{Name: name, Want: fmt.Sprintf("≥ %.2f %%", 100*want), Got: fmt.Sprintf("%.2f %% of %d", 100*got, all), OK: got >= want, Visible: all > 0})
}

// boundTold: groups whose model fails, from the last sign of it to the end.
func (v *verdict) boundTold(r *Result) {
	for i := range v.Plan.Streams {
		g := &v.Plan.Streams[i]
		if g.ToldWithin == 0 {
			continue
		}
		var waits []float64
		for _, w := range v.views {
			if w.Group == g && w.end >= 0 {
				waits = append(waits, float64(w.ended().Sub(w.lastSign()).Microseconds())/1000)
			}
		}
		s := spread(waits)
		v.boundTime(r, g.Name+": told, p99", g.ToldWithin, s.P99, s.Count)
	}
}

// boundCalls: how often the vendor was asked for each question of a stream.
func (v *verdict) boundCalls(r *Result, want float64) {
	if want == 0 {
		return
	}
	calls, questions := 0, 0
	for _, w := range v.views {
		if w.accepted() {
			questions++
			calls += len(w.calls)
		}
	}
	got := float64(calls) / float64(max(1, questions))
	v.bound(r, BoundResult{Name: "vendor calls for each question", Want: fmt.Sprintf("≤ %.2f", want), Got: fmt.Sprintf("%.3f of %d", got, questions), OK: got <= want, Visible: questions > 0 && v.Rules.Own})
}

// boundGone: how long a process took to end.
func (v *verdict) boundGone(r *Result) {
	for _, h := range v.Harms {
		if h.Step != nil && h.Step.Ends > 0 && h.Gone > 0 {
			v.boundTime(r, h.Label+": it ended", h.Step.Ends, float64(h.Gone.Microseconds())/1000, 1)
		}
	}
}

// growthSlack is what p99 of gaps may grow on any machine.
const growthSlack = 10 // ms

// boundGrowth compares the gaps of untouched streams while things were done with
// those before.
func (v *verdict) boundGrowth(r *Result, want float64) {
	if want == 0 {
		return
	}
	var before, during []float64
	for i, w := range v.views {
		if r.Streams[i].Touched || w.Group.Broken {
			continue
		}
		for _, g := range w.Gaps {
			at := v.Began.Add(time.Duration(float64(g.At) * float64(time.Second)))
			switch {
			case slices.ContainsFunc(v.Harms, func(h *harm) bool { return !at.Before(h.From) && at.Before(h.To) }):
				during = append(during, float64(g.Gap))
			case !slices.ContainsFunc(v.Harms, func(h *harm) bool { return at.After(h.From) }):
				before = append(before, float64(g.Gap))
			}
		}
	}
	b, d := spread(before), spread(during)
	most := b.P99*(1+want) + growthSlack
	v.bound(r, BoundResult{
		Name: "gap p99 of untouched streams", Want: "≤ " + millis(most), Got: fmt.Sprintf("%s, before %s", millis(d.P99), millis(b.P99)),
		OK: d.P99 <= most, Visible: b.Count > 0 && d.Count > 0,
	})
}

// boundMetric: a figure follows a step, on every process that shows it.
func (v *verdict) boundMetric(r *Result, m *MetricMark) {
	for _, h := range v.Harms {
		if h.Index != m.Step {
			continue
		}
		from := latest(h.From, h.First) // nothing can show before somebody was hit
		up := v.turnsTo(m.Name, m.Value, from, h.To, h.Targets)
		down := v.turnsTo(m.Name, m.Rest, h.To, v.Ended.Add(time.Minute), h.Targets)
		v.metricBound(r, fmt.Sprintf("%s = %g after %s began", m.Name, m.Value, h.Label), m.Within, up)
		v.metricBound(r, fmt.Sprintf("%s = %g after it ended", m.Name, m.Rest), m.Back, down)
	}
}

// change is when a metric was first read with a value, counted from a moment: it
// came to it after not, and by at. at is what bounds are held to.
type change struct {
	not, at time.Duration
	never   bool
}

func (v *verdict) metricBound(r *Result, name string, want scenario.Duration, got change) {
	if want == 0 {
		return
	}
	b := BoundResult{Name: name, Want: "≤ " + want.String(), Got: "nothing to measure", OK: true} // a server that was not started here
	switch {
	case len(v.Sizes) == 0:
	case got.never:
		b.Visible, b.OK, b.Got = true, false, "never"
	default:
		b.Visible, b.OK = true, got.at <= since(want)
		b.Got = fmt.Sprintf("%s, not yet after %s", got.at.Round(100*time.Microsecond), got.not.Round(100*time.Microsecond))
	}
	v.bound(r, b)
}

// turnsTo is how long after a moment a metric first has a value at one of the
// processes.
func (v *verdict) turnsTo(name string, value float64, from, to time.Time, targets []string) (c change) {
	everybody := slices.Contains(targets, memberNATS) // which shows nothing itself
	for _, s := range v.Sizes {
		if !s.At.After(from) || !s.At.Before(to) || !everybody && !slices.Contains(targets, s.Process) {
			continue
		}
		if c.at = s.At.Sub(from); s.Values[name] == value {
			return c
		}
		c.not = c.at
	}
	c.never = true
	return c
}
