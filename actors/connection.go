package actors

import (
	"crypto/sha256"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// openState is how far a connection has come.
type openState uint8

const (
	opening openState = iota // the limiter was asked
	leasing                  // the pool was asked
	ready                    // requests are taken
	closing                  // Close was said; only the end is awaited
)

// connection is one client: it forwards that client's turns and streams the
// answers back. It never blocks: the socket takes frames or cuts its reader,
// everything else is a message. One request is handled at a time; the next one
// is read after Next.
type connection struct {
	guard

	// Set once, before the actor starts.
	gateway *Gateway
	session *Session
	socket  Socket
	client  *protocol.Client

	// Owned by Receive.
	state    openState
	asks     uint32      // names the newest ask to limiter or pool
	ask      *decide     // the one that is out
	patience *time.Timer // of the ask that is out
	waiting  *asking     // the question that the limiter has
	admitted *decided    // what to give back should the pool refuse
	turns    []*asking   // live ones, oldest first
	ended    []endedTurn // the last named ones, for repeats
	memory   memory
	requests bucket        // requests other than chat
	hasty    bool          // the last request came to nothing, and too fast
	resumes  bool          // the client used id or resume: it can come back
	said     protocol.Code // why this side closed; empty where it did not, or for no error
	draining bool
}

// newConnection is the actor of a session.
func newConnection(s *Session) *connection {
	g := s.gateway
	return &connection{
		guard: guard{sys: g.sys, kind: kindConnection}, gateway: g, session: s, socket: s.socket, client: &s.client,
	}
}

// asking is a live turn with what it needs to be asked again.
type asking struct {
	turn
	question *question
	sought   string            // of a viewer: the run that it asked for
	search   *search           // while its run is looked for by client_key
	patient  bool              // it has waited for the roster to settle
	keyed    bool              // the run has shown that it has the user's key
	keys     int               // how often the key was sent to this run
	unheard  int               // controls in a row for which nobody listened
	hash     [sha256.Size]byte // of the content, to tell a repeat from a clash
	timer    *time.Timer       // of the answer that is awaited
	resumed  time.Time         // when the run was last asked for what is missing
	frame    protocol.Frame    // scratch of the hot path
}

// forget lets go of what the turn holds besides its text.
func (t *asking) forget() {
	t.wait(nil)
	if t.question != nil {
		t.question.key.Zero()
	}
}

// wait replaces the clock of this turn; nil stops it.
func (t *asking) wait(timer *time.Timer) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = timer
}

// Receive is the table of contents of a connection.
func (c *connection) Receive(ctx actor.Context) {
	defer c.caught(ctx)
	c.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.onStarted(ctx)

	case *chunkArrived: // run → us; first because it is the hot path
		c.onChunk(ctx, m)
	case *eventArrived:
		c.onEvent(ctx, m)
	case *replied:
		c.onReplied(ctx, m)
	case *noResponders:
		c.onNoResponders(ctx, m.to)

	case *asked: // client → us
		c.onAsked(ctx, m.request)
	case *socketClosed:
		c.onSocketClosed(ctx, m.cause)

	case *decided: // limiter → us
		c.onDecided(ctx, m)
	case *limiterLate:
		c.onLimiterLate(ctx, m.ask)
	case *granted: // pool → us
		c.onGranted(m)
	case *full:
		c.onFull(ctx, m)
	case *poolLate:
		c.onPoolLate(m)

	case *offerLate: // clocks → us
		c.onOfferLate(ctx, m.to)
	case *retryDue:
		c.onRetryDue(ctx, m.to)
	case *settled:
		c.onSettled(ctx, m.to)
	case *searchLate:
		c.onSearchLate(ctx, m.to)
	case *checkSilence:
		c.onSilence(ctx, m.now)
	case *workerLost: // roster → us
		c.onWorkerLost(ctx, m.to)
	case *busLost:
		c.onBusLost(ctx)
	case *busBack:
		c.onBusBack(ctx)

	case *idled: // supervisor → us
		c.onIdle()
	case *drain:
		c.onDrain(ctx, m.until)
	case *endNow:
		c.onEndNow()
	case *closeDue:
		c.close(protocol.ShuttingDown)
	case *nextDue:
		c.socket.Next()

	case *actor.Stopping:
		c.onStopping()
	}
}

