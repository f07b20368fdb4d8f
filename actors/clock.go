package actors

import (
	"sync/atomic"
	"time"
)

// clock tells mailboxes the time for the price of one atomic load: a message is
// not worth a look at the machine's clock. It moves with the pulses that a
// process has anyway, and finely for a while after somebody looked at the tree.
// The zero value stands still at none.
//
// What it tells is the end of the present step, so an age that is reckoned from
// it is one that has passed for sure: up to a step more than that has.
type clock struct {
	epoch time.Time     // set once, before the first use
	told  atomic.Uint32 // a stamp
	until atomic.Int64  // watched until then, as a time since epoch
	fine  atomic.Bool   // ticks by itself
}

// stamp is a time of a clock in clockSteps since its epoch; 0 is none. It goes
// round after 497 days, so only differences mean something.
type stamp uint32

const (
	// clockStep is how exact a clock is while somebody watches.
	clockStep = 10 * time.Millisecond
	// clockPulse is how exact it is at rest: the fastest pulse of both trees.
	clockPulse = lookEvery
	// clockWatched is for how long a look keeps it exact.
	clockWatched = 10 * time.Second
)

func (c *clock) now() stamp { return stamp(c.told.Load()) }

// stamp of a time that was read in this process.
func (c *clock) stamp(t time.Time) stamp { return stamp(t.Sub(c.epoch)/clockStep) + 1 }

// pulse moves the clock. One of its own that ticks is not disturbed.
func (c *clock) pulse(now time.Time) {
	if !c.fine.Load() {
		c.told.Store(uint32(c.stamp(now.Add(clockPulse))))
	}
}

// watch makes the clock exact for a while.
func (c *clock) watch(now time.Time) {
	c.until.Store(int64(now.Add(clockWatched).Sub(c.epoch)))
	if c.fine.CompareAndSwap(false, true) {
		c.tick()
	}
}

// tick moves a watched clock until nobody watches it any more.
func (c *clock) tick() {
	now := time.Now()
	if int64(now.Sub(c.epoch)) > c.until.Load() {
		c.fine.Store(false)
		c.pulse(now)
		return
	}
	c.told.Store(uint32(c.stamp(now.Add(clockStep))))
	time.AfterFunc(clockStep, c.tick)
}

// since is how long ago at least a stamp was made; 0 for none.
func (c *clock) since(then stamp, now time.Time) time.Duration {
	if then == 0 {
		return 0
	}
	return max(0, time.Duration(int32(c.stamp(now)-then))*clockStep) // a difference, which may be negative
}
