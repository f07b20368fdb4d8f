package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// table gathers the readings of all rounds. Rounds are numbered because a ratio
// compares the sides of one round.
type table struct {
	rows     []row
	rounds   []readings
	failed   map[string]error // by suite
	repeated []string         // what was measured anew, and why
}

func newTable(p plan) *table {
	return &table{rows: rows(p), failed: map[string]error{}}
}

// add takes what a side read in a round.
func (t *table) add(round int, got readings) {
	for len(t.rounds) <= round {
		t.rounds = append(t.rounds, readings{})
	}
	for k, v := range got {
		t.rounds[round][k] = v
	}
}

// fail notes that a suite did not come to its end.
func (t *table) fail(suite string, err error) {
	if t.failed[suite] == nil {
		t.failed[suite] = err
	}
}

// repeat notes that a measurement counted for nothing because of a refusal.
func (t *table) repeat(what string, why refusal) {
	t.repeated = append(t.repeated, what+" ("+why.code+")")
}

// of is the sum of these readings, in each round that has all of them.
func (t *table) of(keys ...key) []float64 {
	var out []float64
	for _, r := range t.rounds {
		if sum, ok := r.sum(keys); ok {
			out = append(out, sum)
		}
	}
	return out
}

func (r readings) sum(keys []key) (sum float64, ok bool) {
	for _, k := range keys {
		v, ok := r[k]
		if !ok {
			return 0, false
		}
		sum += v
	}
	return sum, len(keys) > 0
}

// compared is ours with its floor, by f, in each round that has both.
func (t *table) compared(r row, f func(ours, floor float64) float64) []float64 {
	var out []float64
	for _, round := range t.rounds {
		ours, ok := round[r.ours]
		if floor, both := round.sum(r.floor); ok && both {
			out = append(out, f(ours, floor))
		}
	}
	return out
}

// ratio is the median of the rounds' own ratios: what disturbed a round mostly
// disturbed both sides of it. ok is false where there is none.
func (t *table) ratio(r row) (ratio float64, ok bool) {
	ratios := t.compared(r, func(ours, floor float64) float64 {
		if ours == floor {
			return 1 // also of two zeros
		}
		return ours / floor
	})
	return median(ratios), len(ratios) > 0
}

// met judges one goal.
func (t *table) met(r row, g goal) bool {
	ratio, _ := t.ratio(r)
	ours := median(t.of(r.ours))
	switch {
	case g.times > 0:
		return ratio <= g.times
	case g.atLeast > 0:
		return ratio >= g.atLeast
	case g.most > 0:
		return ours <= g.most
	case g.least > 0:
		return ours >= g.least
	case g.below > 0:
		return ours < g.below
	}
	return median(t.compared(r, func(ours, floor float64) float64 { return ours - floor })) <= g.above
}

// says is a goal in words.
func (g goal) says(r row) string {
	switch {
	case g.times > 0:
		return fmt.Sprintf("≤ %.1f ×", g.times)
	case g.atLeast > 0:
		return fmt.Sprintf("≥ %.1f ×", g.atLeast)
	case g.most == writesSlack:
		return "≤ 1"
	case g.most > 0:
		return "≤ " + r.show(g.most)
	case g.least > 0:
		return "≥ " + r.show(g.least)
	case g.below > 0:
		return "< " + r.show(g.below)
	}
	return fmt.Sprintf("≤ %s more", r.show(g.above))
}

const missed = "missed"

func met(yes bool) string {
	if yes {
		return "met"
	}
	return missed
}

// verdict says which goals there are and whether each is met.
func (t *table) verdict(r row) string {
	var out []string
	for _, g := range r.goals {
		mark := met(t.met(r, g))
		if mark == missed {
			mark = "**" + mark + "**"
		}
		out = append(out, g.says(r)+" "+mark)
	}
	return strings.Join(out, ", ")
}

// score counts the goals that were judged, and those that are met.
func (t *table) score() (reached, judged int) {
	for _, r := range t.rows {
		if len(t.of(r.ours)) == 0 {
			continue
		}
		for _, g := range r.goals {
			judged++
			if t.met(r, g) {
				reached++
			}
		}
	}
	return reached, judged
}

// print writes the table and what failed.
func (t *table) print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| figure | troupe | floor | ratio | goal | least to most |\n|---|---:|---:|---:|---|---:|\n")
	for _, r := range t.rows {
		ours := t.of(r.ours)
		if len(ours) == 0 {
			continue // not chosen, or failed
		}
		floor, times := "", ""
		if values := t.of(r.floor...); len(values) > 0 {
			floor = r.show(median(values)) + " " + r.what
		}
		if ratio, ok := t.ratio(r); ok {
			times = fmt.Sprintf("%.2f ×", ratio)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.name, r.show(median(ours)), floor, times, t.verdict(r), t.span(r))
	}
	reached, judged := t.score()
	fmt.Fprintf(&b, "\n%d of %d goals met.", reached, judged)
	if len(t.repeated) > 0 {
		fmt.Fprintf(&b, "\n\nMeasured anew because questions were refused: %s.", strings.Join(t.repeated, ", "))
	}
	for _, s := range suites() {
		if err := t.failed[s.name]; err != nil {
			fmt.Fprintf(&b, "\n\n**%s failed**, its figures are missing or of fewer rounds: `%s`", s.name, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// span is what the rounds lie between, ours alone.
func (t *table) span(r row) string {
	ours := t.of(r.ours)
	if len(ours) < 2 {
		return ""
	}
	return r.show(slices.Min(ours)) + " to " + r.show(slices.Max(ours))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