func (c *connection) log() *zerolog.Logger { return c.session.logger() }

// tell sends a small error that ends no turn.
func (c *connection) tell(code protocol.Code, message string, retryAfter int) {
	c.send(&protocol.Frame{
		Type: protocol.TypeError, Named: c.client.Kind == protocol.HTTP,
		Code: code, Message: message, RetryAfter: retryAfter,
	})
}

func (c *connection) send(f *protocol.Frame) { c.socket.Send(f) }

// close ends the socket; the actor lives on until the transport says it is gone.
func (c *connection) close(code protocol.Code) {
	if c.state == closing {
		return
	}
	c.state, c.said = closing, code
	c.session.closed.Store(true)
	c.socket.Close(code)
}

// refuse tells why the client is not admitted and closes. What the limiter had
// admitted is given back.
func (c *connection) refuse(code protocol.Code, message string, retryAfter int) {
	if c.admitted != nil {
		c.gateway.gate.refund(c.client.Address, c.client.Session, c.admitted)
		c.admitted = nil
	}
	c.tell(code, message, retryAfter)
	c.gateway.refused(c.client)
	c.close(code)
}

// onSocketClosed ends the actor. What it still followed is let go by its
// supervisor, its slot too: a crash takes the same way.
func (c *connection) onSocketClosed(ctx actor.Context, cause protocol.Cause) {
	c.stopPatience()
	c.session.closed.Store(true)
	ctx.Stop(ctx.Self())
	if c.client.Kind == protocol.HTTP {
		return
	}
	log := c.log()
	if cause == protocol.CauseProtocol || cause == protocol.CauseTooBig {
		log.Warn().Str("cause", string(cause)).Msg("WebSocket connection error")
	}
	e := log.Info().Str("cause", string(cause)).Int("live_turns", len(c.turns))
	if c.said != "" {
		e = e.Str("code", string(c.said))
	}
	e.Msg("WebSocket connection closed")
}

// onStopping is the end of the actor, orderly or by a crash: clocks stop, users'
// keys are wiped.
func (c *connection) onStopping() {
	c.stopPatience()
	if c.waiting != nil {
		c.waiting.forget()
	}
	for _, t := range c.turns {
		t.forget()
	}
}

func (c *connection) stopPatience() {
	if c.patience != nil {
		c.patience.Stop()
		c.patience = nil
	}
}

// onIdle closes a connection that asked nothing for pool.idle_timeout. What was
// asked since the supervisor looked keeps it.
func (c *connection) onIdle() {
	timeout := c.gateway.cfg.Pool.IdleTimeout
	if c.state != ready || len(c.turns) > 0 || c.waiting != nil || c.session.idleFor(time.Now()) < timeout {
		return
	}
	c.tell(protocol.IdleTimeout, "Nothing was asked for "+timeout.String()+". Reconnect to go on.", 0)
	c.close(protocol.IdleTimeout)
}

// onDrain tells a client that can come back where to be, and lets one without
// live turns go at a moment of its own.
func (c *connection) onDrain(ctx actor.Context, until time.Time) {
	if c.draining || c.state == closing {
		return
	}
	c.draining = true
	if c.state != ready {
		c.refuse(protocol.ShuttingDown, "This server is shutting down. Reconnect in a moment.", 1)
		return
	}
	spread := c.gateway.drainSpread(until)
	if c.resumes {
		c.send(&protocol.Frame{Type: protocol.TypeReconnect, AfterMS: int(spread.Milliseconds())})
	}
	if len(c.turns) == 0 && c.waiting == nil {
		after(c.sys, spread, ctx.Self(), &closeDue{})
	}
}

// onEndNow is the end of the drain: whatever is still here goes.
func (c *connection) onEndNow() {
	if c.state != closing {
		c.tell(protocol.ShuttingDown, "This server is shutting down. Reconnect in a moment.", 1)
	}
	c.close(protocol.ShuttingDown)
}

// after sends m later. Timers only ever send.
func after(s *System, d time.Duration, to *actor.PID, m any) *time.Timer {
	return time.AfterFunc(d, func() { s.root.Send(to, m) })
}
