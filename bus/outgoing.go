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
// goroutine sends, so the order of a gateway's events is the order of Publish.
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

	wake chan struct{} // capacity 1: there is something to look at
	done chan struct{} // closed when the sender has ended

	dropped atomic.Uint64
	sent    atomic.Uint64
	lostLog seldom

	mu      sync.Mutex
	batches *batcher // guarded by mu
	closed  bool     // guarded by mu
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
	return newOutgoing(b.log, publish, b.MaxPayload, b.Flush, maxBuffered)
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
// waits; others wait at most half a millisecond, and only while more than 2,000
// events a second flow (on an otherwise idle machine the timer adds as much
// again). An event that is longer than a message is dropped and counted. It
// never blocks on the network.
func (o *Outgoing) Publish(gateway string, e *Event, urgent bool) {
	now := time.Now()
	limit := o.maxPayload()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || !validToken(gateway) {
		o.dropped.Add(1)
		return
	}
	_, waiting := o.batches.due(now)
	if !o.batches.add(now, gateway, e, urgent, limit) {
		o.dropped.Add(1)
	}
	if wait, ok := o.batches.due(now); ok && (wait == 0 || !waiting) {
		o.signal() // the sender sends, or sets its timer
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
		taken, wait, closed = o.take(taken)
		switch {
		case len(taken) > 0:
			for _, t := range taken {
				o.sendBatch(t)
			}
			clear(taken)
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
	wait, ok := o.batches.due(time.Now())
	if ok && (wait == 0 || o.closed) {
		return o.batches.take(spare), 0, false
	}
	return spare[:0], wait, o.closed
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
