package report

import "fmt"

// table is the latencies so far.
func (s sketch) table() []string {
	wide := s.cols >= 64
	head := []string{"p50", "p99", "max"}
	if wide {
		head = []string{"p50", "p90", "p99", "max", "count"}
	}
	width := min((s.cols-labels)/len(head), 12)
	line := func(label string, cells []string) string {
		out := padRight(fit(label, labels-1), labels)
		for _, c := range cells {
			out += padLeft(c, width)
		}
		return out
	}
	names := measured(s.Latencies)
	if len(names) == 0 {
		return nil
	}
	lines := []string{s.paint(dim, line("latency", head))}
	for _, name := range names {
		l := s.Latencies[name]
		cells := []string{latency(l.P50), latency(l.P99), latency(l.Max)}
		if wide {
			cells = []string{latency(l.P50), latency(l.P90), latency(l.P99), latency(l.Max), count(l.Count)}
		}
		lines = append(lines, line(title(name), cells))
	}
	return lines
}

// totals are the counts that are not nothing.
func (s sketch) totals() []string {
	return wrap(told(s.Totals, false), s.cols, 2)
}

// told puts totals into words: what came of questions, then of connections.
// Where all is wanted, it ends with frames and bytes.
func told(t Totals, all bool) []string {
	parts := []string{some(t.Questions, "question", "questions"), count(t.Completed) + " completed"}
	add := func(n int64, what string) {
		if n > 0 {
			parts = append(parts, count(n)+" "+what)
		}
	}
	add(t.Cancelled, "cancelled")
	add(t.Failed, "failed")
	add(t.Unfinished, "unfinished")
	parts = append(parts, some(t.Connections, "connection", "connections"))
	add(t.Refused, "refused")
	add(t.Dropped, "dropped")
	add(t.Resumed, "resumed")
	if all {
		parts = append(parts, some(t.Frames, "frame", "frames"), size(float64(t.Bytes)))
	}
	return parts
}

// shown is how many errors a screen tells.
const shown = 3

// errors are the most frequent ones, each with an example as far as it fits.
func (s sketch) errors() (lines []string) {
	for i, e := range s.Errors {
		if i == shown {
			return append(lines, s.paint(dim, "  and "+some(int64(len(s.Errors)-shown), "other code", "other codes")))
		}
		code := fit(fmt.Sprintf("%s %s", clean(e.Code), count(e.Count)), s.cols)
		line := s.paint(red, code)
		if room := s.cols - columns(code) - 2; room >= 10 && e.Example != "" {
			line += "  " + s.paint(dim, fit(clean(e.Example), room))
		}
		lines = append(lines, line)
	}
	return lines
}

// tool is how busy the load tool itself is, for whoever is too busy measures itself.
func (s sketch) tool() string {
	text := percent(s.LoadBusy) + " busy"
	late := ""
	if n := s.Totals.Late; n > 0 {
		late = ", " + some(n, "question", "questions") + " late"
	}
	c := dim
	switch {
	case s.LoadBusy >= busy:
		c, text = red, text+late+": it may be the bottleneck"
	case late != "" || s.LoadBusy >= busy-0.15:
		c, text = yellow, text+late
	}
	return s.paint(dim, padRight("this tool", labels)) + s.paint(c, fit(text, s.cols-labels))
}
