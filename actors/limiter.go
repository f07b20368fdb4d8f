package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/limit"
)

// limiterPatience is how long a connection waits for the limiter before the
// fallback bucket decides.
const limiterPatience = 50 * time.Millisecond

// limiter decides about connections, sessions and messages. It is a thin shell:
// the windows live outside it and outlive it.
type limiter struct {
	guard
	gate *gate
}

// Receive is the table of contents of the limiter.
func (l *limiter) Receive(ctx actor.Context) {
	defer l.caught(ctx)
	l.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started, *probe:
		l.gate.restore()
	case *decide:
		l.onDecide(ctx, m)
	}
}

// onDecide answers in time or not at all: whoever asked has gone to the
// fallback bucket by then.
func (l *limiter) onDecide(ctx actor.Context, m *decide) {
	now := time.Now()
	if now.After(m.until) {
		return
	}
	d := l.gate.windowsDecide(now, m)
	d.n = m.n
	ctx.Send(m.from, d)
}

// gate is what connections see of the limiter: the actor while it answers, the
// fallback bucket while it does not. Safe for concurrent use.
type gate struct {
	sys      *System
	windows  *limit.Windows
	fallback *limit.Fallback
	leases   *limit.Leases[*Session]
	log      zerolog.Logger
	metrics  *Metrics
	limiter  atomic.Pointer[actor.PID]

	away     atomic.Bool
	allowed  atomic.Uint64
	rejected atomic.Uint64
	replaced atomic.Uint64 // decided by the fallback
}

// ask sends the question to the limiter, unless it is known to be away: then
// the bucket's decision comes back at once.
func (g *gate) ask(m *decide) *decided {
	if g.away.Load() {
		return g.instead(m)
	}
	g.sys.root.Send(g.limiter.Load(), m)
	return nil
}

// late says that the limiter missed its deadline, and decides in its place.
func (g *gate) late(m *decide) *decided {
	if g.away.CompareAndSwap(false, true) {
		g.metrics.limiterAway.Set(1)
		g.log.Warn().Dur("patience", limiterPatience).Msg("Limiter does not answer: the fallback bucket decides until it is back")
		g.sys.root.Send(g.limiter.Load(), &probe{})
	}
	return g.instead(m)
}

// restore says that the limiter is back.
func (g *gate) restore() {
	if g.away.CompareAndSwap(true, false) {
		g.metrics.limiterAway.Set(0)
		g.log.Info().Msg("Limiter is back")
	}
}

// windowsDecide asks the exact windows. Only the limiter calls it.
func (g *gate) windowsDecide(now time.Time, m *decide) *decided {
	d := &decided{}
	if m.message {
		d.decision = g.windows.Message(now, m.address, m.session)
	} else {
		d.decision = g.windows.Connect(now, m.address, m.session, g.options(m))
	}
	g.count(d.decision)
	return d
}

// instead asks the fallback bucket, and charges what it admits to the windows,
// so that protection goes on seamlessly when the limiter is back.
func (g *gate) instead(m *decide) *decided {
	now := time.Now()
	g.replaced.Add(1)
	d := &decided{n: m.n, replaced: true}
	if m.message {
		if d.decision = g.fallback.Message(now, m.address, m.session); d.decision.OK {
			g.windows.ChargeMessage(now, m.address, m.session)
		}
	} else {
		o := g.options(m)
		o.Connected = o.Connected || g.windows.Known(now, m.address, m.session)
		if d.decision = g.fallback.Connect(now, m.address, m.session, o); d.decision.OK {
			charged := g.windows.ChargeConnect(now, m.address, m.session, g.options(m))
			d.charged = &charged
		}
	}
	g.metrics.limitDecisions.WithLabelValues(string(d.decision.Limit), "fallback").Inc()
	g.count(d.decision)
	return d
}

// refund takes an admission back: a refused attempt consumes nothing.
func (g *gate) refund(address, session string, d *decided) {
	if d.charged != nil {
		g.fallback.RefundConnect(address, session, d.decision)
		g.windows.RefundConnect(address, session, *d.charged)
		return
	}
	g.windows.RefundConnect(address, session, d.decision)
}

func (g *gate) options(m *decide) limit.ConnectOptions {
	o := m.options
	o.Connected = g.leases.Connected(m.address, m.session)
	return o
}

func (g *gate) count(d limit.Decision) {
	result := "rejected"
	if d.OK {
		result = "allowed"
		g.allowed.Add(1)
	} else {
		g.rejected.Add(1)
	}
	g.metrics.limitDecisions.WithLabelValues(string(d.Limit), result).Inc()
	if d.OK && d.Limit == limit.Connections {
		g.metrics.limitDecisions.WithLabelValues(string(limit.Sessions), result).Inc() // it passed both
	}
}

// sweep forgets keys whose windows have passed.
func (g *gate) sweep(now time.Time) {
	g.windows.Sweep(now)
	g.fallback.Sweep(now)
}
