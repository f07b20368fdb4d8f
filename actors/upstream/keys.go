package upstream

import (
	"slices"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// key is one deployment key, or with an empty id the way without any.
type key struct {
	id       string
	secret   protocol.Secret // never changes, so calls read it without the lock
	weight   int
	lead     int  // smooth round robin: what this key is owed
	open     bool // scratch of one judgement: may be used and has room
	inFlight int
	active   bool // configured; an inactive one waits for its calls to end
	trial    bool // it rested as a whole: until a call goes well one at a time tries it
	trying   int  // calls that do, and have not heard from the vendor
}

// keys are the configured keys in their order, and those that are not configured
// any more while calls with them last: a key that comes back still has its count.
type keys struct {
	active []*key
	byID   map[string]*key
}

func (ks *keys) configure(s Settings) {
	for _, k := range ks.active {
		k.active = false
	}
	ks.active = nil
	for _, k := range s.Keys {
		if !k.Secret.Empty() {
			ks.activate(fingerprint(k.Secret), k.Secret, max(1, k.Weight))
		}
	}
	if len(ks.active) == 0 && s.Keyless {
		ks.activate("", protocol.Secret{}, 1)
	}
	for id, k := range ks.byID {
		if !k.active && k.inFlight == 0 {
			delete(ks.byID, id)
		}
	}
}

func (ks *keys) activate(id string, secret protocol.Secret, weight int) {
	k := ks.byID[id]
	switch {
	case k == nil:
		k = &key{id: id, secret: secret}
		ks.byID[id] = k
	case k.active:
		k.weight += weight
		return
	}
	k.weight, k.lead, k.active, k.trial = weight, 0, true, false
	ks.active = append(ks.active, k)
}

// has tells whether the key is configured.
func (ks *keys) has(id string) bool {
	k := ks.byID[id]
	return k != nil && k.active
}

// choose returns the open key whose turn it is, nil where none is open, and
// changes nothing.
func (ks *keys) choose() (best *key) {
	for _, k := range ks.active {
		if k.open && (best == nil || k.lead+k.weight > best.lead+best.weight) {
			best = k
		}
	}
	return best
}

// take gives the turn to k, which choose returned. Every open key is owed its
// weight and k pays for all: the picks of a heavy key are spread evenly.
func (ks *keys) take(k *key) {
	total := 0
	for _, other := range ks.active {
		if other.open {
			other.lead += other.weight
			total += other.weight
		}
	}
	k.lead -= total
	k.inFlight++
}

// try marks a call that finds its key on trial. Those that are older, a long
// answer under way, teach nothing about the key.
func (c *Call) try() {
	if c.key != nil && c.key.trial {
		c.tries = true
		c.key.trying++
	}
}

// tried takes the mark off, where there was one: the vendor answered, or the call
// is over.
func (c *Call) tried() (marked bool) {
	if marked = c.tries; marked {
		c.tries = false
		c.key.trying--
	}
	return marked
}

// release ends one call with k.
func (ks *keys) release(k *key) {
	k.inFlight--
	if !k.active && k.inFlight == 0 {
		delete(ks.byID, k.id)
	}
}

// survey is what the keys are to one caller.
type survey struct {
	untried int           // that did not fail for this question yet
	ready   int           // of these, that do not rest
	next    time.Duration // when the first of those that rest may be used; never
	why     Reason        // that one's
}

// survey marks the keys that a caller can have now. A key on trial whose one call
// is under way rests for everybody else.
func (ks *keys) survey(now time.Duration, tried []string, roomPerKey int, restOf func(id string) claim) survey {
	s := survey{next: never}
	for _, k := range ks.active {
		k.open = false
		if k.id != "" && slices.Contains(tried, k.id) {
			continue
		}
		s.untried++
		if rest := restOf(k.id); rest.until > 0 {
			if rest.until < s.next {
				s.next, s.why = rest.until, rest.why
			}
			continue
		}
		if k.trial && k.trying > 0 {
			s.next, s.why = min(s.next, now+probePause), WhyRefused
			continue
		}
		s.ready++
		k.open = k.id == "" || roomPerKey <= 0 || k.inFlight < roomPerKey
	}
	return s
}
