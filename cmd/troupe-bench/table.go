package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// table gathers the readings of all rounds.
type table struct {
	rows          []row
	rounds        int
	troupe, floor map[rowKey][]float64
}

func newTable(p plan) *table {
	return &table{rows: rows(p), rounds: p.rounds, troupe: map[rowKey][]float64{}, floor: map[rowKey][]float64{}}
}

func (t *table) add(got readings, floor bool) {
	into := t.troupe
	if floor {
		into = t.floor
	}
	for k, v := range got {
		into[k] = append(into[k], v)
	}
}

// ratio is the median of the rounds' own ratios: what disturbed a round mostly
// disturbed both sides of it. 1 is as good as the floor, more is worse.
func (t *table) ratio(r row) float64 {
	a, b := t.troupe[r.key], t.floor[r.key]
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
		if r.rate {
			ratios[i] = b[i] / a[i]
		}
	}
	return median(ratios)
}

// verdict is the goal and whether it is met.
func (t *table) verdict(r row) string {
	mark := func(met bool) string {
		if met {
			return "met"
		}
		return "**missed**"
	}
	switch {
	case r.ratio > 0:
		return fmt.Sprintf("≤ %.1f×, %s", r.ratio, mark(t.ratio(r) <= r.ratio))
	case r.most > 0:
		return fmt.Sprintf("≤ %s, %s", r.show(r.most), mark(median(t.troupe[r.key]) <= r.most+0.0005))
	}
	return ""
}

// print writes the table, ratios first.
func (t *table) print(w io.Writer, header string, took time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nMedians of %d interleaved rounds, %s in all. Ratio: times the floor, less is better.\n\n", header, t.rounds, took.Round(time.Second))
	b.WriteString("| measure | ratio | goal | troupe | floor | troupe, least to most |\n|---|---:|---|---:|---:|---:|\n")
	for _, r := range t.rows {
		mine := t.troupe[r.key]
		if len(mine) == 0 || len(t.floor[r.key]) == 0 {
			continue // not chosen
		}
		fmt.Fprintf(&b, "| %s | %.2f× | %s | %s | %s | %s to %s |\n", r.name, t.ratio(r), t.verdict(r),
			r.show(median(mine)), r.show(median(t.floor[r.key])), r.show(slices.Min(mine)), r.show(slices.Max(mine)))
	}
	b.WriteString("\n" + footnotes)
	_, err := io.WriteString(w, b.String())
	return err
}

// footnotes say what a number means and what it leaves out.
const footnotes = `- troupe is the whole ` + "`troupe serve`" + `: limiter, pool, actors, NATS and the echo provider in one process, limits on but far away. CPU is user and system time of that process alone; clients live in another one.
- Floor of relay, idle and firehose: a listener, a gobwas/ws upgrade and one goroutine per socket that writes frames made beforehand, by a ticker where there is a pace. Floor of connect: net/http and a gobwas/ws upgrade that answers one frame.
- Every answer is compared with what was due, byte by byte; a lost, doubled or reordered chunk fails the run.
- Live memory is counted after collections, private memory is as the system sees it. Each idle connection has had one answer; ended runs were let go of (runs.keep 1s).
- The firehose runs with websocket.outbox_bytes at 4 MiB: a client on the same two cores cannot read as fast, and would be told SLOW_CONSUMER.
`

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
