package engine

import (
	"strings"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

// Latencies by number.
const (
	latHandshake = iota
	latFirst
	latGap
	latAnswer
	latDelay
	latResume
	latCancel
	latencies
)

// latencyName is a latency's name in the report.
func latencyName(i int) string {
	return [latencies]string{
		report.LatencyHandshake, report.LatencyFirst, report.LatencyGap, report.LatencyAnswer,
		report.LatencyDelay, report.LatencyResume, report.LatencyCancel,
	}[i]
}

// Histograms count microseconds, to three digits, up to mostLatency.
const (
	mostLatency = 600_000_000
	precision   = 3
)

// histograms are one for each latency that was ever seen.
type histograms [latencies]*hdrhistogram.Histogram

// record counts one latency, in nanoseconds.
func (h *histograms) record(which int, ns int64) {
	if h[which] == nil {
		h[which] = hdrhistogram.New(1, mostLatency, precision)
	}
	_ = h[which].RecordValue(min(max(ns/1000, 0), mostLatency)) // in bounds
}

// merge adds other's counts and empties it.
func (h *histograms) merge(other *histograms, also *histograms) {
	for i, from := range other {
		if from == nil || from.TotalCount() == 0 {
			continue
		}
		for _, into := range []*histograms{h, also} {
			if into == nil {
				continue
			}
			if into[i] == nil {
				into[i] = hdrhistogram.New(1, mostLatency, precision)
			}
			into[i].Merge(from)
		}
		from.Reset()
	}
}

// counters are what a shard has counted since the beginning.
type counters struct {
	connections, refused, dropped                   int64
	questions, completed, cancelled, failed         int64
	resumed, frames, chunks, texts, bytes, late     int64
	errors, timedOut                                int64
	mQuestions, mCompleted, mCancelled, mFailed     int64 // of questions that were due while it was measured
	open, active                                    int64 // now
	breachOrder, breachLoss, breachText, breachEnds int64
}

func (c *counters) add(o *counters) {
	c.connections += o.connections
	c.refused += o.refused
	c.dropped += o.dropped
	c.questions += o.questions
	c.completed += o.completed
	c.cancelled += o.cancelled
	c.failed += o.failed
	c.resumed += o.resumed
	c.frames += o.frames
	c.chunks += o.chunks
	c.texts += o.texts
	c.bytes += o.bytes
	c.late += o.late
	c.errors += o.errors
	c.timedOut += o.timedOut
	c.mQuestions += o.mQuestions
	c.mCompleted += o.mCompleted
	c.mCancelled += o.mCancelled
	c.mFailed += o.mFailed
	c.open += o.open
	c.active += o.active
	c.breachOrder += o.breachOrder
	c.breachLoss += o.breachLoss
	c.breachText += o.breachText
	c.breachEnds += o.breachEnds
}

// shard is a group of clients with one lock over their state and figures. A
// reader takes it once for all that it read at once.
type shard struct {
	mu sync.Mutex
	counters
	now   *histograms // since the last collection
	spare *histograms // empty
	errs  map[string]*report.ErrorCount
	idle  [][]byte // empty buffers of answers that are over
	event event    // of the message that is being read
	_     [64]byte // neighbours in memory must not share a cache line
}

func newShard() *shard {
	return &shard{now: &histograms{}, spare: &histograms{}, errs: map[string]*report.ErrorCount{}}
}

// Bounds of what is kept.
const (
	mostCodes    = 64
	mostCode     = 64 // bytes of one, which a server may make up
	mostExample  = 300
	keptTexts    = 64
	keptTextSize = 64 << 10
)

// fault counts an error by its code and keeps the first example.
func (s *shard) fault(code, example string) {
	s.errors++
	code = code[:min(len(code), mostCode)]
	e := s.errs[code]
	if e == nil {
		if len(s.errs) >= mostCodes { // a server that makes codes up
			code = "other"
			e = s.errs[code]
		}
		if e == nil {
			code = strings.Clone(code) // of a message that may be large
			e = &report.ErrorCount{Code: code, Example: strings.Clone(example[:min(len(example), mostExample)])}
			s.errs[code] = e
		}
	}
	e.Count++
}

// textBuffer is an empty buffer for an answer.
func (s *shard) textBuffer() []byte {
	if n := len(s.idle); n > 0 {
		b := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return b
	}
	return nil
}

func (s *shard) keepText(b []byte) {
	if cap(b) > 0 && cap(b) <= keptTextSize && len(s.idle) < keptTexts {
		s.idle = append(s.idle, b[:0])
	}
}
