package main

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// swapWait is how long a message waits for the one it is to change places with.
const swapWait = 200 * time.Millisecond

// tamper is what a proxy does to messages on their way from a NATS server to its
// client. Each matching message meets at most one of the faults; their
// probabilities add up to 1 at most. What does not match stays byte for byte and
// in order.
//
// The fields are set before it is handed to a proxy. Several proxies may share
// one; Match is then called from several goroutines. One Seed gives one
// connection the same sequence of faults, counted in matching messages.
type tamper struct {
	Seed  uint64
	Match func(subject string) bool // nil = every message

	Repeat  float64 // sent twice in a row
	Drop    float64
	Reorder float64 // changes places with the next matching message; none within 200 ms, and it goes as it was
	Delay   float64 // sent DelayFor later, the others meanwhile

	DelayFor time.Duration

	connections atomic.Uint64
	seen        atomic.Uint64
	repeated    atomic.Uint64
	dropped     atomic.Uint64
	reordered   atomic.Uint64
	delayed     atomic.Uint64
}

// tampered counts messages: those that matched, and what was done to them.
type tampered struct {
	Seen, Repeated, Dropped, Reordered, Delayed uint64
}

func (t *tamper) counts() tampered {
	return tampered{
		Seen: t.seen.Load(), Repeated: t.repeated.Load(), Dropped: t.dropped.Load(),
		Reordered: t.reordered.Load(), Delayed: t.delayed.Load(),
	}
}

func (t *tamper) matches(subject string) bool {
	return subject != "" && (t.Match == nil || t.Match(subject))
}

// effect is what happens to one message.
type effect int

const (
	effectNone effect = iota
	effectRepeat
	effectDrop
	effectReorder
	effectDelay
)

// draw picks the effect on the next matching message.
func (t *tamper) draw(rng *rand.Rand) effect {
	u := rng.Float64()
	for _, c := range []struct {
		effect effect
		p      float64
	}{{effectRepeat, t.Repeat}, {effectDrop, t.Drop}, {effectReorder, t.Reorder}, {effectDelay, t.Delay}} {
		if u < c.p {
			return c.effect
		}
		u -= c.p
	}
	return effectNone
}
