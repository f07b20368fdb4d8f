package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/limit"
)

// poolPatience is how long a connection waits for the pool; it comes back from
// a panic in at most half of that.
const poolPatience = time.Second

// pool hands out slots. A slot is a lease: it ends when its owner's actor ends,
// never by good manners. The owners' supervisor passes every end on, behind
// whatever the owner itself sent; a watch of the pool's own would say the same
// for two thirds of a kilobyte per connection. The leases live outside and
// outlive it.
type pool struct {
	guard
	leases  *limit.Leases[*Session]
	windows *limit.Windows
	metrics *Metrics
}

// Receive is the table of contents of the pool. An acquire that a panic swallows
// is answered too: its client need not wait for the clock.
func (p *pool) Receive(ctx actor.Context) {
	defer p.caught(ctx)
	answered := false
	if m, ok := ctx.Message().(*acquire); ok {
		defer func() {
			if !answered {
				ctx.Send(m.owner.pid.Load(), &poolLate{n: m.n})
			}
		}()
	}
	p.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *acquire:
		p.onAcquire(ctx, m)
		answered = true
	case *vacated:
		p.release(m.owner)
	}
}

// onStarted releases what belongs to nobody any more: the word of an owner's end
// may have been lost in a panic.
func (p *pool) onStarted(ctx actor.Context) {
	living := ctx.ActorSystem().ProcessRegistry
	for _, owner := range p.leases.Owners() {
		if _, lives := living.GetLocal(owner.pid.Load().Id); !lives {
			p.release(owner)
		}
	}
}

func (p *pool) onAcquire(ctx actor.Context, m *acquire) {
	ok, scope := p.leases.Acquire(m.owner)
	p.metrics.poolSlots.Set(float64(p.leases.Active()))
	if !ok {
		ctx.Send(m.owner.pid.Load(), &full{n: m.n, scope: scope})
		return
	}
	ctx.Send(m.owner.pid.Load(), &granted{n: m.n})
}

func (p *pool) release(owner *Session) {
	if address, session := owner.Place(); p.leases.Release(owner) && session != "" {
		p.windows.Seen(time.Now(), address, session)
	}
	p.metrics.poolSlots.Set(float64(p.leases.Active()))
}
