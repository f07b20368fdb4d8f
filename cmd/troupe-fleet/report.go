package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// shown bounds the breaches that a verdict prints; its evidence file has all.
const shown = 8

// report says how it goes, and sums up.
type report struct {
	out    io.Writer
	red    int
	rounds []roundReport
	order  []string // scenarios as they came
	sums   map[string]*figures
	reds   map[string]int
}

// roundReport is one verdict in the JSON file.
type roundReport struct {
	Scenario string   `json:"scenario"`
	Seeds    []uint64 `json:"seeds"`
	Green    bool     `json:"green"`
	Seconds  float64  `json:"seconds"`
	Breaches []breach `json:"breaches,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Figures  figures  `json:"figures"`
}

func newReport(out io.Writer) *report {
	return &report{out: out, sums: map[string]*figures{}, reds: map[string]int{}}
}

func (r *report) say(format string, args ...any) {
	fmt.Fprintf(r.out, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// round prints one line a seed, and the breaches behind a red one.
func (r *report) round(p *round, v *verdict, evidence string, took time.Duration) {
	f := v.figures()
	name := p.scenario.name
	if r.sums[name] == nil {
		r.sums[name] = &figures{}
		r.order = append(r.order, name)
	}
	r.sums[name].add(f)
	r.rounds = append(r.rounds, roundReport{
		Scenario: name, Seeds: p.seeds, Green: len(v.breaches) == 0, Seconds: took.Seconds(),
		Breaches: v.breaches, Evidence: evidence, Figures: f,
	})
	word := "green"
	if len(v.breaches) > 0 {
		word = "RED"
		r.red++
		r.reds[name]++
	}
	for _, seed := range p.seeds {
		r.say("%-17s seed %-3d %-5s %s", name, seed, word, f.line(took))
	}
	for i, b := range v.breaches {
		if i == shown {
			r.say("  and %d more", len(v.breaches)-shown)
			break
		}
		r.say("  %s", b)
	}
	if evidence != "" && len(v.breaches) > 0 {
		r.say("  evidence: %s", evidence)
	}
	for _, l := range v.Loads {
		r.say("  %s", l)
	}
	for _, t := range v.Tampered {
		c := t.Counts
		r.say("  wires of %s: %d messages, %d repeated, %d dropped, %d swapped, %d late", t.Process, c.Seen, c.Repeated, c.Dropped, c.Reordered, c.Delayed)
	}
}

// line sums up one round.
func (f figures) line(took time.Duration) string {
	var words []string
	for _, code := range slices.Sorted(maps.Keys(f.Errors)) {
		words = append(words, fmt.Sprintf("%d %s", f.Errors[code], code))
	}
	return strings.TrimSpace(fmt.Sprintf("%5.1fs  %d streams: %d complete, %d cancelled %s  %d resumed, %d moved, %d asked again",
		took.Seconds(), f.Streams, f.Complete, f.Stopped, strings.Join(words, ", "), f.Resumes, f.Moved, f.Again))
}

// controls prints how the oracle stood its own trial.
func (r *report) controls(red int, problems []string) {
	r.say("controls %d/%d red", red, len(controls()))
	for _, p := range problems {
		r.say("  %s", p)
	}
	if red != len(controls()) {
		r.red++
	}
}

// table is the sum, in Markdown.
func (r *report) table(took time.Duration) {
	var b strings.Builder
	b.WriteString("\n| scenario | verdict | streams | complete | cancelled | errors told | lost | twice | p50 | p99 |\n|---|---|---:|---:|---:|---|---:|---:|---:|---:|\n")
	slots, calls := 0, 0
	for _, name := range r.order {
		f := r.sums[name]
		word := "green"
		if n := r.reds[name]; n > 0 {
			word = fmt.Sprintf("**%d red**", n)
		}
		var told []string
		for _, code := range slices.Sorted(maps.Keys(f.Errors)) {
			told = append(told, fmt.Sprintf("%d `%s`", f.Errors[code], code))
		}
		slots, calls = slots+f.Slots, calls+f.Calls
		p50, p99 := f.latency(name)
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %s | %d | %d | %s | %s |\n", name, word, f.Streams, f.Complete, f.Stopped,
			strings.Join(told, ", "), f.Lost, f.Twice, p50, p99)
	}
	b.WriteString("\np50 and p99: calm, from a cancel to the vendor's closed connection; kill-worker and kill-worker-busy, from the kill to the client's end or new run;\nkill-gateway, from the kill to the resumed stream.\n")
	fmt.Fprintf(&b, "Under load slots were compared with sockets %d times, open calls with live runs %d times.\n", slots, calls)
	fmt.Fprintf(&b, "%s in all\n", took.Round(time.Second))
	fmt.Fprint(r.out, b.String())
}

// latency is the figure that belongs to a scenario.
func (f *figures) latency(scenario string) (p50, p99 string) {
	values := map[string][]time.Duration{"calm": f.Cancels, "kill-worker": f.Told, "kill-worker-busy": f.Told, "kill-gateway": f.Resumed}[scenario]
	if len(values) == 0 {
		return "", ""
	}
	return millis(percentile(values, 50)), millis(percentile(values, 99))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// write leaves everything for machines.
func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r.rounds, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
