package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// defaultMaxBuffered bounds the events that wait to be sent.
const defaultMaxBuffered = 64 << 20

// Outgoing sends the events of a process's runs: many events, one message. One
// goroutine sends at a time, so the order of a gateway's events is the order of
// Publish: whoever publishes where nothing waits, else a sender.
//
// An event that is lost here (no room, bus away) is counted and nothing else:
// every follower notices the gap in seq, or the missing terminal, and its run
// heals it from the transcript.
type Outgoing struct {
	// Set once.
	log        zerolog.Logger
	publish    func(gateway string, lines []byte) error
	maxPayload func() int
	flush      func(context.Context) error
	lane       *lane // nil without a saboteur; set before the first Publish

	wake chan struct{} // capacity 1: there is something to look at
	done chan struct{} // closed when the sender has ended

	dropped atomic.Uint64
	sent    atomic.Uint64
	lostLog seldom

	mu      sync.Mutex
	batches *batcher        // guarded by mu
	sending bool            // guarded by mu: somebody sends, whose events go before all others
	spare   []*batch        // guarded by mu: of callers that send
	closed  bool            // guarded by mu
	line    []chan struct{} // guarded by mu: who waits in AwaitRoom
}

// NewOutgoing starts a sender on a bus. maxBuffered bounds the bytes that wait,
// 0 = 64 MiB.
func NewOutgoing(b *Bus, maxBuffered int) *Outgoing {
	publish := func(gateway string, lines []byte) error {
		subject, err := b.subjects.Events(gateway)
		if err != nil {
			return err
		}
		return b.publish(subject, lines)
	}
	o := newOutgoing(b.log, publish, b.MaxPayload, b.Flush, maxBuffered)
	o.lane = b.newLane(nil)
	return o
}

func newOutgoing(log zerolog.Logger, publish func(string, []byte) error, maxPayload func() int, flush func(context.Context) error, maxBuffered int) *Outgoing {
	if maxBuffered == 0 {
		maxBuffered = defaultMaxBuffered
	}
	o := &Outgoing{
		log:        log,
		publish:    publish,
		maxPayload: maxPayload,
		flush:      flush,
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		lostLog:    seldom{every: 10 * time.Second},
		batches:    newBatcher(maxBuffered),
	}
	go o.run() // guarded in send and sendBatch
	return o
}

// Publish queues an event for a gateway; e and its Text are copied. An urgent
// one (a run's first chunk, its terminal) is sent at once together with all that
// waits; others wait only while more than 20,000 events a second flow, for as
// many as half a millisecond brings, and at most that long (on an otherwise idle
// machine the timer adds as much again). An event that is longer than a message
// is dropped and counted.
//
// Where nothing else is on its way the caller sends it itself, which is a wake
// less. It can then be held up by a server that stopped reading, for as long as
// the client's own writes may (2 s, in one process a minute), it alone: others queue
// behind it.
func (o *Outgoing) Publish(gateway string, e *Event, urgent bool) {
	if o.lane.watched() {
		o.publishWatched(gateway, e, urgent)
		return
	}
	o.post(gateway, e, urgent)
}

func (o *Outgoing) post(gateway string, e *Event, urgent bool) {
	mine, now := o.queue(gateway, e, urgent)
	switch {
	case len(mine) > 0:
		o.sendHere(mine)
	case now:
		o.signal()
	}
}

// queue takes an event in. It returns what the caller is to send by itself, or
// whether the sender is to be told.
func (o *Outgoing) queue(gateway string, e *Event, urgent bool) (mine []*batch, tell bool) {
	now := time.Now()
	limit := o.maxPayload()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || !validToken(gateway) {
		o.dropped.Add(1)
		return nil, false
	}
	_, waiting := o.batches.due(now)
	if !o.batches.add(now, gateway, e, urgent, limit) {
		o.dropped.Add(1)
	}
	wait, ok := o.batches.due(now)
	if ok && wait == 0 && !o.sending && !o.batches.pace.busy {
		o.sending = true
		return o.batches.take(o.spare), false
	}
	return nil, ok && (wait == 0 || !waiting) // the sender sends, or sets its timer
}

// sendHere sends on the caller's goroutine, and leaves to the sender what came
// meanwhile.
func (o *Outgoing) sendHere(taken []*batch) {
	for i, t := range taken {
		o.sendBatch(t)
		taken[i] = nil
	}
	o.mu.Lock()
	o.sending, o.spare = false, taken[:0]
	_, more := o.batches.due(time.Now())
	more = more || o.closed
	o.mu.Unlock()
	if more {
		o.signal()
	}
}

// MaxText is the longest Text, in escaped bytes, of an event that travels within
// half of a message, where the server takes messages of maxPayload bytes. Who
// cuts longer texts has to number the pieces: only a whole event can be healed.
func MaxText(maxPayload int) int {
	half := maxPayload / 2
	return max(half-eventOverhead, half/2)
}

// Dropped counts events that were lost here.
func (o *Outgoing) Dropped() uint64 { return o.dropped.Load() }

// Sent counts messages that went out; a message holds one or more events.
func (o *Outgoing) Sent() uint64 { return o.sent.Load() }

// Buffered is how many bytes wait to be sent.
func (o *Outgoing) Buffered() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.batches.bytes
}

// Close sends what waits, has the server confirm it and ends the sender. Later
// events are dropped and counted.
func (o *Outgoing) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
	select {
	case <-o.done:
		return o.flush(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Outgoing) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *Outgoing) run() {
	defer close(o.done)
	for !o.send() { // returns early only after a panic
	}
}

// send sends until closed and empty. A panic costs the batches in hand.
func (o *Outgoing) send() (finished bool) {
	defer o.recovered("outgoing")
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var taken []*batch
	for {
		var wait time.Duration
		var closed bool
		taken, wait, closed = o.take(taken) // what was taken before is sent
		switch {
		case len(taken) > 0:
			o.sendAll(taken)
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-o.wake:
			}
		case closed:
			return true
		default:
			<-o.wake
		}
	}
}

// take returns what is due, or how long the rest still waits, or that there is
// nothing more to come.
func (o *Outgoing) take(spare []*batch) (taken []*batch, wait time.Duration, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sending { // a caller does, and tells when it is done
		return spare[:0], 0, false
	}
	wait, ok := o.batches.due(time.Now())
	if ok && (wait == 0 || o.closed) {
		o.sending = true
		return o.batches.take(spare), 0, false
	}
	return spare[:0], wait, o.closed
}

// sendAll is the sender's turn at sending.
func (o *Outgoing) sendAll(taken []*batch) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.sending = false
	}()
	for i, t := range taken {
		o.sendBatch(t)
		taken[i] = nil
	}
}

// sendBatch publishes outside the lock. The client copies the lines into its own
// buffer before it returns, so the batch can be used again.
func (o *Outgoing) sendBatch(t *batch) {
	sent := false
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if !sent {
			o.dropped.Add(uint64(t.events))
		}
		o.batches.release(t)
		if len(o.line) > 0 {
			o.admit()
		}
	}()
	defer o.recovered("outgoing")
	if len(t.buf) == 0 { // its only line found no room
		sent = true
		return
	}
	if err := o.publish(t.gateway, t.buf); err != nil {
		if folded, ok := o.lostLog.allow(time.Now()); ok {
			o.log.Warn().Err(err).Int("events", t.events).Int("folded", folded).Msg("Bus events lost, followers will ask for them again")
		}
		return
	}
	sent = true
	o.sent.Add(1)
}

func (o *Outgoing) recovered(where string) {
	if v := recover(); v != nil {
		logPanic(o.log, where, v)
	}
}
