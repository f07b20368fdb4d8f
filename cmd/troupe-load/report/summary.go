package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Summary writes what there is to say at the end of a run, on one screen, the
// verdict first. An error is w's.
func Summary(w io.Writer, r *Result) error {
	var b strings.Builder
	passed, text := verdict(r)
	mark := "✓ "
	if !passed {
		mark = "✗ "
	}
	fmt.Fprintf(&b, "%s%s: %s against %s for %s\n", mark, text, clean(r.Scenario), clean(r.Target.URL), span(ofSeconds(r.Seconds)))
	for _, line := range warnings(r) {
		fmt.Fprintf(&b, "! %s\n", line)
	}
	writeChecks(&b, r.Checks)
	b.WriteString("\n")
	for _, line := range wrap(told(r.Totals, true), 79, 2) {
		b.WriteString(line + "\n")
	}
	if r.Seconds > 0 {
		fmt.Fprintf(&b, "%s frames/s, %s questions/s, %s/s\n",
			rate(float64(r.Totals.Frames)/r.Seconds), rate(float64(r.Totals.Questions)/r.Seconds), size(float64(r.Totals.Bytes)/r.Seconds))
	}
	writeErrors(&b, r.Errors)
	writeLatencies(&b, r.Latencies)
	b.WriteString("\n")
	writeCost(&b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is what the checks come to, in a few words.
func verdict(r *Result) (passed bool, text string) {
	failed := 0
	for _, c := range r.Checks {
		if !c.OK {
			failed++
		}
	}
	switch {
	case failed > 0:
		return false, fmt.Sprintf("FAILED %d of %s", failed, some(int64(len(r.Checks)), "check", "checks"))
	case len(r.Checks) == 0:
		return true, "DONE, with no checks"
	default:
		return true, "PASSED " + some(int64(len(r.Checks)), "check", "checks")
	}
}

// warnings are what makes a run's figures doubtful.
func warnings(r *Result) (lines []string) {
	if r.Load.Saturated {
		lines = append(lines, "this tool itself was the bottleneck: "+cmp.Or(clean(r.Load.Why), "it was too busy")+"; the figures say little about the server")
	}
	if r.Totals.Late > 0 && !r.Load.Saturated {
		lines = append(lines, some(r.Totals.Late, "question was", "questions were")+" begun more than 10 ms late by this tool")
	}
	return lines
}

// writeChecks writes failed checks in full, and the names of the others.
func writeChecks(b *strings.Builder, checks []Check) {
	var fine []string
	for _, c := range checks {
		if c.OK {
			fine = append(fine, clean(c.Name))
			continue
		}
		fmt.Fprintf(b, "  ✗ %s: %s\n", clean(c.Name), clean(c.Detail))
	}
	for i, line := range wrap(fine, 75, 0) {
		mark := "✓"
		if i > 0 {
			mark = " "
		}
		fmt.Fprintf(b, "  %s %s\n", mark, line)
	}
}

func writeLatencies(b *strings.Builder, latencies map[string]Latency) {
	names := measured(latencies)
	if len(names) == 0 {
		return
	}
	row := func(label string, cells ...string) {
		b.WriteString(padRight(fit(label, labels-1), labels))
		for _, c := range cells {
			b.WriteString(padLeft(c, 11))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	row("latency", "p50", "p90", "p99", "p99.9", "max", "count")
	for _, name := range names {
		l := latencies[name]
		row(title(name), latency(l.P50), latency(l.P90), latency(l.P99), latency(l.P999), latency(l.Max), count(l.Count))
	}
}

func writeErrors(b *strings.Builder, errors []ErrorCount) {
	for i, e := range errors {
		if i == shown {
			fmt.Fprintf(b, "and %s\n", some(int64(len(errors)-shown), "other code", "other codes"))
			return
		}
		line := clean(e.Code) + " " + count(e.Count)
		if e.Example != "" {
			line += ": " + clean(e.Example)
		}
		b.WriteString(fit(line, 79) + "\n")
	}
}

// writeCost writes what the run cost both sides.
func writeCost(b *strings.Builder, r *Result) {
	cores := func(seconds float64) string {
		if r.Seconds <= 0 {
			return none
		}
		return three(seconds / r.Seconds)
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(b, "server     %s cores, %s at most", cores(s.CPUSeconds), size(s.PeakBytes))
		if each, ok := perChunk(r); ok {
			fmt.Fprintf(b, ", %s of CPU a chunk", latency(each))
		}
		b.WriteString("\n")
		if s.Note != "" {
			fmt.Fprintf(b, "           %s\n", clean(s.Note))
		}
	}
	fmt.Fprintf(b, "this tool  %s of %d cores\n", cores(r.Load.CPUSeconds), r.Machine.Cores)
}

// perChunk is the server's CPU seconds for one chunk as the provider said it.
func perChunk(r *Result) (float64, bool) {
	n := cmp.Or(r.Totals.Texts, r.Totals.Chunks)
	if r.Server == nil || r.Server.CPUSeconds <= 0 || n <= 0 {
		return 0, false
	}
	return r.Server.CPUSeconds / float64(n), true
}
