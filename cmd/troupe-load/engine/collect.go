package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

// mostPoints bounds the series: a day.
const mostPoints = 86400

// collector adds up what the shards counted.
type collector struct {
	run   *run
	watch *watch

	mu        sync.Mutex
	total     histograms // of what is measured
	measuring bool       // total grows
	series    []report.Point
	last      counters // at the newest point
	lastAt    time.Time
	lastCPU   time.Duration
	first     snapshot // when measuring began
	final     snapshot // and when it ended
}

// snapshot is all figures at one moment.
type snapshot struct {
	counters
	at  time.Time
	cpu time.Duration // of the tool
}

func newCollector(r *run, w *watch) *collector {
	return &collector{run: r, watch: w, lastAt: r.base, lastCPU: cpuTime()}
}

// sum adds the counters up; moved also takes the histograms of the time since
// the last one.
func (c *collector) sum(moved *histograms) (all counters) {
	for _, s := range c.run.shards {
		s.mu.Lock()
		all.add(&s.counters)
		var filled *histograms
		if moved != nil {
			filled = s.now
			s.now, s.spare = s.spare, nil // whoever reads goes on at once
		}
		s.mu.Unlock()
		if moved == nil {
			continue
		}
		c.take(filled, moved)
		s.mu.Lock()
		s.spare = filled
		s.mu.Unlock()
	}
	return all
}

// take moves a shard's histograms: handshakes always count, the rest while it is
// measured.
func (c *collector) take(filled, moved *histograms) {
	var into *histograms
	if c.measuring {
		into = &c.total
	} else if h := filled[latHandshake]; h != nil {
		var only histograms
		only[latHandshake] = h.Clone()
		c.total.merge(&only, nil)
	}
	moved.merge(filled, into)
}

// leastPoint is how many seconds make a point: where a phase begins, the rest of
// a second would show a rate of nearly nothing, or of very much.
const leastPoint = 0.5

// tick makes a point of the time since the last one.
func (c *collector) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var moved histograms
	now, cpu := time.Now(), cpuTime()
	all := c.sum(&moved)
	passed := now.Sub(c.lastAt).Seconds()
	if passed <= 0 {
		return
	}
	rate := func(a, b int64) float64 { return float64(a-b) / passed }
	p := report.Point{
		At:        now.Sub(c.run.base).Seconds(),
		Open:      all.open,
		Active:    all.active,
		Connects:  rate(all.connections, c.last.connections),
		Questions: rate(all.questions, c.last.questions),
		Completed: rate(all.completed, c.last.completed),
		Errors:    rate(all.errors, c.last.errors),
		Frames:    rate(all.frames, c.last.frames),
		Bytes:     rate(all.bytes, c.last.bytes),
		LoadCPU:   (cpu - c.lastCPU).Seconds() / passed,
	}
	p.ServerCPU, p.ServerBytes = c.watch.now()
	p.P50, p.P99 = map[string]float64{}, map[string]float64{}
	for i, h := range moved {
		if h != nil && h.TotalCount() > 0 {
			p.P50[latencyName(i)] = seconds(h.ValueAtQuantile(50))
			p.P99[latencyName(i)] = seconds(h.ValueAtQuantile(99))
		}
	}
	if len(c.series) < mostPoints && passed >= leastPoint {
		c.series = append(c.series, p)
	}
	c.last, c.lastAt, c.lastCPU = all, now, cpu
}

// begin is when measuring begins: what was before is not counted.
func (c *collector) begin() {
	c.tick()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measuring = true
	c.first = snapshot{c.last, c.lastAt, c.lastCPU}
	c.final = c.first
}

// end is when measuring ends. Latencies of what is still under way count on.
func (c *collector) end() {
	c.tick()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.final = snapshot{c.last, c.lastAt, c.lastCPU}
}

// totals are of what is measured, but for connections and how they ended, which
// count from the start.
func (c *collector) totals(now, until *counters) report.Totals {
	first := &c.first.counters
	return report.Totals{
		Connections: now.connections,
		Refused:     now.refused,
		Dropped:     now.dropped,
		Questions:   now.mQuestions,
		Connected:   max(0, until.connections-first.connections),
		Completed:   now.mCompleted,
		Answered:    max(0, until.completed-first.completed),
		Cancelled:   now.mCancelled,
		Failed:      now.mFailed,
		Resumed:     now.resumed,
		Unfinished:  max(0, now.mQuestions-now.mCompleted-now.mCancelled-now.mFailed),
		Frames:      max(0, until.frames-first.frames),
		Chunks:      max(0, until.chunks-first.chunks),
		Texts:       max(0, until.texts-first.texts),
		Bytes:       max(0, until.bytes-first.bytes),
		Late:        now.late,
	}
}

// live is how the run stands now.
func (c *collector) live() (t report.Totals, lat map[string]report.Latency, errs []report.ErrorCount, last report.Point) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.sum(nil)
	t = c.totals(&all, &all)
	t.Unfinished = 0 // nothing is, yet
	if !c.measuring {
		t.Questions, t.Completed, t.Cancelled, t.Failed = all.questions, all.completed, all.cancelled, all.failed
	}
	if n := len(c.series); n > 0 {
		last = c.series[n-1]
	}
	return t, latencyTable(&c.total, false), c.errors(), last
}

// errors are all codes, most frequent first.
func (c *collector) errors() []report.ErrorCount {
	sums := map[string]report.ErrorCount{}
	for _, s := range c.run.shards {
		s.mu.Lock()
		for code, e := range s.errs {
			sum := sums[code]
			if sum.Count == 0 {
				sum = report.ErrorCount{Code: e.Code, Example: e.Example}
			}
			sum.Count += e.Count
			sums[code] = sum
		}
		s.mu.Unlock()
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b report.ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
}

func seconds(micros int64) float64 { return float64(micros) / 1e6 }

// latencyTable is what was measured, by name. Buckets are wanted at the end.
func latencyTable(h *histograms, buckets bool) map[string]report.Latency {
	table := map[string]report.Latency{}
	for i, one := range h {
		if one == nil || one.TotalCount() == 0 {
			continue
		}
		q := one.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
		l := report.Latency{
			Count: one.TotalCount(), Mean: one.Mean() / 1e6,
			P50: seconds(q[0]), P90: seconds(q[1]), P99: seconds(q[2]), P999: seconds(q[3]),
			Max: seconds(one.Max()),
		}
		if buckets {
			l.Buckets = coarse(one)
		}
		table[latencyName(i)] = l
	}
	return table
}

// bucketStep is by how much the bound of a bucket exceeds the one before.
const bucketStep = 1.05

// coarse makes the histogram's thousands of steps into buckets that a page can
// draw. Empty ones are left out.
func coarse(h *hdrhistogram.Histogram) (out []report.Bucket) {
	bound := int64(1)
	var n int64
	flush := func() {
		if n > 0 {
			out = append(out, report.Bucket{UpTo: seconds(bound), Count: n})
			n = 0
		}
	}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		if bar.To > bound {
			flush()
			for bound < bar.To {
				bound = max(bound+1, int64(float64(bound)*bucketStep))
			}
		}
		n += bar.Count
	}
	flush()
	return out
}
