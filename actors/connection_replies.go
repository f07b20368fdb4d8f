package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// onReplied takes an answer by what the turn waits for: one that comes twice, or
// too late, must not stop the clock of what it is waiting for now.
func (c *connection) onReplied(ctx actor.Context, m *replied) {
	t, r := c.byTo(m.to), m.reply
	switch {
	case t == nil:
		if r.Type == bus.ReplyAccepted {
			c.gateway.release(m.to, r)
		}
	case t.state == turnSeeking:
		c.onSought(ctx, t, r)
	case r.Type == bus.ReplyAccepted:
		c.onAccepted(ctx, t, r)
	case t.out():
		c.onTurnedDown(ctx, t, r)
	case t.state == turnFinding:
		c.onFound(ctx, t, r)
	case r.Type == replyKeyAgain:
		c.sendKey(ctx, t)
	case r.Type == bus.ReplyMissing && (r.Worker == t.worker || r.Worker == ""): // it was known, and went down with its worker's memory
		c.apply(ctx, t, t.missing())
	case r.Type == bus.ReplyRefused && r.Run == t.run && t.run != "":
		c.apply(ctx, t, t.fail(known(r.Code), r.Message, r.RetryAfter))
	}
}

func (c *connection) onAccepted(ctx actor.Context, t *asking, r *bus.Reply) {
	if r.Run == t.run {
		return // the bus repeated it
	}
	s := t.accepted(r.Run, r.Worker, t.question != nil && t.question.job.NeedsKey)
	if s.verb == doRelease {
		c.gateway.release(t.to, r)
		c.secede(ctx, t)
		return
	}
	t.trace.dispatched(true)
	t.spoke = time.Now()
	t.offeredTo, t.withdrawal = nil, nil
	t.wait(nil)
	c.apply(ctx, t, s)
}

// onTurnedDown: a worker does not take the job.
func (c *connection) onTurnedDown(ctx actor.Context, t *asking, r *bus.Reply) {
	switch r.Type {
	case bus.ReplyBusy:
		t.wait(nil)
		c.apply(ctx, t, t.noRoom(time.Now(), true))
	case bus.ReplyRefused:
		t.wait(nil)
		if t.spare != nil { // the first worker may still go on
			c.apply(ctx, t, t.noOther())
			return
		}
		c.apply(ctx, t, t.fail(known(r.Code), r.Message, r.RetryAfter))
	case bus.ReplyMissing:
		if t.state == turnWithdrawing {
			c.onGivenBack(ctx, t, r.Worker)
		}
	}
}

// onFound: the worker says whether it has the run that is looked for.
func (c *connection) onFound(ctx actor.Context, t *asking, r *bus.Reply) {
	switch r.Type {
	case bus.ReplyFound:
		t.spoke = time.Now()
		t.wait(nil)
		if t.id == "" && c.byID(r.Name) == nil {
			t.id = r.Name
		}
		c.apply(ctx, t, t.found(r.Run, t.worker))
	case bus.ReplyMissing:
		c.missed()
		c.apply(ctx, t, t.missing())
	case bus.ReplyRefused:
		c.apply(ctx, t, t.fail(known(r.Code), r.Message, r.RetryAfter))
	}
}

// onNoResponders hears at once that nobody listens: for a job, all workers of
// the provider are full or there is none; for a control, the worker is gone.
func (c *connection) onNoResponders(ctx actor.Context, to uint64) {
	t := c.byTo(to)
	if t == nil {
		return
	}
	switch t.state {
	case turnOffered:
		t.wait(nil)
		if c.gateway.offered(t.provider) {
			c.apply(ctx, t, t.noRoom(time.Now(), false))
			return
		}
		if t.spare != nil {
			c.apply(ctx, t, t.spared())
			return
		}
		c.apply(ctx, t, t.fail(protocol.NoWorkers, "No worker serves this provider at the moment.", noWorkersRetry))
	case turnFinding:
		c.onFoundNobody(ctx, t)
	case turnSeeking:
		t.search.unheard = true
	case turnAccepted, turnStreaming:
		c.onUnheard(ctx, t)
	}
}

// onUnheard: nobody listened where the turn's run should. The roster judges
// workers that beat; of one that it does not know twice in a row is enough.
func (c *connection) onUnheard(ctx actor.Context, t *asking) {
	if viewOf(&c.gateway.roster).workers[t.worker] != nil {
		if t.stopping {
			c.sayAgain(ctx, t)
		}
		return
	}
	if t.unheard++; t.unheard >= probesFailed {
		c.lost(ctx, t)
	}
}

// onFoundNobody: nobody listens where a run is looked for. A worker that changes
// its server is away from its subject for a moment: while the roster knows it, it
// is asked again.
func (c *connection) onFoundNobody(ctx actor.Context, t *asking) {
	if t.unheard++; t.unheard > sayAgainMax || viewOf(&c.gateway.roster).workers[t.worker] == nil {
		c.apply(ctx, t, t.missing())
		return
	}
	c.sayAgain(ctx, t)
}

// sayAgain has a turn say after a moment what its worker did not hear.
func (c *connection) sayAgain(ctx actor.Context, t *asking) {
	t.wait(after(c.sys, sayAgainPause, ctx.Self(), &settled{to: t.to}))
}

// Bounds of saying again what a worker did not hear: the roster lets go of one
// that is gone before the last.
const (
	sayAgainPause = 250 * time.Millisecond
	sayAgainMax   = 16
)

// noWorkersRetry is the advice where nobody serves a provider, in seconds.
const noWorkersRetry = 2
