package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Compare writes what became of a run's figures from a to b, as text that reads
// well on a terminal and as Markdown. It warns where the two runs are not alike.
// worse tells whether anything is clearly worse in b. An error is w's.
func Compare(w io.Writer, a, b *Result) (worse bool, err error) {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s: before and after\n\n", line(b.Scenario))
	fmt.Fprintf(&out, "- before: %s\n- after: %s\n", which(a), which(b))
	if notes := differences(a, b); len(notes) > 0 {
		out.WriteString("\nThese runs are not alike:\n\n")
		for _, n := range notes {
			fmt.Fprintf(&out, "- %s\n", n)
		}
	}
	changes := append(figures(a, b), checks(a, b)...)
	out.WriteString("\n")
	table(&out, changes)
	sums := map[string]int{}
	for _, c := range changes {
		sums[c.verdict]++
	}
	fmt.Fprintf(&out, "\n%d better, %d worse, %d same", sums[won], sums[lost], sums[same])
	if n := sums[few]; n > 0 {
		fmt.Fprintf(&out, ", %d with too few values to tell", n)
	}
	out.WriteString(". Within 10 %, or within a measure's noise, is the same.\n")
	_, err = io.WriteString(w, out.String())
	return sums[lost] > 0, err
}

// which names a run.
func which(r *Result) string {
	_, text := verdict(r)
	return fmt.Sprintf("%s, %s %s, %s, %s", r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), line(r.Target.URL),
		cmp.Or(line(r.Target.Version), "(version unknown)"), span(ofSeconds(r.Seconds)), text)
}

// differences are reasons to doubt a comparison.
func differences(a, b *Result) (notes []string) {
	add := func(what, x, y string) {
		if x != y {
			notes = append(notes, fmt.Sprintf("%s: %s → %s", what, cmp.Or(line(x), none), cmp.Or(line(y), none)))
		}
	}
	add("scenario", a.Scenario, b.Scenario)
	add("mode", a.Target.Mode, b.Target.Mode)
	add("machine", machine(a.Machine), machine(b.Machine))
	add("load tool", a.Tool, b.Tool)
	if x, y := a.Seconds, b.Seconds; max(x, y) > 1.1*min(x, y) {
		add("measured for", span(ofSeconds(x)), span(ofSeconds(y)))
	}
	for _, side := range []struct {
		name string
		r    *Result
	}{{"before", a}, {"after", b}} {
		for _, w := range warnings(side.r) {
			notes = append(notes, side.name+": "+line(w))
		}
	}
	return append(notes, plans(a.Plan, b.Plan)...)
}

func machine(m Machine) string {
	return fmt.Sprintf("%s/%s, %d cores, %s, %s", m.OS, m.Arch, m.Cores, cmp.Or(m.CPU, "CPU unknown"), m.Go)
}

// plans are the lines by which two plans differ, the first few of them.
func plans(a, b string) (notes []string) {
	if a == b {
		return nil
	}
	x, y := strings.Split(strings.TrimSpace(a), "\n"), strings.Split(strings.TrimSpace(b), "\n")
	for _, l := range missing(x, y) {
		notes = append(notes, "plan, only before: "+code(l))
	}
	for _, l := range missing(y, x) {
		notes = append(notes, "plan, only after: "+code(l))
	}
	if len(notes) == 0 {
		return []string{"plan: the same lines in another order"}
	}
	const most = 10
	if n := len(notes) - most; n > 0 {
		notes = append(notes[:most], fmt.Sprintf("plan: %s", some(int64(n), "other line", "other lines")))
	}
	return notes
}

// missing are lines of x that y does not have as often.
func missing(x, y []string) (lines []string) {
	left := map[string]int{}
	for _, l := range y {
		left[l]++
	}
	for _, l := range x {
		if left[l]--; left[l] < 0 && l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// line makes a text of somebody else one that Markdown takes for text, in a
// table too.
func line(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		if strings.ContainsRune("\\`*_{}[]<>#|!", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// code is a text as Markdown shows code.
func code(s string) string { return "`" + strings.ReplaceAll(clean(s), "`", "'") + "`" }

// table writes changes with columns that line up.
func table(b *strings.Builder, changes []change) {
	rows := [][]string{{"measure", "before", "after", "ratio", "verdict"}}
	for _, c := range changes {
		word := c.verdict
		if word == lost || word == won {
			word = "**" + word + "**"
		}
		rows = append(rows, []string{line(fit(clean(c.name), 60)), line(c.before), line(c.after), c.ratio, word})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	right := []int{1, 2, 3}
	for i, row := range rows {
		for j, cell := range row {
			if slices.Contains(right, j) {
				b.WriteString("| " + padLeft(cell, widths[j]) + " ")
			} else {
				b.WriteString("| " + padRight(cell, widths[j]) + " ")
			}
		}
		b.WriteString("|\n")
		if i == 0 {
			for j, w := range widths {
				dashes := strings.Repeat("-", w+1)
				if slices.Contains(right, j) {
					b.WriteString("|" + dashes + ":")
				} else {
					b.WriteString("|" + dashes + "-")
				}
			}
			b.WriteString("|\n")
		}
	}
}
