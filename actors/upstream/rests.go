package upstream

import (
	"math"
	"time"
)

const (
	maxRests = 1024
	never    = time.Duration(math.MaxInt64)
	// margin is how much longer a rest lasts with those who only heard of it.
	margin = time.Second
)

// mark says who rests: the provider, a key as a whole (no model), or a key for
// one model. The key without an id is the way without any key.
type mark struct {
	provider   bool
	key, model string
}

// claim is one worker's word that somebody rests. The zero value is none.
type claim struct {
	from  string // the worker; "" = this one
	until time.Duration
	why   Reason
}

// rests is a bounded table of claims. Those that are over are not found any
// more, and are swept when the table is full.
type rests struct {
	of     map[mark][]claim // one a worker
	count  int
	latest time.Duration // no claim ends later: the quick way to see that none is left
}

// put enters a claim in the place of the same worker's for the same mark, unless
// that one lasts longer. It tells whether anything changed.
func (r *rests) put(now time.Duration, m mark, c claim) bool {
	if c.until <= now {
		return false
	}
	for i, old := range r.of[m] {
		if old.from == c.from {
			if old.until >= c.until {
				return false
			}
			r.of[m][i] = c
			r.latest = max(r.latest, c.until)
			return true
		}
	}
	if r.of == nil {
		r.of = make(map[mark][]claim)
	}
	r.of[m] = append(r.of[m], c)
	r.count++
	r.latest = max(r.latest, c.until)
	r.fit(now)
	return true
}

// fit keeps the table in its bound: what is over goes, then what ends first.
func (r *rests) fit(now time.Duration) {
	if r.count <= maxRests {
		return
	}
	first := never
	r.drop(func(_ mark, c claim) bool {
		if c.until > now {
			first = min(first, c.until)
		}
		return c.until <= now
	})
	r.drop(func(_ mark, c claim) bool { return r.count > maxRests && c.until == first })
}

// find returns the claim that lasts longest, with until 0 where none is left.
func (r *rests) find(now time.Duration, m mark) (last claim) {
	if now >= r.latest {
		return claim{}
	}
	for _, c := range r.of[m] {
		if c.until > now && c.until > last.until {
			last = c
		}
	}
	return last
}

// drop removes the claims that gone picks.
func (r *rests) drop(gone func(mark, claim) bool) {
	for m, claims := range r.of {
		kept := claims[:0]
		for _, c := range claims {
			if gone(m, c) {
				r.count--
			} else {
				kept = append(kept, c)
			}
		}
		if len(kept) == 0 {
			delete(r.of, m)
		} else {
			r.of[m] = kept
		}
	}
}

// longer returns the claim that ends later.
func longer(a, b claim) claim {
	if b.until > a.until {
		return b
	}
	return a
}

// limited adds the keys that rest for some model.
func (r *rests) limited(now time.Duration, keys map[string]bool) {
	for m, claims := range r.of {
		for _, c := range claims {
			if c.until > now && m.model != "" {
				keys[m.key] = true
			}
		}
	}
}
