package upstream

import (
	"cmp"
	"slices"
	"time"
)

// Rest is one rest as workers tell each other.
type Rest struct {
	Key   string // fingerprint; "" with WhyFailing is the provider as a whole, else the way without a key
	Model string // "" = for every model
	For   time.Duration
	Why   Reason
}

// Own is what this process saw itself, with what remains. A breaker that may be
// tried is told for margin longer with nothing left, so that word on the way
// does not let others try before us. Rests for every model come first.
func (l *Line) Own() []Rest {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var out []Rest
	if rest, tell := l.breaker.told(now); tell {
		out = append(out, Rest{For: rest, Why: WhyFailing})
	}
	for m, claims := range l.own.of {
		for _, c := range claims {
			if c.until > now {
				out = append(out, Rest{Key: m.key, Model: m.model, For: c.until - now, Why: c.why})
			}
		}
	}
	slices.SortFunc(out, func(a, b Rest) int {
		return cmp.Or(cmp.Compare(min(1, len(a.Model)), min(1, len(b.Model))), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Why, b.Why))
	})
	return out
}

// Heard is what another worker saw: all of it, in the place of what was heard
// from it before. Rests of keys that are not ours are left out.
func (l *Line) Heard(from string, told []Rest) {
	l.mu.Lock()
	defer l.unlock()
	now := l.now()
	l.forget(from)
	for _, r := range told {
		m := mark{key: r.Key, model: r.Model}
		if r.Key == "" && r.Why == WhyFailing {
			m = mark{provider: true}
		}
		if r.For >= 0 && (m.provider || l.keys.has(m.key)) {
			if k := l.keys.byID[m.key]; k != nil && !m.provider && r.Why != WhyLimited {
				k.trial = true
			}
			l.heard.put(now, m, claim{from: from, until: now + min(r.For, longestRest) + margin, why: r.Why})
		}
	}
	l.settle(now)
}

// Forget drops what was heard from a worker that is gone.
func (l *Line) Forget(from string) {
	l.mu.Lock()
	defer l.unlock()
	l.forget(from)
	l.settle(l.now())
}

func (l *Line) forget(from string) {
	l.heard.drop(func(_ mark, c claim) bool { return c.from == from })
}
