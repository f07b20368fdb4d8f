package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
)

// Bounds of a withdrawal.
const (
	withdrawEvery = 250 * time.Millisecond // workers that did not answer are asked again
	withdrawTimes = 16                     // then one that beats and does not answer counts as lost
	withdrawals   = 20_000                 // that a gateway says in withdrawEvery: more wait for their turn
	offerDead     = lateness + lateness/5  // after a job's deadline: no worker takes it any more
)

// withdrawal is an offer that nobody answered on its way back. Some worker may
// have it all the same: its accept was lost, or is slow. Were the question simply
// offered again, two vendors would be asked. So every worker that may have the job
// says first that it has not, and will not take it any more.
type withdrawal struct {
	open  []string  // workers that have not answered, in their order
	gone  bool      // one of them never will
	asked int       // how often, by a gateway that hears itself
	dead  time.Time // from then on nobody takes the job
}

// withdraw asks for a job back. Those that lived when it was offered are asked, and
// those that have come since: a worker listens before its first beat is heard. One
// that was given up and lives is not asked, and may take the job until it is dead.
func (c *connection) withdraw(ctx actor.Context, t *asking) {
	w := &withdrawal{dead: time.UnixMilli(t.question.job.Deadline).Add(offerDead)}
	for _, view := range []*rosterView{t.offeredTo, viewOf(&c.gateway.roster)} {
		for id, b := range view.workers {
			if listens(b, t.provider) {
				w.open = append(w.open, id)
			}
		}
	}
	slices.Sort(w.open)
	w.open = slices.Compact(w.open)
	t.withdrawal = w
	c.askBack(ctx, t)
}

// listens tells whether a worker may listen for questions of this provider.
func listens(b *bus.Beat, provider string) bool {
	for i := range b.Providers {
		if b.Providers[i].Name == provider {
			return true
		}
	}
	return false
}

// askBack asks those that have not answered. One that is lost cannot.
func (c *connection) askBack(ctx actor.Context, t *asking) {
	w := t.withdrawal
	now, live := time.Now(), viewOf(&c.gateway.roster).workers
	entitled, may := c.gateway.entitled(now), c.gateway.asks.take(now, len(w.open))
	late := entitled && w.asked == withdrawTimes
	if entitled && may && !late {
		w.asked++
	}
	w.open = slices.DeleteFunc(w.open, func(id string) bool {
		lost := live[id] == nil || late
		w.gone = w.gone || lost
		return lost
	})
	c.askBackIn(ctx, t, withdrawEvery)
	for _, id := range w.open {
		if !may {
			break
		}
		c.controlTo(t, id, &bus.Control{Type: bus.ControlWithdraw, Job: t.question.job.Job})
	}
	c.withdrawn(ctx, t)
}

// onGivenBack takes the word of a worker that has not the job, and will not take it.
func (c *connection) onGivenBack(ctx actor.Context, t *asking, worker string) {
	w := t.withdrawal
	if i := slices.Index(w.open, worker); i >= 0 {
		w.open = slices.Delete(w.open, i, i+1)
		c.withdrawn(ctx, t)
	}
}

// withdrawn goes on once nobody is waited for.
func (c *connection) withdrawn(ctx actor.Context, t *asking) {
	w := t.withdrawal
	if len(w.open) > 0 {
		return
	}
	if early := time.Until(w.dead); early > 0 && !w.gone {
		c.askBackIn(ctx, t, early)
		return
	}
	t.wait(nil)
	c.apply(ctx, t, t.withdrawn(time.Now(), !w.gone))
}

// askBackIn looks again after a while.
func (c *connection) askBackIn(ctx actor.Context, t *asking, d time.Duration) {
	t.wait(after(c.sys, d, ctx.Self(), &offerLate{to: t.to}))
}

// ration bounds what a gateway asks of its workers at once: one that stood still has
// as many silent offers as questions. The zero value is full. Safe for concurrent
// use.
type ration struct {
	mu   sync.Mutex
	from time.Time // when this round began
	used int
}

// take tells whether n more may be asked now. What is more than a round has is asked
// in a round of its own.
func (r *ration) take(now time.Time, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.from) >= withdrawEvery {
		r.from, r.used = now, 0
	}
	if r.used > 0 && r.used+n > withdrawals {
		return false
	}
	r.used += n
	return true
}
