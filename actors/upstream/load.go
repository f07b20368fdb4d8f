package upstream

import "time"

// Resting tells whether the provider rests as a whole, and for how long: it
// fails, or each of its keys rests for every model.
func (l *Line) Resting() (after time.Duration, why Reason, resting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if rest := l.providerRest(now); rest.until > now {
		return rest.until - now, rest.why, true
	}
	first := claim{until: never}
	for _, k := range l.keys.active {
		rest := l.wholeRest(now, k.id)
		if rest.until == 0 {
			return 0, "", false
		}
		if rest.until < first.until {
			first = rest
		}
	}
	if first.until == never {
		return 0, "", false // no key, so none rests: users bring theirs
	}
	return first.until - now, first.why, true
}

// wholeRest is the rest of a key for every model.
func (l *Line) wholeRest(now time.Duration, id string) claim {
	m := mark{key: id}
	return longer(l.own.find(now, m), l.heard.find(now, m))
}

// Breaker is a state of the breaker, for people.
type Breaker string

// The states.
const (
	Closed   Breaker = "closed"
	Open     Breaker = "open"
	HalfOpen Breaker = "half_open"
)

// Load is how a line stands, for status and metrics.
type Load struct {
	InFlight int
	OnKeys   int // of these, with a deployment key
	Queued   int
	Breaker  Breaker // this worker's own
	Ready    int     // keys that rest for no model
	Limited  int     // keys that rest for some model only
	Spent    int     // keys that rest as a whole
	Refused  int     // keys that rest as a whole
}

// Load tells how the line stands.
func (l *Line) Load() Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	out := Load{InFlight: l.inFlight, Queued: l.queue.len, Breaker: l.breaker.state(now)}
	limited := make(map[string]bool)
	l.own.limited(now, limited)
	l.heard.limited(now, limited)
	for _, k := range l.keys.byID {
		out.OnKeys += k.inFlight
	}
	for _, k := range l.keys.active {
		switch rest := l.wholeRest(now, k.id); {
		case rest.until > 0 && rest.why == WhyRefused:
			out.Refused++
		case rest.until > 0:
			out.Spent++
		case limited[k.id]:
			out.Limited++
		default:
			out.Ready++
		}
	}
	return out
}
