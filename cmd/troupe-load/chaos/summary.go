package chaos

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

// mostBreaches bounds what a terminal shows; the result has all.
const mostBreaches = 10

// Summary writes the verdict for people.
func Summary(w io.Writer, r *Result) error {
	p := &printer{w: w}
	p.line("%s  %s", strings.TrimSpace(r.FaultID+" "+r.Scenario), r.About)
	t := &r.Totals
	p.line("%d streams in %s: %d complete, %d cancelled%s%s; %d touched, %d not; %d sockets found their run again",
		t.Asked, time.Duration(r.Length*float64(time.Millisecond)).Round(100*time.Millisecond), t.Complete, t.Cancelled, codes(", ended", t.Errors), codes(", refused", t.Refused), t.Touched, t.Untouched, t.Resumed)
	p.faults(r)
	p.invariants(r)
	for _, b := range r.Bounds {
		p.line("%s %s: %s, wanted %s", mark(b.OK, b.Visible), b.Name, b.Got, b.Want)
	}
	for _, s := range r.Slopes {
		p.line("  %s %s: %+.2f an hour, mean %.1f, %d samples", s.Member, s.Figure, s.PerHour, s.Mean, s.Samples)
	}
	for _, u := range r.Unseen {
		p.line("- not visible here: %s", u)
	}
	p.breaches(r.Breaches)
	if r.Green {
		p.line("GREEN: no breach, controls %d/%d red", r.Controls.Red, r.Controls.Tried)
	} else {
		p.line("RED: %s, controls %d/%d red, seed %d; again: %s", counted(len(r.Breaches), "breach", "breaches"), r.Controls.Red, r.Controls.Tried, r.Seed, r.Replay)
	}
	return p.err
}

// breaches leaves out those of pass marks, which have a line already.
func (p *printer) breaches(all []Breach) {
	rest := slices.DeleteFunc(slices.Clone(all), func(b Breach) bool { return b.Rule == ruleBound })
	for i, b := range rest {
		if i == mostBreaches {
			p.line("✗ and %d more", len(rest)-i)
			return
		}
		p.line("✗ %s: %s%s", b.Rule, stream(b.Stream), b.What)
	}
}

func stream(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("stream %d: ", n)
}

func codes(verb string, counts map[string]int) string {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %d %s", verb, counts[name], name)
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func mark(ok, visible bool) string {
	switch {
	case !visible:
		return "-"
	case ok:
		return "✓"
	}
	return "✗"
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) faults(r *Result) {
	if len(r.Faults) == 0 || p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "fault\tat\thits\tmeant for\ttouched\tbeyond\ttold p50\tp99\tmax\trecovery\t")
	for _, f := range r.Faults {
		meant, recovery := fmt.Sprint(f.Expected), "-"
		if f.Expected < 0 {
			meant = "?"
		}
		if f.Recovery != nil {
			recovery = millis(*f.Recovery)
		}
		fmt.Fprintf(t, "%s\t%.1fs\t%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", f.Label, f.From/1000, f.Hits, meant, f.Touched, f.Beyond,
			waited(f.Terminal, f.Terminal.P50), waited(f.Terminal, f.Terminal.P99), waited(f.Terminal, f.Terminal.Max), recovery, f.Note)
	}
	p.err = t.Flush()
}

func waited(s Spread, ms float64) string {
	if s.Count == 0 {
		return "-"
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond).String()
}

func (p *printer) invariants(r *Result) {
	for _, i := range r.Invariants {
		switch {
		case i.Breaches > 0 && !i.Visible:
			p.line("✗ %s %s: %s", i.ID, i.About, counted(i.Breaches, "breach", "breaches"))
		case !i.Visible:
			p.line("- %s %s: %s", i.ID, i.About, i.Why)
		case i.Breaches > 0:
			p.line("✗ %s %s: %s in %d looks", i.ID, i.About, counted(i.Breaches, "breach", "breaches"), i.Checked)
		default:
			p.line("✓ %s %s: %d looks", i.ID, i.About, i.Checked)
		}
	}
}
