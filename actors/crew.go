package actors

import (
	"math"
	"sync"
	"time"
)

// crew runs what actors have to do when they wake. protoactor's own
// dispatcher starts a goroutine for each wake; where a message of the bus wakes
// six connections, that costs more than what they do. Here they queue for a
// worker, and more workers come only where the queue is long or stands still.
// An actor that hangs holds up the others once, for crewPatience or twice that:
// its worker is written off then.
//
// Workers end when nothing is left, but the last one waits a while for what comes
// next: a new goroutine would have to grow its stack first. A crew at rest has
// no goroutine and no timer.
type crew struct {
	place *place // of its mailboxes; nil: each has one of its own

	mu      sync.Mutex
	queue   []part      // guarded by mu; what is in front of head was taken
	head    int         // guarded by mu
	workers int         // guarded by mu: of this shift
	shift   uint64      // guarded by mu: moves on when workers are written off
	taken   uint64      // guarded by mu: parts that were begun
	seen    uint64      // guarded by mu: taken, when the watch last looked
	watched bool        // guarded by mu: the watch is set
	stuck   int         // guarded by mu: workers that came last where the queue stood still
	waits   bool        // guarded by mu: a worker waits at the bell
	bell    chan uint64 // made by the first hire; brings the shift to work in, or goHome
}

const (
	// crewQueue is how many parts wait for one worker before another comes: a
	// tenth of a millisecond of writes.
	crewQueue = 16
	// crewPatience is how long a queue may stand still, and how long, or twice
	// that, the last worker waits.
	crewPatience = 2 * time.Millisecond
	// crewKept bounds the spare queue of a crew that had much to do.
	crewKept = 1 << 12
	// crewTurn is how many messages an actor handles before others have a turn;
	// protoactor's own figure.
	crewTurn = 300
)

// goHome is rung to a worker that waits in vain.
const goHome = math.MaxUint64

// part is what an actor has to do.
type part interface{ run() }

// loose is a part of anybody's.
type loose func()

func (l loose) run() { l() }

// Schedule implements actor.Dispatcher.
func (c *crew) Schedule(do func()) { c.enqueue(loose(do)) }

// enqueue is Schedule without a closure to allocate.
func (c *crew) enqueue(part part) {
	c.mu.Lock()
	c.queue = append(c.queue, part)
	more, shift := len(c.queue)-c.head > crewQueue*c.workers, c.shift
	if more {
		c.hire()
	}
	waits := more && c.waits
	if waits {
		c.waits = false
		c.bell <- shift // somebody is there to take it
	}
	c.mu.Unlock()
	if more && !waits {
		go c.work(shift) // guarded: a panic of an actor ends in its mailbox
	}
}

// Throughput implements actor.Dispatcher.
func (c *crew) Throughput() int { return crewTurn }

// hire counts a worker that is about to start, and sets the watch.
func (c *crew) hire() {
	c.workers++
	if c.bell == nil {
		c.bell = make(chan uint64, 1)
	}
	if !c.watched {
		c.watched, c.seen = true, c.taken
		time.AfterFunc(crewPatience, c.watch)
	}
}

// watch looks whether parts wait for workers that do not come back. Those are
// written off, all that there are: who is only slow goes home after its part.
// Where new ones do not come back either, twice as many come.
func (c *crew) watch() {
	c.mu.Lock()
	if c.workers == 0 && (!c.waits || c.taken == c.seen) {
		if c.waits {
			c.waits = false
			c.bell <- goHome
		}
		c.watched = false
		c.mu.Unlock()
		return
	}
	fresh := 0
	if c.head < len(c.queue) && c.taken == c.seen {
		c.stuck = min(2*c.stuck+1, len(c.queue)-c.head)
		c.shift++
		c.workers, fresh = c.stuck, c.stuck
	} else if c.head == len(c.queue) {
		c.stuck = 0
	}
	shift := c.shift
	c.seen = c.taken
	time.AfterFunc(crewPatience, c.watch)
	c.mu.Unlock()
	for range fresh {
		go c.work(shift) // as in Schedule
	}
}

func (c *crew) work(shift uint64) {
	for {
		part, wait := c.next(shift)
		switch {
		case part != nil:
			part.run()
		case !wait:
			return
		default:
			if shift = <-c.bell; shift == goHome {
				return
			}
		}
	}
}

// next takes a part off the queue. Without one the worker is not counted any
// more: it goes home, or waits for the bell.
func (c *crew) next(shift uint64) (next part, wait bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if shift != c.shift {
		return nil, false // written off
	}
	if c.head == len(c.queue) {
		c.workers--
		wait, c.waits = !c.waits, true
		return nil, wait
	}
	next, c.queue[c.head] = c.queue[c.head], nil
	c.head++
	c.taken++
	switch {
	case c.head == len(c.queue):
		if c.queue, c.head = c.queue[:0], 0; cap(c.queue) > crewKept {
			c.queue = nil
		}
	case c.head >= crewKept && c.head > len(c.queue)/2: // it never empties: let go of the front
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	return next, false
}
