package chaos

import (
	"fmt"
	"slices"
	"time"
)

// judgeRun makes the result: it judges, sums up, and tries the oracle itself.
func judgeRun(e *evidence, b *book) *Result {
	v := judge(e)
	r := &Result{Schema: ResultSchema, Began: e.Began, Length: e.ms(time.Now()), Streams: []StreamResult{}, Unseen: append([]string{}, e.Unseen...), Breaches: []Breach{}}
	v.judgeStreams(r)
	v.judgeHarms(r)
	v.total(r)
	v.judgeBounds(r)
	v.judgeSlopes(r)
	v.judgeTool()
	controls, said := tryControls(e)
	r.Controls = controls
	for _, p := range r.Controls.Problems {
		v.add(ruleTool, 0, time.Time{}, "a negative control was not seen: %s", p)
	}
	v.sumUp(r, said)
	r.Seconds = v.seconds(b)
	r.Breaches = append(r.Breaches, v.breaches...)
	r.Green = len(r.Breaches) == 0
	r.thin()
	return r
}

// judgeTool: a tool that lost a part must not call anything green.
func (v *verdict) judgeTool() {
	for _, text := range v.Wrong {
		v.add(ruleTool, 0, time.Time{}, "%s", text)
	}
	for _, text := range v.Dead {
		v.add(ruleProcess, 0, time.Time{}, "%s", text)
	}
}

// total counts streams by what came of them.
func (v *verdict) total(r *Result) {
	t := &r.Totals
	t.Errors, t.Refused = map[string]int{}, map[string]int{}
	var gaps []float64
	for i := range r.Streams {
		s := &r.Streams[i]
		t.Asked++
		t.Chunks += s.Chunks
		switch s.Outcome {
		case OutcomeComplete:
			t.Complete++
		case OutcomeCancelled:
			t.Cancelled++
		case OutcomeError:
			t.Errors[s.Code]++
		case OutcomeRefused:
			t.Refused[s.Code]++
		case OutcomeLost:
			t.Lost++
		case OutcomeUnfinished:
			t.Unfinished++
		}
		for _, l := range s.Losses {
			if l.Back != nil {
				t.Resumed++
			}
		}
		if s.Touched {
			t.Touched++
			continue
		}
		t.Untouched++
		for _, g := range v.views[i].Gaps {
			gaps = append(gaps, float64(g.Gap))
		}
	}
	t.GapP99 = spread(gaps).P99
}

// sumUp tells of each invariant how often it was looked at, and what the control
// said. What was never looked at is not green.
func (v *verdict) sumUp(r *Result, said map[string]string) {
	for _, i := range invariants() {
		out := InvariantResult{ID: i[0], About: i[1], Checked: v.checked[i[0]], Control: said[i[0]]}
		out.Visible = out.Checked > 0
		if !out.Visible {
			out.Why = "not visible here: " + v.blindness(i[0])
		}
		for _, b := range v.breaches {
			if b.Rule == i[0] {
				out.Breaches++
				if out.Example == "" {
					out.Example = fmt.Sprintf("stream %d: %s", b.Stream, b.What)
				}
			}
		}
		r.Invariants = append(r.Invariants, out)
	}
}

func (v *verdict) blindness(invariant string) string {
	switch invariant {
	case "I1", "I2", "I9":
		return "no stream came so far"
	}
	if v.Rules.Own {
		return "nothing could be read of it in this run"
	}
	switch invariant {
	case "I4", "I5":
		return "only the tool's own vendor counts calls, and it is there where the tool starts the server"
	case "I3", "I8":
		return "the tool compares only processes that it started, for a server that others use never rests"
	case "I6":
		return "keys are planted only where the tool starts the server"
	}
	return "the limits are known only where the tool starts the server"
}

// seconds is the run second by second.
func (v *verdict) seconds(b *book) []SecondResult {
	n := int(v.Ended.Sub(v.Began)/time.Second) + 1
	out := make([]SecondResult, n)
	for i := range out {
		if s := b.seconds[i]; s != nil {
			out[i] = *s
		}
		out[i].At = float64(i) * 1000
		end := v.Began.Add(time.Duration(i+1) * time.Second)
		out[i].Sockets = v.socketsAt(end)
	}
	for _, w := range v.views {
		from, to := w.Asked, w.ended()
		if to.IsZero() {
			to = w.last()
		}
		for i := max(0, int(from.Sub(v.Began)/time.Second)); i < n && v.Began.Add(time.Duration(i+1)*time.Second).Before(to); i++ {
			out[i].Live++
		}
		if list := v.touches(w); len(list) > 0 {
			if i := int(list[0].at.Sub(v.Began) / time.Second); i >= 0 && i < n {
				out[i].Touched++
			}
		}
	}
	return out
}

// socketsAt is what the nearest sample before a moment knew.
func (v *verdict) socketsAt(at time.Time) (n int) {
	i, _ := slices.BinarySearchFunc(v.Samples, at, func(s sample, t time.Time) int { return s.At.Compare(t) })
	if i == 0 {
		return 0
	}
	for _, k := range v.Samples[i-1].Sockets {
		n += k
	}
	return n
}

// mostStreamsKept bounds what a result lists; touched streams are kept first.
const mostStreamsKept = 20_000

// thin takes untouched streams out of the list of a long run. Totals count them.
func (r *Result) thin() {
	if len(r.Streams) <= mostStreamsKept {
		return
	}
	all, kept := len(r.Streams), 0
	r.Streams = slices.DeleteFunc(r.Streams, func(s StreamResult) bool {
		if s.Touched || kept < mostStreamsKept {
			kept++
			return false
		}
		return true
	})
	r.Unseen = append(r.Unseen, fmt.Sprintf("the list of streams holds %d of %d: the touched ones, and the first of the others", len(r.Streams), all))
}

// describe fills in what the run knows and the evidence does not.
func (r *round) describe(out *Result) {
	out.Tool, out.Scenario, out.About, out.FaultID = r.o.Tool, r.plan.Name, r.plan.About, r.plan.Fault
	out.Start, out.Seed, out.Quick, out.Replay = r.plan.Start, r.o.Seed, r.o.Quick, r.o.Replay
	if r.o.URL != "" {
		out.Start = r.o.URL
	}
	out.Members = []MemberResult{}
	for _, m := range r.members {
		out.Members = append(out.Members, MemberResult{Name: m.Name, Starts: m.Life()})
	}
}
