package upstream

import (
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Call is one call that was let in. Its methods may be called by any goroutine.
type Call struct {
	// Set once.
	line  *Line
	key   *key // nil with a user's own
	model string

	// Guarded by the line's mu.
	ticket ticket
	over   bool
}

// Key is the deployment key to call with: empty where the user brought one, and
// where the provider needs none.
func (c *Call) Key() protocol.Secret {
	if c.key == nil {
		return protocol.Secret{}
	}
	return c.key.secret
}

// KeyID is the key's fingerprint, the same in every process; "" without a key.
func (c *Call) KeyID() string {
	if c.key == nil {
		return ""
	}
	return c.key.id
}

// Answered says that the vendor began to answer. Of a probe that is all the
// breaker waits for, and of a key on trial all that others wait for: without it,
// both stay shut until the whole answer is through. The call keeps its room, and
// still owes a Done.
func (c *Call) Answered() {
	l := c.line
	l.mu.Lock()
	defer l.unlock()
	if c.over {
		return
	}
	l.dirty = l.breaker.good(&c.ticket) || l.dirty
	if c.key != nil && c.key.trial {
		c.key.trial = false
		l.settle(l.now()) // it has room for others again
	}
}

// Done frees the room and says what the call taught. Only the first counts.
func (c *Call) Done(o Outcome) {
	l := c.line
	l.mu.Lock()
	defer l.unlock()
	if c.over {
		return
	}
	c.over = true
	l.inFlight--
	if c.key != nil {
		l.keys.release(c.key)
	}
	now := l.now()
	l.learn(c, o, now)
	l.settle(now)
}

// learn takes an outcome to the breaker and to the key's rests.
func (l *Line) learn(c *Call, o Outcome, now time.Duration) {
	switch o.Kind {
	case Good:
		if c.key != nil {
			c.key.trial = false
		}
		l.dirty = l.breaker.good(&c.ticket) || l.dirty
	case Failed, Unreached:
		l.dirty = l.breaker.failed(now, &c.ticket, o.Kind == Unreached) || l.dirty
	default:
		l.breaker.neutral(&c.ticket)
	}
	model, length, why := o.keyRest(c.model)
	if length > 0 && c.key != nil && c.key.active {
		c.key.trial = c.key.trial || why != WhyLimited
		l.dirty = l.own.put(now, mark{key: c.key.id, model: model}, claim{until: now + length, why: why}) || l.dirty
	}
}
