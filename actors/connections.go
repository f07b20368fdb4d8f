package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// connections is the supervisor of all connections: it spawns, counts, sweeps
// the idle and cleans up after the dead. It is resumed after a panic, never
// restarted, so its children live on.
type connections struct {
	guard
	gateway  *Gateway
	props    *actor.Props // of every connection: what differs is opening
	opening  *connection  // whose actor is being made
	opened   *actor.PID   // that actor's own address
	last     uint64
	sessions map[*actor.PID]*Session // by the one address that its actor knows of itself
}

func (s *System) newConnections(gw *Gateway) *connections {
	c := &connections{
		guard:    guard{sys: s, kind: kindConnections, parents: true},
		gateway:  gw,
		sessions: map[*actor.PID]*Session{},
	}
	c.props = actor.PropsFromProducer(func() actor.Actor { return s.staged(kindConnection, c.opening) }, // once: a panic is its end
		actor.WithMailbox(func() actor.Mailbox { return &c.opening.box }), actor.WithDispatcher(&s.crew), actor.WithSpawnFunc(c.spawn))
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
		defer c.onNotOpened(&m.connection.Session)
	}
	c.enter(ctx)
	switch m := ctx.Message().(type) {
	case *open:
		c.onOpen(ctx, m.connection)
	case *sweepIdle:
		c.onSweep(ctx, m.now)
	case *drainAll:
		c.tellAll(ctx, &drain{until: m.until})
	case *closeAll:
		c.tellAll(ctx, &endNow{})
	}
}

func (c *connections) onOpen(ctx actor.Context, k *connection) {
	s := &k.Session
	c.last++
	c.opening = k
	defer func() { c.opening, c.opened = nil, nil }() // the last client would stay here
	_, err := ctx.SpawnNamed(c.props, fmt.Sprintf("c%d", c.last))
	if err != nil {
		panic(err) // names are unique: a bug
	}
	pid := c.opened
	c.sys.tallies.of(pid.GetId()).started.Add(1)
	s.pid.Store(pid)
	c.sessions[pid] = s
	c.gateway.opened(len(c.sessions))
	if cause, gone := s.gone(); gone {
		ctx.Send(pid, &socketClosed{cause: cause})
	}
}

// spawn is apart, and keeps the address by which the child knows itself.
func (c *connections) spawn(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (listed *actor.PID, err error) {
	c.opened, listed, err = apart(system, id, props, parent)
	return listed, err
}

// onTerminated lets go of whatever the connection still held, its slot first. An
// actor that ended without closing its socket crashed: its client is told, and it
// is counted out, whatever becomes of the goodbyes.
func (c *connections) onTerminated(who *actor.PID) {
	s := c.sessions[who]
	if s == nil {
		return
	}
	c.sys.root.Send(c.gateway.pool, &vacated{owner: s})
	delete(c.sessions, who)
	c.gateway.traces.drop(s)
	cause, gone := s.gone()
	if !gone && !s.marked(markClosed) {
		defer c.tellFailed(s, c.gateway.followers.followedBy(s))
	}
	defer c.gateway.closedOne(s, len(c.sessions))
	c.gateway.leave(s, !gone || cause.ByServer())
}

// onNotOpened is for a client that was lost in a panic on its way in.
func (c *connections) onNotOpened(s *Session) {
	if s.pid.Load() == nil {
		c.tellFailed(s, 0)
	}
}

// tellFailed speaks in place of an actor that cannot, to its client and in the
// log; it leaves so many turns behind.
func (c *connections) tellFailed(s *Session, live int) {
	if s.client.Kind == protocol.WebSocket {
		cause := protocol.CauseServer.String()
		s.line(zerolog.WarnLevel).Str("cause", cause).Msg("WebSocket connection error")
		s.line(zerolog.InfoLevel).Str("cause", cause).Str("code", string(protocol.Internal)).
			Int("live_turns", live).Msg("WebSocket connection closed")
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
