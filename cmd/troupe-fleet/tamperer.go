package main

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// maxLate bounds the messages of one connection that wait to be sent later. What
// is above it passes undelayed.
const maxLate = 4096

// tamperer applies a tamper to one connection's stream. It is pure: bytes and
// the time go in, bytes come out. Its owner calls due when next has come.
type tamperer struct {
	parser natsParser
	by     *tamper // whose faults rng draws
	rng    *rand.Rand

	swap *late // waits for a message to change places with
	late []late
	out  []byte // reused
}

// late is a message that is sent later.
type late struct {
	raw []byte
	at  time.Time
}

// feed takes the next bytes from the server and returns what the client gets
// now, valid until the next call. A nil t does nothing to anything.
func (x *tamperer) feed(t *tamper, b []byte, now time.Time) []byte {
	x.use(t)
	x.begin()
	x.flush(now)
	x.parser.feed(b, func(op operation) {
		if t == nil || !t.matches(op.subject) {
			x.out = append(x.out, op.raw...)
			return
		}
		x.message(op.raw, now)
	})
	return x.out
}

// due returns what is to be sent by now.
func (x *tamperer) due(now time.Time) []byte {
	x.begin()
	x.flush(now)
	return x.out
}

// next is when due has something to say, zero when nothing waits.
func (x *tamperer) next() (at time.Time) {
	if x.swap != nil {
		at = x.swap.at
	}
	for _, l := range x.late {
		if at.IsZero() || l.at.Before(at) {
			at = l.at
		}
	}
	return at
}

// rest is what an ended stream leaves, the messages that still waited first.
func (x *tamperer) rest() []byte {
	x.begin()
	x.release()
	for _, l := range x.late {
		x.out = append(x.out, l.raw...)
	}
	x.late = nil
	return append(x.out, x.parser.rest()...)
}

// begin makes room for an answer; the one large message is not kept.
func (x *tamperer) begin() {
	if cap(x.out) > maxControlLine {
		x.out = nil
	}
	x.out = x.out[:0]
}

// use starts a sequence of faults of its own for every tamper.
func (x *tamperer) use(t *tamper) {
	if t == x.by {
		return
	}
	x.by, x.rng = t, nil
	if t != nil {
		x.rng = rand.New(rand.NewPCG(t.Seed, t.connections.Add(1)))
	}
}

// message lets one matching message meet its fault.
func (x *tamperer) message(raw []byte, now time.Time) {
	t := x.by
	t.seen.Add(1)
	e := t.draw(x.rng)
	if e == effectDrop {
		t.dropped.Add(1)
		return
	}
	if e == effectDelay && len(x.late) < maxLate {
		t.delayed.Add(1)
		x.late = append(x.late, late{raw: bytes.Clone(raw), at: now.Add(t.DelayFor)})
		return
	}
	if e == effectReorder && x.swap == nil {
		x.swap = &late{raw: bytes.Clone(raw), at: now.Add(swapWait)}
		return
	}
	x.out = append(x.out, raw...)
	if e == effectRepeat {
		t.repeated.Add(1)
		x.out = append(x.out, raw...)
	}
	if x.swap != nil {
		t.reordered.Add(1)
		x.release()
	}
}

// release sends the message that waits for a swap.
func (x *tamperer) release() {
	if x.swap != nil {
		x.out = append(x.out, x.swap.raw...)
		x.swap = nil
	}
}

// flush sends what has waited long enough, the longest due first.
func (x *tamperer) flush(now time.Time) {
	if x.swap != nil && !now.Before(x.swap.at) {
		x.release()
	}
	slices.SortStableFunc(x.late, func(a, b late) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	n := 0
	for n < len(x.late) && !now.Before(x.late[n].at) {
		x.out = append(x.out, x.late[n].raw...)
		n++
	}
	x.late = slices.Delete(x.late, 0, n)
}
