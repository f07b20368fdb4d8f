package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// connections is the supervisor of all connections: it spawns, counts, sweeps
// the idle and cleans up after the dead. It is resumed after a panic, never
// restarted, so its children live on.
type connections struct {
	guard
	gateway  *Gateway
	last     uint64
	sessions map[string]*Session // by actor id
}

func (s *System) newConnections(gw *Gateway) *connections {
	return &connections{
		guard:    guard{sys: s, kind: kindConnections, parents: true},
		gateway:  gw,
		sessions: map[string]*Session{},
	}
}

// Receive is the table of contents of the supervisor. The cleanup behind a dead
// child is deferred: no panic on the way can skip it.
func (c *connections) Receive(ctx actor.Context) {
	defer c.caught(ctx)
	if m, ok := ctx.Message().(*actor.Terminated); ok {
		defer c.onTerminated(m.Who)
	}
	c.enter(ctx)
	switch m := ctx.Message().(type) {
	case *open:
		c.onOpen(ctx, m.session)
	case *sweepIdle:
		c.onSweep(ctx, m.now)
	case *drainAll:
		c.tellAll(ctx, &drain{until: m.until})
	case *closeAll:
		c.tellAll(ctx, &endNow{})
	}
}

func (c *connections) onOpen(ctx actor.Context, s *Session) {
	c.last++
	pid, err := ctx.SpawnNamed(c.gateway.connectionProps(s), fmt.Sprintf("c%d", c.last))
	if err != nil {
		panic(err) // names are unique: a bug, and the transport's admission timeout tells the client
	}
	s.pid.Store(pid)
	c.sessions[pid.Id] = s
	c.gateway.opened(len(c.sessions))
	if cause, gone := s.gone(); gone {
		ctx.Send(pid, &socketClosed{cause: cause})
	}
}

// onTerminated lets go of whatever the connection still held. An actor that
// ended without closing its socket crashed: its client is told.
func (c *connections) onTerminated(who *actor.PID) {
	s := c.sessions[who.Id]
	if s == nil {
		return
	}
	delete(c.sessions, who.Id)
	cause, gone := s.gone()
	c.gateway.leave(s, !gone || cause.ByServer())
	c.gateway.closedOne(s, len(c.sessions))
	if !gone && !s.closed.Load() {
		s.socket.Send(&protocol.Frame{
			Type: protocol.TypeError, Named: s.client.Kind == protocol.HTTP, Code: protocol.Internal,
			Message: "This connection failed inside the server. Reconnect to go on.", RetryAfter: 1,
		})
		s.socket.Close(protocol.Internal)
	}
}

func (c *connections) onSweep(ctx actor.Context, now time.Time) {
	after := c.gateway.cfg.Pool.IdleTimeout
	if after <= 0 {
		return
	}
	for _, s := range c.sessions {
		if s.idleFor(now) >= after {
			ctx.Send(s.pid.Load(), &idled{})
		}
	}
}

func (c *connections) tellAll(ctx actor.Context, m any) {
	for _, s := range c.sessions {
		ctx.Send(s.pid.Load(), m)
	}
}
