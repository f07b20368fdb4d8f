package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// boundMarks holds what is asked of single steps, refusals, metrics and logs.
func (v *verdict) boundMarks(r *Result) {
	x := &v.Plan.Expect
	var refusals []float64
	for i, w := range v.views {
		if r.Streams[i].Outcome == OutcomeRefused {
			refusals = append(refusals, float64(w.ended().Sub(w.Asked).Microseconds())/1000)
		}
	}
	s := spread(refusals)
	v.boundTime(r, fmt.Sprintf("refusals of %d, p99", s.Count), x.RefusedP99, s.P99, s.Count)
	v.boundRetryAfter(r)
	for _, f := range x.Figures {
		v.boundFigure(r, f)
	}
	for _, l := range x.Log {
		v.boundLog(r, l)
	}
	for _, h := range v.Harms {
		if h.Step != nil {
			v.boundStep(r, h)
		}
	}
}

// boundLeast is for what must have happened, or nothing was tried.
func (v *verdict) boundLeast(r *Result, name string, want, got int) {
	if want > 0 {
		v.bound(r, BoundResult{Name: name, Want: fmt.Sprintf("≥ %d", want), Got: fmt.Sprint(got), OK: got >= want, Visible: true})
	}
}

// boundRetryAfter: who is refused is told when to come back.
func (v *verdict) boundRetryAfter(r *Result) {
	for _, code := range v.Plan.Expect.RetryAfter {
		v.boundSaid(r, code, time.Second, func(_ *view, f *frame) bool { return f.Code == code })
	}
	for i := range v.Plan.Streams {
		if g := &v.Plan.Streams[i]; g.RetryAfter > 0 {
			v.boundSaid(r, g.Name, since(g.RetryAfter), func(w *view, _ *frame) bool { return w.Group.Name == g.Name })
		}
	}
}

func (v *verdict) boundSaid(r *Result, whose string, least time.Duration, meant func(*view, *frame) bool) {
	all, silent := 0, 0
	for _, w := range v.views {
		if w.end < 0 || w.Frames[w.end].Type != frames.Error || !meant(w, &w.Frames[w.end]) {
			continue
		}
		all++
		if time.Duration(w.Frames[w.end].RetryAfter)*time.Second < least {
			silent++
		}
	}
	v.bound(r, BoundResult{
		Name: whose + ": errors without a retry_after of " + least.String(), Want: "≤ 0", Got: fmt.Sprintf("%d of %d", silent, all), OK: silent == 0, Visible: all > 0,
	})
}

// boundFigure looks at the highest value that one process showed.
func (v *verdict) boundFigure(r *Result, f FigureMark) {
	high, seen := 0.0, false
	for _, s := range v.Sizes {
		if value, ok := s.Values[f.Name]; ok {
			high, seen = max(high, value), true
		}
	}
	b := BoundResult{Name: f.Name + ", at most", Got: fmt.Sprintf("%.0f", high), OK: true, Visible: seen}
	if f.Most != nil {
		b.Want, b.OK = fmt.Sprintf("≤ %.0f", *f.Most), high <= *f.Most
	}
	if f.Least != nil {
		b.Want = strings.TrimSpace(fmt.Sprintf("≥ %.0f %s", *f.Least, b.Want))
		b.OK = b.OK && high >= *f.Least
	}
	v.bound(r, b)
}

// boundLog counts lines of all logs.
func (v *verdict) boundLog(r *Result, l LogMark) {
	lines, logs := 0, 0
	for _, s := range v.Sinks {
		if !strings.HasSuffix(s.Name, ".log") {
			continue
		}
		logs++
		for line := range strings.Lines(s.Text) {
			if strings.Contains(line, l.Says) {
				lines++
			}
		}
	}
	if logs == 0 {
		return // of a server that was not started here
	}
	v.boundLeast(r, "lines with "+l.Says, l.Least, lines)
	if l.Most > 0 {
		v.boundCount(r, "lines with "+l.Says, &l.Most, lines)
	}
}

// boundStep holds one thing that was done to the marks of its step.
func (v *verdict) boundStep(r *Result, h *harm) {
	s := h.Step
	signs := spread(v.figures[h].signs)
	v.boundTime(r, h.Label+": first sign, p99", s.Told, signs.P99, signs.Count)
	if h.Unready > 0 {
		v.boundTime(r, h.Label+": not ready any more", s.NotReady, float64(h.Unready.Microseconds())/1000, 1)
	}
	if h.Verb == "inject" {
		v.boundLeast(r, h.Label+": hits", s.Hits, h.Hits)
	}
	if s.Memory != "" {
		v.boundMemory(r, h)
	}
}

// boundMemory: how much the processes that clients connect to grew while these
// clients were there, for each of them.
func (v *verdict) boundMemory(r *Result, h *harm) {
	most, err := sizeOf(h.Step.Memory)
	if err != nil { // which the check of the plan has seen
		return
	}
	before, high := map[string]float64{}, map[string]float64{}
	for _, s := range v.Sizes {
		switch {
		case strings.HasPrefix(s.Process, roleWorker):
		case s.At.Before(h.From):
			before[s.Process] = s.Resident
		case s.At.Before(h.To):
			high[s.Process] = max(high[s.Process], s.Resident)
		}
	}
	grown := 0.0
	for name, most := range high {
		grown += max(0, most-before[name])
	}
	each := grown / float64(max(1, h.Clients))
	v.bound(r, BoundResult{
		Name: h.Label + ": resident memory for each", Want: "≤ " + h.Step.Memory, Got: fmt.Sprintf("%.1f KiB", each/(1<<10)), OK: each <= most, Visible: len(before) > 0 && len(high) > 0,
	})
}
