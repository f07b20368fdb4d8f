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
	tag   any

	// Guarded by the line's mu.
	ticket ticket
	tries  bool // it is counted in its key's trying
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

// Tag is that of the settings under which the call entered: a key is never used
// with what belongs to another configuration.
func (c *Call) Tag() any { return c.tag }

// KeyID is the key's fingerprint, the same in every process; "" without a key.
func (c *Call) KeyID() string {
	if c.key == nil {
		return ""
	}
	return c.key.id
}

// Accepted says that the vendor took the key: its answer has begun, though it
// may think for long before its first word. That is all that others wait for who
// want a key on trial.
func (c *Call) Accepted() {
	l := c.line
	l.mu.Lock()
	defer l.unlock()
	l.accept(c)
}

// accept ends the trial of a call's key, where that is the one that tries it.
func (l *Line) accept(c *Call) {
	if !c.over && c.tried() {
		c.key.trial = false
		l.settle(l.now()) // it has room for others again
	}
}

// Answered says that the vendor began to answer. Of a probe that is all the
// breaker waits for: without it, a provider stays shut until the probe's whole
// answer is through. The call keeps its room, and still owes a Done.
func (c *Call) Answered() {
	l := c.line
	l.mu.Lock()
	defer l.unlock()
	if c.over {
		return
	}
	l.dirty = l.breaker.good(&c.ticket) || l.dirty
	l.accept(c)
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
	if c.tried() && o.Kind == Good {
		c.key.trial = false
	}
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
		l.dirty = l.breaker.good(&c.ticket) || l.dirty
	case Failed, Unreached:
		l.dirty = l.breaker.failed(now, &c.ticket, o.Kind == Unreached) || l.dirty
	case Unsent:
		l.breaker.unsent(now, &c.ticket)
		l.budget.calls.remove(now, c.ticket.entered)
	default:
		l.breaker.neutral(&c.ticket)
	}
	model, length, why := o.keyRest(c.model)
	if length > 0 && c.key != nil && c.key.active {
		c.key.trial = c.key.trial || why != WhyLimited
		l.dirty = l.own.put(now, mark{key: c.key.id, model: model}, claim{until: now + length, why: why}) || l.dirty
	}
}
