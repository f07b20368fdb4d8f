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
	props    *actor.Props // of every connection: what differs is opening
	opening  *Session     // whose actor is being made
	last     uint64
	sessions map[string]*Session // by actor id
}

func (s *System) newConnections(gw *Gateway) *connections {
	c := &connections{
		guard:    guard{sys: s, kind: kindConnections, parents: true},
		gateway:  gw,
		sessions: map[string]*Session{},
	}
	c.props = actor.PropsFromProducer(func() actor.Actor { return newConnection(c.opening) },
		actor.WithMailbox(actor.UnboundedLockfree()))
	return c
}

// Receive is the table of contents of the supervisor. The cleanup behind a dead
// child, and the word to a client whose actor was never spawned, are deferred:
// no panic on the way can skip them.
func (c *connections) Receive(ctx actor.Context) {
	defer c.caught(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Terminated:
		defer c.onTerminated(m.Who)
	case *open:
		defer c.onNotOpened(m.session)
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
	c.opening = s
	pid, err := ctx.SpawnNamed(c.props, fmt.Sprintf("c%d", c.last))
	if err != nil {
		panic(err) // names are unique: a bug
	}
	s.pid.Store(pid)
	c.sessions[pid.Id] = s
	c.gateway.opened(len(c.sessions))
	if cause, gone := s.gone(); gone {
		ctx.Send(pid, &socketClosed{cause: cause})
	}
}

// onTerminated lets go of whatever the connection still held, its slot first. An
// actor that ended without closing its socket crashed: its client is told.
func (c *connections) onTerminated(who *actor.PID) {
	c.sys.root.Send(c.gateway.pool, &actor.Terminated{Who: who})
	s := c.sessions[who.Id]
	if s == nil {
		return
	}
	delete(c.sessions, who.Id)
	cause, gone := s.gone()
	c.gateway.leave(s, !gone || cause.ByServer())
	c.gateway.closedOne(s, len(c.sessions))
	if !gone && !s.closed.Load() {
		c.tellFailed(s)
	}
}

// onNotOpened is for a client that was lost in a panic on its way in.
func (c *connections) onNotOpened(s *Session) {
	if s.pid.Load() == nil {
		c.tellFailed(s)
	}
}

// tellFailed speaks in place of an actor that cannot, to its client and in the
// log.
func (c *connections) tellFailed(s *Session) {
	if s.client.Kind == protocol.WebSocket {
		cause, log := string(protocol.CauseServer), s.logger()
		log.Warn().Str("cause", cause).Msg("WebSocket connection error")
		log.Info().Str("cause", cause).Msg("WebSocket connection closed")
	}
	s.socket.Send(&protocol.Frame{
		Type: protocol.TypeError, Named: s.client.Kind == protocol.HTTP, Code: protocol.Internal,
		Message: "This connection failed inside the server. Reconnect to go on.", RetryAfter: 1,
	})
	s.socket.Close(protocol.Internal)
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
