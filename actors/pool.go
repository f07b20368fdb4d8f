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
// seen by Watch, never by good manners. The leases live outside and outlive it.
type pool struct {
	guard
	leases  *limit.Leases
	windows *limit.Windows
	metrics *Metrics
}

// Receive is the table of contents of the pool.
func (p *pool) Receive(ctx actor.Context) {
	defer p.caught(ctx)
	p.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *acquire:
		p.onAcquire(ctx, m)
	case *actor.Terminated:
		p.release(m.Who.Id)
	}
}

// onStarted watches every owner again: one that died while the pool was away
// is reported at once.
func (p *pool) onStarted(ctx actor.Context) {
	for _, owner := range p.leases.Owners() {
		ctx.Watch(ctx.ActorSystem().NewLocalPID(owner))
	}
}

func (p *pool) onAcquire(ctx actor.Context, m *acquire) {
	ctx.Watch(m.from) // before the lease, so that no lease is without a watch
	ok, scope := p.leases.Acquire(m.from.Id, m.address, m.session)
	p.metrics.poolSlots.Set(float64(p.leases.Active()))
	if !ok {
		ctx.Unwatch(m.from)
		ctx.Send(m.from, &full{n: m.n, scope: scope})
		return
	}
	ctx.Send(m.from, &granted{n: m.n})
}

func (p *pool) release(owner string) {
	address, session, ok := p.leases.Release(owner)
	if ok && session != "" {
		p.windows.Seen(time.Now(), address, session)
	}
	p.metrics.poolSlots.Set(float64(p.leases.Active()))
}
