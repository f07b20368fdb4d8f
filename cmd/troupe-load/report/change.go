package report

import (
	"fmt"
	"math"
	"slices"
)

// What may become of a figure.
const (
	won  = "better"
	same = "same"
	lost = "worse"
	few  = "too few" // values for a percentile this far out
	gone = none      // only one run has it
)

// alike is the share by which two runs of the same thing may differ.
const alike = 0.10

// change is one figure of two runs.
type change struct {
	name, before, after string
	ratio               string
	verdict             string
}

// figure is one run's, where it has it.
type figure struct {
	value float64
	ok    bool
	few   bool
}

// measure is something to compare.
type measure struct {
	name  string
	of    func(*Result) figure
	show  func(float64) string
	more  bool    // more is better
	noise float64 // a difference up to this says nothing, in the figure's own unit
}

// figures compares what both runs measured.
func figures(a, b *Result) (changes []change) {
	for _, m := range slices.Concat(throughput(a, b), delays(a, b), costs(a, b)) {
		x, y := m.of(a), m.of(b)
		if !x.ok && !y.ok || m.more && x.value == 0 && y.value == 0 {
			continue
		}
		c := change{name: m.name, before: none, after: none, ratio: none, verdict: gone}
		if x.ok {
			c.before = m.show(x.value)
		}
		if y.ok {
			c.after = m.show(y.value)
		}
		if x.ok && y.ok {
			c.verdict = m.judge(x, y)
			if x.value > 0 {
				c.ratio = fmt.Sprintf("%.2f×", y.value/x.value)
			}
		}
		changes = append(changes, c)
	}
	return changes
}

func (m measure) judge(a, b figure) string {
	change := b.value - a.value
	if m.more {
		change = -change
	}
	tooFew := a.few || b.few
	if m.more { // few may be what became of many
		tooFew = a.few && b.few
	}
	switch {
	case tooFew:
		return few
	case math.Abs(change) <= m.noise || math.Abs(change) <= alike*math.Abs(a.value):
		return same
	case change > 0:
		return lost
	default:
		return won
	}
}

// fewConnections make no rate.
const fewConnections = 100

// throughput is what was done in a second. Frames count only where nothing
// tells what they carried: joined ones are fewer, not worse.
func throughput(a, b *Result) []measure {
	each := func(name string, least int64, n func(Totals) int64) measure {
		return measure{name: name, more: true, show: rate, of: func(r *Result) figure {
			return figure{value: float64(n(r.Totals)) / r.Seconds, ok: r.Seconds > 0, few: n(r.Totals) < least}
		}}
	}
	var all []measure
	if a.Visits && b.Visits { // elsewhere they are those that came back, of which more is not better
		all = append(all, each("connections/s", fewConnections, func(t Totals) int64 { return t.Connected }))
	}
	all = append(all, each("answers/s", 0, func(t Totals) int64 { return t.Answered }))
	if a.Totals.Texts > 0 || b.Totals.Texts > 0 {
		return append(all, each("chunks/s, as said", 0, func(t Totals) int64 { return t.Texts }))
	}
	return append(all, each("frames/s", 0, func(t Totals) int64 { return t.Frames }))
}

// delays are the percentiles of every latency that either run has. The further
// out one is, the more values it takes and the noisier it is.
func delays(a, b *Result) (all []measure) {
	for _, name := range measured(a.Latencies, b.Latencies) {
		for _, p := range []struct {
			name  string
			of    func(Latency) float64
			least int64
			noise float64 // in seconds
		}{
			{"p50", func(l Latency) float64 { return l.P50 }, 20, 0.0005},
			{"p99", func(l Latency) float64 { return l.P99 }, 1000, 0.001},
			{"p99.9", func(l Latency) float64 { return l.P999 }, 10_000, 0.002},
		} {
			all = append(all, measure{name: title(name) + " " + p.name, show: latency, noise: p.noise, of: func(r *Result) figure {
				l := r.Latencies[name]
				return figure{value: p.of(l), ok: l.Count > 0, few: l.Count < p.least}
			}})
		}
	}
	return all
}

// costs are errors, and what the server took for the load. Cores count only
// where there are no chunks to share them out to.
func costs(a, b *Result) []measure {
	_, inA := perChunk(a)
	_, inB := perChunk(b)
	cpu := measure{name: "server CPU a chunk", noise: 0.2e-6, show: latency, of: func(r *Result) figure {
		v, ok := perChunk(r)
		return figure{value: v, ok: ok}
	}}
	if !inA && !inB {
		cpu = measure{name: "server cores", noise: 0.05, show: three, of: func(r *Result) figure {
			if r.Server == nil || r.Seconds <= 0 {
				return figure{}
			}
			return figure{value: r.Server.CPUSeconds / r.Seconds, ok: r.Server.CPUSeconds > 0}
		}}
	}
	return []measure{
		{name: "errors a question", noise: 0.001, show: hundredths, of: func(r *Result) figure {
			tries := max(r.Totals.Questions, r.Totals.Connections)
			return figure{value: float64(total(r.Errors)) / float64(max(tries, 1)), ok: tries > 0}
		}},
		cpu,
		{name: "server memory at most", noise: 4 << 20, show: size, of: func(r *Result) figure {
			if r.Server == nil {
				return figure{}
			}
			return figure{value: r.Server.PeakBytes, ok: r.Server.PeakBytes > 0}
		}},
	}
}

func hundredths(share float64) string { return fmt.Sprintf("%.2f %%", share*100) }

// checks compares what passed, by name.
func checks(a, b *Result) (changes []change) {
	before, after := passed(a), passed(b)
	for _, c := range slices.Concat(a.Checks, b.Checks) {
		x, inA := before[c.Name]
		y, inB := after[c.Name]
		if !inA && !inB {
			continue // told already
		}
		delete(before, c.Name)
		delete(after, c.Name)
		one := change{name: "check " + c.Name, before: mark(x, inA), after: mark(y, inB), ratio: none, verdict: gone}
		switch {
		case !inA || !inB:
		case x == y:
			one.verdict = same
		case y:
			one.verdict = won
		default:
			one.verdict = lost
		}
		changes = append(changes, one)
	}
	return changes
}

func passed(r *Result) map[string]bool {
	byName := map[string]bool{}
	for _, c := range r.Checks {
		byName[c.Name] = c.OK
	}
	return byName
}

func mark(ok, there bool) string {
	switch {
	case !there:
		return none
	case ok:
		return "✓"
	default:
		return "✗"
	}
}
