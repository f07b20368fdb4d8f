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
//
// Most connections are idle most of the time, so what one holds is counted: the
// actor and its session are one piece of memory (TestConnectionSize).
type connection struct {
	*guard  // one for all of them
	Session // what is left when the actor is gone
	box     mailbox

	// Owned by Receive.
	asks      uint32 // names the newest ask to limiter or pool
	state     openState
	hasty     bool // the last request came to nothing, and too fast
	resumes   bool // the client used id or resume: it can come back
	draining  bool
	ask       *decide     // the one that is out
	patience  *time.Timer // of the ask that is out
	waiting   *asking     // the question that the limiter has
	admission *decided    // what to give back should the pool refuse
	turns     []*asking   // live ones, oldest first
	ended     []endedTurn // the last named ones, for repeats
	memory    memory
	requests  bucket        // requests other than chat
	said      protocol.Code // why this side closed; empty where it did not, or for no error
}

// asking is a live turn with what it needs to be asked again.
type asking struct {
	turn
	question   *question
	trace      *chatTrace        // nil where it is not traced
	sought     string            // of a viewer: the run that it asked for
	search     *search           // while its run is looked for by client_key
	offeredTo  *rosterView       // who lived when the job went out, until somebody has it
	withdrawal *withdrawal       // while the job is asked back
	patient    bool              // it has waited for the roster to settle
	keyed      bool              // the run has shown that it has the user's key
	keys       int               // how often the key was sent to this run
	unheard    int               // controls in a row for which nobody listened
	hash       [sha256.Size]byte // of the content, to tell a repeat from a clash
	timer      *time.Timer       // of the answer that is awaited
	resumed    time.Time         // when the run was last asked for what is missing
	frame      protocol.Frame    // scratch of the hot path
}

// forget lets go of what the turn holds besides its text.
func (t *asking) forget() {
	t.wait(nil)
	t.trace.abandon()
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

	case *chunksArrived: // run → us; first because it is the hot path
		c.onChunks(ctx, m)
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
	c.mark(markClosed)
	c.socket.Close(code)
}

// refuse tells why the client is not admitted and closes. What the limiter had
// admitted is given back.
func (c *connection) refuse(code protocol.Code, message string, retryAfter int) {
	if c.admission != nil {
		c.gateway.gate.refund(c.client.Address, c.client.Session, c.admission)
		c.admission = nil
	}
	c.tell(code, message, retryAfter)
	c.gateway.refused(&c.client)
	c.gateway.traces.admitted(&c.Session, code)
	c.close(code)
}

// onSocketClosed ends the actor. What it still followed is let go by its
// supervisor, its slot too: a crash takes the same way.
func (c *connection) onSocketClosed(ctx actor.Context, cause protocol.Cause) {
	c.stopPatience()
	c.mark(markClosed)
	ctx.Stop(ctx.Self())
	if c.client.Kind == protocol.HTTP {
		return
	}
	if cause == protocol.CauseProtocol || cause == protocol.CauseTooBig {
		c.gateway.offend(&c.client)
		c.line(zerolog.WarnLevel).Str("cause", cause.String()).Msg("WebSocket connection error")
	}
	e := c.line(zerolog.InfoLevel).Str("cause", cause.String()).Int("live_turns", len(c.turns))
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
	if c.state != ready || len(c.turns) > 0 || c.waiting != nil || c.idleFor(time.Now()) < timeout {
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
