package actors

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// endedKept is how many ended named turns a socket remembers for repeats.
const endedKept = 16

// endedTurn is what a repeat of an ended turn needs.
type endedTurn struct {
	id   string
	hash [sha256.Size]byte
	run  string
}

// onAsked takes one request. Every path but a chat that waits for the limiter
// asks the socket for the next one before it returns.
func (c *connection) onAsked(ctx actor.Context, r protocol.Request) {
	if c.state != ready {
		return
	}
	if chat, ok := r.(*protocol.Chat); ok {
		if !c.onChat(ctx, chat) {
			c.next(ctx)
		}
		return
	}
	if c.tooFast(r) {
		c.next(ctx)
		return
	}
	switch m := r.(type) {
	case *protocol.Ping:
		c.send(&protocol.Frame{Type: protocol.TypePong})
	case *protocol.Cancel:
		c.stirred()
		c.onCancel(ctx, m)
	case *protocol.Resume:
		c.stirred()
		c.onResume(ctx, m)
	case *protocol.Bad:
		c.onBad(m)
	}
	if c.client.Kind == protocol.HTTP {
		c.afterTurn(true) // one exchange: what started no turn is over
	}
	c.next(ctx)
}

// next asks for one more request: at once, or after a pause where requests that
// came to nothing came too fast. An answer is no brake, only not reading is.
func (c *connection) next(ctx actor.Context) {
	if c.hasty {
		c.hasty = false
		after(c.sys, time.Second/requestRate, ctx.Self(), &nextDue{})
		return
	}
	c.socket.Next()
}

// counted takes a request that came to nothing into account; false above the
// bounds.
func (c *connection) counted() bool {
	ok := c.requests.take(c.sys.moment(time.Now()), requestRate, requestBurst)
	c.hasty = c.hasty || !ok
	return ok
}

// stirred starts the clock of pool.idle_timeout again, where one runs.
func (c *connection) stirred() {
	if len(c.turns) == 0 {
		c.idle(time.Now())
	}
}

// Bounds of requests other than chat, per connection. A repeat and a refused
// chat count as one: no window counts them.
const (
	requestRate  = 10
	requestBurst = 20
)

// tooFast counts a request and refuses it above the bounds, in the shape that
// ends no other turn.
func (c *connection) tooFast(r protocol.Request) bool {
	if c.counted() {
		return false
	}
	f := &protocol.Frame{
		Type: protocol.TypeError, Named: c.client.Kind == protocol.HTTP, Code: protocol.RateLimitExceeded,
		Message: fmt.Sprintf("Too many requests: at most %d a second besides chat.", requestRate), RetryAfter: 1,
	}
	switch m := r.(type) {
	case *protocol.Chat: // a repeat: its turn is over
		f.Named, f.ID = true, m.ID
	case *protocol.Cancel:
		f.Named, f.For, f.RunID = true, protocol.ForCancel, echoed(m.RunID)
	case *protocol.Resume:
		f.Named, f.For, f.RunID = true, protocol.ForResume, echoed(m.RunID)
	case *protocol.Bad:
		f.For = m.For
	}
	c.gateway.offend(&c.client)
	c.send(f)
	return true
}

// onBad answers what could not be understood. An error of a chat that had a
// readable id carries it, unless a live turn of that id would end by it.
func (c *connection) onBad(m *protocol.Bad) {
	f := &protocol.Frame{Type: protocol.TypeError, For: m.For, Code: m.Err.Code, Message: m.Err.Message, RetryAfter: m.Err.RetryAfter}
	if m.ID != "" && c.byID(m.ID) == nil {
		f.Named, f.ID = true, m.ID
	}
	f.Named = f.Named || c.client.Kind == protocol.HTTP
	c.gateway.offend(&c.client)
	c.send(f)
}

// onChat starts a turn. It tells whether the limiter, or the fallback in its
// place, was asked: the next request is then read when that has answered.
func (c *connection) onChat(ctx actor.Context, chat *protocol.Chat) bool {
	full := chat.ID != "" || c.client.Kind == protocol.HTTP
	hash := sha256.Sum256([]byte(chat.Content))
	if chat.ID != "" {
		c.resumes = true
		if c.repeated(ctx, chat, hash) {
			dropKeys(chat)
			return false
		}
	}
	if refusal := c.mayAsk(chat); refusal != nil {
		dropKeys(chat)
		c.failChat(chat, full, refusal)
		return false
	}
	q, refusal := c.gateway.prepare(chat, &c.client, &c.memory)
	if refusal != nil {
		c.failChat(chat, full, refusal)
		return false
	}
	t := &asking{
		turn: turn{
			id: chat.ID, named: full, provider: q.job.Provider,
			attempts: c.gateway.cfg.Runs.Attempts, room: c.gateway.answerRoom(),
		},
		question: q, hash: hash, trace: c.gateway.traces.chat(&c.Session, chat, q.job.Provider),
	}
	if chat.ClientKey != (protocol.ClientKey{}) {
		q.job.ClientKey, q.job.Content = chat.ClientKey[:], hash[:]
		if chat.Repeat && chat.ID != "" {
			if c.tooFast(chat) {
				t.forget()
				return false
			}
			c.seek(ctx, t, toRepeat, chat.ClientKey)
			return true
		}
	}
	c.begin(ctx, t)
	return true
}

