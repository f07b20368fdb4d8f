package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// calm is how often a picture without a terminal says a line.
const calm = 5 * time.Second

// log decides when there is a line to say.
type log struct {
	said  bool
	next  time.Duration // of Live.Elapsed
	phase string
}

// line is what to say now: something at the start, at every change of phase and
// every few seconds, otherwise nothing.
func (g *log) line(l Live) string {
	if g.said && l.Elapsed < g.next && l.Phase == g.phase {
		return ""
	}
	g.said, g.phase = true, l.Phase
	g.next = l.Elapsed.Truncate(calm) + calm
	parts := []string{
		when(l),
		fmt.Sprintf("%s open", count(l.Last.Open)),
		fmt.Sprintf("%s active", count(l.Last.Active)),
		rate(l.Last.Frames) + " frames/s",
		rate(l.Last.Questions) + " questions/s",
	}
	if first, ok := l.Latencies[LatencyFirst]; ok && first.Count > 0 {
		parts = append(parts, "first chunk p99 "+latency(first.P99))
	}
	if n := total(l.Errors); n > 0 {
		parts = append(parts, some(n, "error", "errors"))
	}
	parts = append(parts, "tool "+percent(l.LoadBusy)+" busy")
	return strings.Join(parts, "  ")
}

// when is the phase and the time since the start.
func when(l Live) string {
	at := span(l.Elapsed)
	if l.Total > 0 {
		at += " of " + span(l.Total)
	}
	return cmp.Or(clean(l.Phase), "running") + " " + at
}

func total(errors []ErrorCount) (n int64) {
	for _, e := range errors {
		n += e.Count
	}
	return n
}
