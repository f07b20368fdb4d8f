package upstream

import "time"

const (
	tripFailures = 5                // and at least half of the calls, within ten seconds
	firstRest    = 2 * time.Second  // doubled by each probe that fails
	lastRest     = 60 * time.Second // and never longer, but for the jitter
	jitterShare  = 10               // a rest is up to one tenth longer or shorter
	// probePause is what callers hear of a rest whose end depends on a probe that
	// is under way.
	probePause = firstRest
	// probeHold is how long a probe that says nothing keeps others away: a model
	// may think for minutes before its first word.
	probeHold = 10 * time.Second
)

// breaker keeps calls from a provider that fails. Closed it counts; open it
// rests; once the rest is over it is half-open and lets one call through at a
// time, the probe, whose end decides.
//
// Calls are counted when they enter, failures when they are known: a healthy
// stream is no less a call because it is not over yet.
type breaker struct {
	jitter func() float64 // 0 up to 1

	calls, failures window
	unreached       window // of the failures, those that never got there
	away            bool   // it opened because the provider cannot be reached from here
	open            bool
	probing         bool          // half-open, with a call under way
	probed          time.Duration // when that call entered
	until           time.Duration // end of the rest while open
	rest            time.Duration // its length before the jitter
	epoch           uint32        // counts openings and closings
}

// ticket is what the breaker has to know of a call when it ends. One from before
// the last opening or closing speaks of the past and is not heard.
type ticket struct {
	entered time.Duration
	epoch   uint32
	probe   bool
}

// resting tells how long nobody may enter; 0 = one may.
func (b *breaker) resting(now time.Duration) time.Duration {
	switch {
	case !b.open:
		return 0
	case b.until > now:
		return b.until - now
	case b.probing && now < b.probed+probeHold:
		return probePause
	default:
		return 0
	}
}

// told is what other workers hear. They keep away until a probe has had its
// time, and hear nothing of a half-open breaker that nobody needs.
// Nor do they hear that we cannot reach the provider: that may be our own network.
func (b *breaker) told(now time.Duration) (rest time.Duration, tell bool) {
	if b.away {
		return 0, false
	}
	rest = b.resting(now)
	return rest, rest > 0 || b.open && now < b.until+margin
}

// enter counts a call while the breaker does not rest.
func (b *breaker) enter(now time.Duration) ticket {
	b.calls.add(now)
	b.probing, b.probed = b.open, now
	return ticket{entered: now, epoch: b.epoch, probe: b.probing}
}

// good tells whether the breaker closed.
func (b *breaker) good(t *ticket) bool {
	if !b.decides(t) {
		return false
	}
	b.calls.reset()
	b.failures.reset()
	b.unreached.reset()
	b.away = false
	b.open, b.probing = false, false
	b.epoch++
	*t = ticket{entered: t.entered, epoch: b.epoch} // what becomes of the call from here on counts like any other's
	return true
}

// why is the reason of a rest.
func (b *breaker) why() Reason {
	if b.away {
		return WhyAway
	}
	return WhyFailing
}

// failed tells whether the breaker opened.
func (b *breaker) failed(now time.Duration, t *ticket, unreached bool) bool {
	if b.decides(t) {
		b.away = unreached
		b.trip(now, min(2*b.rest, lastRest))
		return true
	}
	if b.open || t.epoch != b.epoch {
		return false
	}
	b.failures.add(now)
	if unreached {
		b.unreached.add(now)
	}
	n := b.failures.count(now)
	if n < tripFailures || 2*n < b.calls.count(now) {
		return false
	}
	b.away = 2*b.unreached.count(now) > n
	b.trip(now, firstRest)
	return true
}

// unsent takes back a call that was none.
func (b *breaker) unsent(now time.Duration, t *ticket) {
	b.neutral(t)
	if t.epoch == b.epoch {
		b.calls.remove(now, t.entered)
	}
}

// neutral lets the next call probe where this was the probe.
func (b *breaker) neutral(t *ticket) {
	if b.decides(t) {
		b.probing = false
		t.probe = false
	}
}

func (b *breaker) decides(t *ticket) bool { return t.probe && t.epoch == b.epoch }

func (b *breaker) trip(now, rest time.Duration) {
	spread := float64(rest) / jitterShare
	b.open, b.probing = true, false
	b.rest = rest
	b.until = now + rest + time.Duration((2*b.jitter()-1)*spread)
	b.epoch++
}

// state is the breaker for people.
func (b *breaker) state(now time.Duration) Breaker {
	switch {
	case !b.open:
		return Closed
	case b.until > now:
		return Open
	default:
		return HalfOpen
	}
}