// begin asks the limiter for a question.
func (c *connection) begin(ctx actor.Context, t *asking) {
	if t.question.job.ClientKey != nil { // it was not refused before: it could have been a repeat
		if refusal := c.gateway.refuseQuestion(); refusal != nil {
			c.counted()
			t.question.key.Zero()
			c.apply(ctx, t, t.fail(refusal.Code, refusal.Message, refusal.RetryAfter))
			c.next(ctx)
			return
		}
	}
	c.waiting = t
	c.busy()
	c.askLimiter(ctx, &decide{message: true})
}

func dropKeys(chat *protocol.Chat) { chat.TakeKey("") }

func (c *connection) failChat(chat *protocol.Chat, full bool, e *protocol.Error) {
	c.counted()
	c.gateway.traces.refused(&c.Session, chat, e.Code)
	c.send(&protocol.Frame{
		Type: protocol.TypeError, Named: full, ID: chat.ID,
		Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter,
	})
	c.afterTurn(full)
}

// mayAsk tells why a chat cannot start here and now.
func (c *connection) mayAsk(chat *protocol.Chat) *protocol.Error {
	switch {
	case c.draining:
		return &protocol.Error{Code: protocol.ShuttingDown, Message: "This server is shutting down. Reconnect and ask again.", RetryAfter: 1}
	case !c.gateway.jobs.Connected():
		return &protocol.Error{Code: protocol.BusUnavailable, Message: "The message bus cannot be reached. Try again in a moment.", RetryAfter: 1}
	case chat.ID == "" && c.unnamed() != nil:
		return &protocol.Error{Code: protocol.RunInProgress, Message: "An answer is still being written. Cancel it, wait for its end, or give each chat an id."}
	case c.own() >= c.gateway.cfg.Runs.PerConnection:
		return &protocol.Error{Code: protocol.RunInProgress, Message: fmt.Sprintf("%d answers are being written on this connection already. Wait for one to end.", c.own())}
	case chat.Repeat && chat.ID != "" && chat.ClientKey != (protocol.ClientKey{}):
		return nil // it may have its run already: then nothing begins
	}
	return c.gateway.refuseQuestion()
}

// repeated answers a chat whose id this socket has used: the same content gets
// `accepted` again, and what it may have missed; other content is refused.
func (c *connection) repeated(ctx actor.Context, chat *protocol.Chat, hash [sha256.Size]byte) bool {
	if t := c.byID(chat.ID); t != nil {
		if t.hash != hash {
			c.tell(protocol.InvalidMessage, "A turn of this id is running with other content. Use a new id.", 0)
			return true
		}
		c.counted()
		if t.run != "" {
			c.send(&protocol.Frame{Type: protocol.TypeAccepted, Named: true, ID: t.id, RunID: t.run})
		}
		return true
	}
	for _, e := range c.ended {
		if e.id == chat.ID && e.hash == hash && e.run != "" {
			if c.draining || c.own() >= c.gateway.cfg.Runs.PerConnection {
				return false // refused as any other
			}
			if c.tooFast(chat) {
				return true
			}
			c.view(ctx, &asking{turn: turn{id: e.id}, hash: hash}, e.run)
			return true
		}
	}
	return false
}

// onMessageDecided goes on with the question that the limiter had.
func (c *connection) onMessageDecided(ctx actor.Context, d limit.Decision) {
	t := c.waiting
	c.waiting = nil
	defer c.next(ctx)
	if t == nil {
		return
	}
	if !d.OK {
		c.counted()
		t.question.key.Zero()
		c.logRateLimit(d)
		c.apply(ctx, t, t.fail(protocol.RateLimitExceeded, fmt.Sprintf("Too many messages: the limit is %s. Try again in %d s.",
			d.Rule.Describe("messages"), seconds(d.RetryAfter)), seconds(d.RetryAfter)))
		return
	}
	c.turns = append(c.turns, t)
	t.heard = time.Now()
	c.apply(ctx, t, t.allowed(t.heard.Add(c.gateway.cfg.Runs.QueueTimeout)))
}

func (c *connection) byID(id string) *asking {
	for _, t := range c.turns {
		if t.id == id && id != "" {
			return t
		}
	}
	return nil
}

func (c *connection) byTo(to uint64) *asking {
	for _, t := range c.turns {
		if t.to == to {
			return t
		}
	}
	return nil
}

func (c *connection) byRun(run string) *asking {
	for _, t := range c.turns {
		if t.run == run && run != "" {
			return t
		}
	}
	return nil
}

func (c *connection) unnamed() *asking {
	for _, t := range c.turns {
		if t.id == "" {
			return t
		}
	}
	return nil
}

// bucket is a small token bucket. The zero value is full.
type bucket struct {
	spent float64
	last  moment
}

func (b *bucket) take(now moment, perSecond, burst float64) bool {
	if b.last != 0 {
		b.spent = max(0, b.spent-time.Duration(now-b.last).Seconds()*perSecond)
	}
	b.last = now
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}
