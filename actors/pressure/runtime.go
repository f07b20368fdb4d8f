package pressure

import (
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"
)

// Source is where readings come from.
type Source interface {
	// Read looks once.
	Read() Reading
	// Freshen is called after each look while memory presses: what is known of
	// memory may be old then, and would stay so where nothing is allocated any
	// more. It may take as long as a collection does.
	Freshen()
}

// Runtime reads the Go runtime. It is for one goroutine.
//
// Memory. GOMEMLIMIT is about all that is mapped and not given back, and near
// it that is no measure of need: the collector lets the heap grow up to the
// limit before each collection, so a process at its limit may be well, and
// looks worst right before it is shown to be. What counts here is what the last
// collection could not free, with all that is no heap: stacks, and what the
// runtime keeps for itself. A collection comes at the latest when the limit is
// reached, so need that grows is seen by then. Room inside of spans that
// nothing occupies is left out: it is there for what comes next.
//
// Lag. It is the time that goroutines which were ready had to wait until they
// ran: the 99th percentile of all that began to run since the last look, as the
// scheduler itself counted. A goroutine of our own that looks at the clock
// would be put in front of the others and see less. What waits elsewhere is the
// business of whoever makes it wait, see package actors.
type Runtime struct {
	samples [sampleCount]metrics.Sample
	before  []uint64 // counts of the latencies when it last looked
	delta   []uint64 // scratch

	cycles uint64    // collections so far
	seen   time.Time // when that last grew
	rest   time.Time // no collection of our own before
}

// What is read, in the order of names.
const (
	memTotal = iota
	memReleased
	memObjects
	memFree
	memUnused
	memLive
	memLimit
	gcCycles
	schedLatencies
	sampleCount
)

func names() [sampleCount]string {
	return [sampleCount]string{
		memTotal:       "/memory/classes/total:bytes",
		memReleased:    "/memory/classes/heap/released:bytes",
		memObjects:     "/memory/classes/heap/objects:bytes",
		memFree:        "/memory/classes/heap/free:bytes",
		memUnused:      "/memory/classes/heap/unused:bytes",
		memLive:        "/gc/heap/live:bytes",
		memLimit:       "/gc/gomemlimit:bytes",
		gcCycles:       "/gc/cycles/total:gc-cycles",
		schedLatencies: "/sched/latencies:seconds",
	}
}

// NewRuntime returns a reader whose first look counts from now.
func NewRuntime() *Runtime {
	r := &Runtime{seen: time.Now()}
	for i, name := range names() {
		r.samples[i].Name = name
	}
	r.Read()
	return r
}

// Read implements Source. Without a limit Reading.Limit is 0.
func (r *Runtime) Read() Reading {
	metrics.Read(r.samples[:])
	if n := r.value(gcCycles); n != r.cycles {
		r.cycles, r.seen = n, time.Now()
	}
	notHeap := r.value(memTotal) - r.value(memReleased) - r.value(memObjects) - r.value(memFree) - r.value(memUnused)
	reading := Reading{Memory: notHeap + r.value(memLive), Lag: r.lag()}
	if limit := r.value(memLimit); limit < math.MaxInt64 {
		reading.Limit = limit
	}
	return reading
}

func (r *Runtime) value(i int) uint64 { return r.samples[i].Value.Uint64() }

// Freshen implements Source: where no collection was for a while it makes one.
// A process that allocates has them anyway, so this one has time to spare. It
// takes a fifth of one processor's time at most.
func (r *Runtime) Freshen() {
	began := time.Now()
	if began.Sub(r.seen) < freshFor || began.Before(r.rest) {
		return
	}
	runtime.GC()
	r.rest = time.Now().Add(4 * time.Since(began))
}

// freshFor is how long the outcome of a collection counts as the present.
const freshFor = time.Second

// leastEvents is from how many starts of goroutines on their 99th percentile
// says anything. A process that starts fewer has nobody who waits.
const leastEvents = 20

// lag is the 99th percentile since the last look.
func (r *Runtime) lag() time.Duration {
	h := r.samples[schedLatencies].Value.Float64Histogram()
	r.delta = append(r.delta[:0], h.Counts...)
	var all uint64
	for i := range r.delta {
		if i < len(r.before) {
			r.delta[i] -= r.before[i]
		}
		all += r.delta[i]
	}
	r.before = append(r.before[:0], h.Counts...)
	if all < leastEvents {
		return 0
	}
	return percentile(r.delta, h.Buckets, all)
}

// percentile is the lower bound of the bucket in which the 99th percentile
// falls: less than it is, by a quarter at most.
func percentile(counts []uint64, bounds []float64, all uint64) time.Duration {
	rest := all / 100
	for i, n := range slices.Backward(counts) {
		if n <= rest {
			rest -= n
			continue
		}
		return time.Duration(max(0, bounds[i]) * float64(time.Second)) // the first bucket begins below all times
	}
	return 0
}
