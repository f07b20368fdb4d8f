package engine

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

// result is the report of a run that is over.
func (p *play) result() *report.Result {
	c := p.collector
	c.mu.Lock()
	defer c.mu.Unlock()
	end := &c.final.counters
	t := c.totals(&c.last, end)
	stranded := int64(p.questions.stranded()+p.visitors.stranded()) + p.unasked.Load() // asked of nobody: nobody had room
	t.Questions += stranded
	t.Unfinished += stranded
	r := &report.Result{
		Format: report.Format, Tool: p.o.Tool, Started: p.base.UTC(),
		Seconds: c.final.at.Sub(c.first.at).Seconds(),
		Target:  report.Target{URL: p.target.url.Redacted(), Mode: p.plan.Mode},
		Machine: machine(), Scenario: p.plan.Name, Plan: p.plan.Plan(), Seed: p.plan.Seed, Visits: p.visits(),
		Totals: t, Latencies: latencyTable(&c.total, true), Series: c.series, Errors: c.errors(),
		Server: p.server(),
	}
	if p.after != nil {
		r.Target.Version = buildVersion(p.after)
	}
	r.Load = p.own(r)
	r.Checks = judge(p.plan, r, &c.last, stranded, p.cutShort)
	return r
}

// server is the other side, where it told something; nil where nobody asked.
func (p *play) server() *report.ServerSide {
	if p.watch == nil {
		return nil
	}
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	s := &report.ServerSide{Before: p.before, After: p.after, PeakBytes: p.watch.peak, Note: p.watch.note}
	_, known := p.after[cpuSeries]
	if known && p.before != nil {
		s.CPUSeconds = p.after[cpuSeries] - p.before[cpuSeries]
	} else if s.Note == "" && p.before == nil {
		s.Note = "the server did not tell its figures while it was measured; they are needed to know its CPU"
	} else if s.Note == "" {
		s.Note = "the metrics tell no " + cpuSeries
	}
	return s
}

// From these on the tool, or its machine, was the bound.
const (
	busyTool    = 0.85 // of its cores
	fullMachine = 0.95 // tool and server together
	lateShare   = 0.01 // of all arrivals
)

// waitShare of all questions may find no room before it is worth a word.
const waitShare = 0.01

// own tells what the tool used, and whether it was the bound. Too few connections
// for the questions are told too, but may be the server's doing.
func (p *play) own(r *report.Result) report.LoadSide {
	c := p.collector
	l := report.LoadSide{CPUSeconds: (c.final.cpu - c.first.cpu).Seconds()}
	var why []string
	all := float64(cores())
	mine, server := 0.0, 0.0
	if r.Seconds > 0 {
		mine = l.CPUSeconds / r.Seconds
		if r.Server != nil && p.target.loopback() {
			server = r.Server.CPUSeconds / r.Seconds
		}
	}
	if mine >= busyTool*all {
		why = append(why, fmt.Sprintf("the tool used %.1f of its %.0f cores", mine, all))
	} else if server > 0 && mine+server >= fullMachine*float64(runtime.NumCPU()) {
		why = append(why, fmt.Sprintf("tool and server share a machine that is full: %.1f and %.1f of %d cores", mine, server, runtime.NumCPU()))
	}
	if begun := r.Totals.Questions + r.Totals.Connections; r.Totals.Late > 0 && float64(r.Totals.Late) > lateShare*float64(begun) {
		why = append(why, fmt.Sprintf("%d of %d arrivals were begun more than 10 ms late", r.Totals.Late, begun))
	}
	l.Saturated = len(why) > 0
	if n := p.waited.Load(); float64(n) > waitShare*float64(r.Totals.Questions) {
		why = append(why, fmt.Sprintf("%d questions fell due when no connection had room, and their latencies hold that wait: where the server is not to blame, give more connections", n))
	}
	l.Why = strings.Join(why, "; ")
	return l
}

func buildVersion(series map[string]float64) string {
	for name := range series {
		if labels, ok := strings.CutPrefix(name, `troupe_build_info{version="`); ok {
			version, _, _ := strings.Cut(labels, `"`)
			return version
		}
	}
	return ""
}

func machine() report.Machine {
	return report.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: processor(), Cores: runtime.NumCPU(), Go: runtime.Version()}
}

// processor is its name, where the system tells it in a file.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// perSecond is n in the measured time; 0 where nothing was measured.
func perSecond(n int64, r *report.Result) float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return float64(n) / r.Seconds
}

// short writes a latency as people read it.
func short(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
