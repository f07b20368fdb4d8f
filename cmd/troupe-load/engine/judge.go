package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// judge decides what passed. Promises about order, loss, text and ends count in
// the warm-up too. stranded are questions that were asked of nobody.
func judge(s *scenario.Scenario, r *report.Result, all *counters, stranded int64, cutShort bool) []report.Check {
	checks := []report.Check{
		none(breachOrder, all.breachOrder, "chunks in order, each once", "chunks out of order or twice"),
		none(breachLoss, all.breachLoss, "no chunk missing", "gaps in what was said"),
		none(breachText, all.breachText, "every answer is its chunks, and what was asked for", "answers that are not their chunks, or not what was asked for"),
		ends(s, r, all, all.active+stranded, cutShort),
	}
	if s.Checks.MaxErrors != nil {
		checks = append(checks, errorCheck(s, r))
	}
	for _, q := range []struct {
		name  string
		marks map[string]scenario.Duration
		value func(report.Latency) float64
	}{
		{"p50", s.Checks.P50, func(l report.Latency) float64 { return l.P50 }},
		{"p90", s.Checks.P90, func(l report.Latency) float64 { return l.P90 }},
		{"p99", s.Checks.P99, func(l report.Latency) float64 { return l.P99 }},
		{"p999", s.Checks.P999, func(l report.Latency) float64 { return l.P999 }},
		{"max", s.Checks.Max, func(l report.Latency) float64 { return l.Max }},
	} {
		for _, name := range slices.Sorted(maps.Keys(q.marks)) {
			checks = append(checks, mark(q.name, name, q.marks[name], r, q.value))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(s.Checks.AtLeast)) {
		checks = append(checks, atLeast(what, s.Checks.AtLeast[what], r))
	}
	return checks
}

func none(name string, n int64, good, bad string) report.Check {
	if n == 0 {
		return report.Check{Name: name, OK: true, Detail: good}
	}
	return report.Check{Name: name, Detail: fmt.Sprintf("%d × %s", n, bad)}
}

// ends judges the ends. open are the questions without one, whenever they were
// asked: a server that never answers is asked in the warm-up alone. A run that
// somebody cut short waited for none. Whoever allows timeouts expects answers that
// never end.
func ends(s *scenario.Scenario, r *report.Result, all *counters, open int64, cutShort bool) report.Check {
	var bad []string
	if all.breachEnds > 0 {
		bad = append(bad, fmt.Sprintf("%d frames of answers that were over", all.breachEnds))
	}
	if all.timedOut > 0 && !slices.Contains(s.Checks.Allow, codeTimeout) {
		bad = append(bad, fmt.Sprintf("%d questions without an end within %s", all.timedOut, s.Timeouts.Answer))
	}
	if open > 0 && !cutShort {
		bad = append(bad, fmt.Sprintf("%d questions without an end", open))
	}
	if len(bad) > 0 {
		return report.Check{Name: breachEnds, Detail: strings.Join(bad, ", ")}
	}
	detail := fmt.Sprintf("%d questions, each with exactly one end", r.Totals.Questions-r.Totals.Unfinished)
	if cutShort {
		detail += fmt.Sprintf("; %d were under way when the run was ended", open)
	}
	return report.Check{Name: breachEnds, OK: true, Detail: detail}
}

func errorCheck(s *scenario.Scenario, r *report.Result) report.Check {
	var n int64
	var codes []string
	for _, e := range r.Errors {
		if !slices.Contains(s.Checks.Allow, e.Code) {
			n += e.Count
			codes = append(codes, fmt.Sprintf("%s %d", e.Code, e.Count))
		}
	}
	detail := fmt.Sprintf("%d, %d allowed", n, *s.Checks.MaxErrors)
	if len(codes) > 0 {
		detail += ": " + strings.Join(codes[:min(len(codes), 5)], ", ")
	}
	return report.Check{Name: "errors", OK: n <= *s.Checks.MaxErrors, Detail: detail}
}

func mark(quantile, name string, bound scenario.Duration, r *report.Result, value func(report.Latency) float64) report.Check {
	check := report.Check{Name: quantile + " " + name}
	l, ok := r.Latencies[name]
	if !ok {
		check.Detail = "nothing of this kind was measured"
		return check
	}
	got := value(l)
	check.OK = got <= float64(bound)/1e9
	check.Detail = fmt.Sprintf("%s, at most %s", short(got), bound)
	return check
}

func atLeast(what string, bound float64, r *report.Result) report.Check {
	got := map[string]float64{
		"questions":   perSecond(r.Totals.Questions, r),
		"completed":   perSecond(r.Totals.Answered, r),
		"frames":      perSecond(r.Totals.Frames, r),
		"chunks":      perSecond(r.Totals.Chunks, r),
		"connections": perSecond(r.Totals.Connected, r),
	}[what]
	return report.Check{
		Name: what + " a second", OK: got >= bound,
		Detail: fmt.Sprintf("%.1f, at least %.1f", got, bound),
	}
}
