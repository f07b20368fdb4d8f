package bus

import "time"

const (
	// paceTick is the window in which the flow of events is counted.
	paceTick = 10 * time.Millisecond
	// busyPerTick is 20,000 events a second. Below that, waiting for company
	// would mostly delay: what comes meanwhile goes out with the next write anyway.
	busyPerTick = 200
	// maxLinger is how long an event waits for company while the flow is busy.
	maxLinger = 500 * time.Microsecond
	// lingersPerTick turns a count of a tick into the company to expect.
	lingersPerTick = int(paceTick / maxLinger)
	// maxBatch bounds a message of more than one event: nobody in it is heard
	// before its last byte has come, and what is larger is not used again.
	maxBatch = maxPooledBuf
	// eventOverhead is more than an event's line is longer than its text: an
	// error's message and a model's name are the only words in it that are ours
	// to keep short.
	eventOverhead = 2048
)

// pacer tells whether more than 20,000 events a second flow, and how many come
// in a linger.
type pacer struct {
	start   time.Time // of the running window
	count   int       // events in it
	busy    bool      // by the last full window, or already by this one
	company int       // while busy: what a linger brought in the last full window
}

func (p *pacer) event(now time.Time) {
	p.roll(now)
	p.count++
	if !p.busy && p.count > busyPerTick {
		p.busy, p.company = true, busyPerTick/lingersPerTick
	}
}

func (p *pacer) roll(now time.Time) {
	age := now.Sub(p.start)
	if age >= 0 && age < paceTick {
		return
	}
	p.busy = age >= 0 && age < 2*paceTick && p.count > busyPerTick
	p.company = p.count / lingersPerTick
	p.start, p.count = now, 0
}

// batch is what goes to one gateway in one message.
type batch struct {
	gateway string
	buf     []byte // lines of events
	events  int
}

// batcher packs events into batches and decides when they go. It is pure: time
// is an argument, and its owner does the locking and the sending.
type batcher struct {
	maxBytes int // bound of bytes
	pool     []*batch

	open   map[string]*batch // by gateway: the batch that still takes lines
	ready  []*batch          // in the order they were begun, open ones included
	bytes  int               // of ready, and of what was taken and not yet released
	events int               // of ready
	oldest time.Time         // when ready became non-empty
	urgent bool
	pace   pacer
}

// maxPooled bounds the spare batches, and maxPooledBuf what each may hold on to.
const (
	maxPooled    = 64
	maxPooledBuf = 256 << 10
)

func newBatcher(maxBytes int) *batcher {
	return &batcher{maxBytes: maxBytes, open: make(map[string]*batch)}
}

// add appends an event to its gateway's batch; maxPayload is the server's bound
// for one message. A batch ends at half of it, so that a server with a smaller
// bound after a reconnect still takes what was packed for its predecessor, and
// at 256 KiB at most. Only a line that is longer by itself travels alone. False:
// there was no room.
func (b *batcher) add(now time.Time, gateway string, e *Event, urgent bool, maxPayload int) bool {
	b.pace.event(now)
	cur := b.open[gateway]
	if cur == nil {
		cur = b.begin(now, gateway)
	}
	had := len(cur.buf)
	cur.buf = AppendEvent(cur.buf, e)
	size := len(cur.buf) - had
	if size > maxPayload || b.bytes+size > b.maxBytes {
		cur.buf = cur.buf[:had]
		return false
	}
	if had > 0 && len(cur.buf) > min(maxPayload/2, maxBatch) {
		next := b.begin(now, gateway)
		next.buf = append(next.buf, cur.buf[had:]...)
		cur.buf, cur = cur.buf[:had], next
		b.urgent = true // the full one has nothing to wait for
	}
	cur.events++
	b.events++
	b.bytes += size
	b.urgent = b.urgent || urgent
	return true
}

func (b *batcher) begin(now time.Time, gateway string) *batch {
	var next *batch
	if n := len(b.pool); n > 0 {
		next, b.pool = b.pool[n-1], b.pool[:n-1]
	} else {
		next = new(batch)
	}
	next.gateway = gateway
	if len(b.ready) == 0 {
		b.oldest = now
	}
	b.ready = append(b.ready, next)
	b.open[gateway] = next
	return next
}

// due tells how long what is ready still waits: 0 = send now. ok is false when
// there is nothing to send. As much as a linger brings does not wait for its
// end: the timers of an idle machine are late by more than a linger is long.
func (b *batcher) due(now time.Time) (wait time.Duration, ok bool) {
	if len(b.ready) == 0 {
		return 0, false
	}
	b.pace.roll(now)
	if b.urgent || !b.pace.busy || b.events >= b.pace.company {
		return 0, true
	}
	return max(0, maxLinger-now.Sub(b.oldest)), true
}

// take hands over all that is ready, in order; spare becomes the next list.
func (b *batcher) take(spare []*batch) []*batch {
	taken := b.ready
	b.ready = spare[:0]
	clear(b.open)
	b.urgent, b.events = false, 0
	return taken
}

// release gives a batch back after it was sent or lost.
func (b *batcher) release(t *batch) {
	b.bytes -= len(t.buf)
	if len(b.pool) < maxPooled && cap(t.buf) <= maxPooledBuf {
		t.gateway, t.buf, t.events = "", t.buf[:0], 0
		b.pool = append(b.pool, t)
	}
}
