package actors

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// A client that lost its socket comes back on another one, at any gateway. What
// is its own it proves by run_id, or by the client_key that it asked with: then
// the live workers are asked which run that is. Session and id alone find
// nothing.

// searchPatience is how long workers have to say which run a client_key means.
const searchPatience = 250 * time.Millisecond

// Bounds per client address: each costs the bus requests, a search one for every
// worker.
const (
	missesMax    = 20 // runs that were named and are not there
	searchesMax  = 100
	missesWindow = time.Minute
	cancelsMax   = 8 // of others' runs, under way on one connection
)

// errand is why a client looks for a run.
type errand uint8

const (
	toResume errand = iota
	toCancel
	toRepeat // a chat that another socket may have asked already
)

// search is a client_key on its way through the workers.
type search struct {
	errand errand
	key    protocol.ClientKey
	open   int             // answers to come
	heard  map[string]bool // workers that answered
	failed bool            // a worker could not be asked
	best   *bus.Reply

	unheard bool // nobody listened where a worker should: it is asked again
	again   int  // how often that was
}

// enough tells whether no other worker's answer would change anything.
func (s *search) enough(t *asking) bool {
	if s.best == nil {
		return false
	}
	return t.id != "" && !s.best.Over || s.errand == toRepeat && bytes.Equal(s.best.Content, t.hash[:])
}

// onCancel stops a turn of this socket, or a run that the client can prove to be
// its own.
func (c *connection) onCancel(ctx actor.Context, m *protocol.Cancel) {
	var t *asking
	switch {
	case m.RunID != "":
		t = c.byRun(m.RunID)
	case m.ID != "":
		t = c.byID(m.ID)
	case m.ClientKey == (protocol.ClientKey{}):
		t = c.newest()
	}
	other := &asking{turn: turn{id: m.ID, forWhat: protocol.ForCancel}}
	switch {
	case t != nil:
		c.apply(ctx, t, t.cancel())
	case m.RunID == "" && m.ClientKey == (protocol.ClientKey{}):
		c.answer(protocol.ForCancel, "", protocol.NoActiveRun, "No turn is running that this could stop.", 0)
	case c.tooManyMisses(protocol.ForCancel, m.RunID):
	case len(c.turns)-c.own() >= cancelsMax:
		c.answer(protocol.ForCancel, m.RunID, protocol.RateLimitExceeded, fmt.Sprintf(
			"%d runs of other sockets are being stopped from here already. Try again in a moment.", cancelsMax), 1)
	case m.RunID != "":
		c.view(ctx, other, m.RunID)
	default:
		c.seek(ctx, other, toCancel, m.ClientKey)
	}
}

// newest is the newest turn of this socket that the client can mean.
func (c *connection) newest() *asking {
	for _, t := range slices.Backward(c.turns) {
		if t.forWhat != protocol.ForCancel {
			return t
		}
	}
	return nil
}

// own counts the turns that runs.per_connection bounds: not those that only stop
// another socket's run.
func (c *connection) own() (n int) {
	for _, t := range c.turns {
		if t.forWhat != protocol.ForCancel {
			n++
		}
	}
	return n
}

// answer is an error that answers a request and ends no turn.
func (c *connection) answer(what, run string, code protocol.Code, message string, retryAfter int) {
	c.send(&protocol.Frame{
		Type: protocol.TypeError, Named: true, For: what, RunID: echoed(run), Code: code, Message: message, RetryAfter: retryAfter,
	})
}

// onResume follows a run again.
func (c *connection) onResume(ctx actor.Context, m *protocol.Resume) {
	c.resumes = true
	t := &asking{turn: turn{id: m.ID, after: m.After, forWhat: protocol.ForResume}}
	switch {
	case m.ID != "" && c.byID(m.ID) != nil:
		c.answer(protocol.ForResume, m.RunID, protocol.InvalidMessage, "A turn of this id is running on this socket. Use another id.", 0)
	case c.byRun(m.RunID) != nil:
		c.answer(protocol.ForResume, m.RunID, protocol.InvalidMessage, followsAlready, 0)
	case c.own() >= c.gateway.cfg.Runs.PerConnection:
		c.answer(protocol.ForResume, m.RunID, protocol.RunInProgress, "Too many answers are being written on this connection already.", 0)
	case c.draining:
		c.answer(protocol.ForResume, m.RunID, protocol.ShuttingDown, "This server is shutting down. Reconnect and resume.", 1)
	case c.tooManyMisses(protocol.ForResume, m.RunID):
	case m.RunID != "":
		c.view(ctx, t, m.RunID)
	default:
		c.seek(ctx, t, toResume, m.ClientKey)
	}
}

const followsAlready = "This socket follows that run already."

// tooManyMisses refuses a client that has named too many runs that are not
// there.
func (c *connection) tooManyMisses(what, run string) bool {
	d := c.gateway.misses.MayMessage(time.Now(), c.client.Address, "")
	if d.OK {
		return false
	}
	c.gateway.offend(&c.client)
	c.answer(what, run, protocol.RateLimitExceeded, fmt.Sprintf(
		"Too many runs were asked for that are not there: at most %d a minute. Try again in %d s.", missesMax, seconds(d.RetryAfter)), seconds(d.RetryAfter))
	return true
}

// missed counts a run that the client named and that is not there.
func (c *connection) missed() { c.gateway.misses.Message(time.Now(), c.client.Address, "") }

// view follows a run that this socket did not start, or cancels it.
func (c *connection) view(ctx actor.Context, t *asking, run string) {
	t.viewer, t.named, t.state, t.heard, t.sought = true, true, turnFinding, time.Now(), run
	t.room = c.gateway.answerRoom()
	if !c.gateway.jobs.Connected() {
		c.apply(ctx, t, t.noBus())
		return
	}
	c.list(ctx, t)
	c.follow(ctx, t)
}

// list enters a turn that looks for its run.
func (c *connection) list(ctx actor.Context, t *asking) {
	c.turns = append(c.turns, t)
	c.busy()
	c.enlist(ctx, t)
}

// follow asks the run's worker. The worker comes from the roster's own token,
// never from the client's bytes.
func (c *connection) follow(ctx actor.Context, t *asking) {
	worker, known := c.gateway.workerOf(t.sought)
	switch {
	case known:
	case c.mustSettle(ctx, t):
		return
	default:
		if !c.gateway.wasWorker(t.sought) { // one that died lately is no guess
			c.missed()
		}
		c.apply(ctx, t, t.missing())
		return
	}
	t.worker = worker
	c.gateway.followers.bind(t.to, t.sought, worker) // before the answer: who leaves meanwhile must be let go there too
	m := &bus.Control{Type: bus.ControlResume, Run: t.sought, Cut: t.after}
	if t.forWhat == protocol.ForCancel {
		m.Type = bus.ControlCancel
	}
	c.controlTo(t, worker, m)
	t.wait(after(c.sys, offerTimeout, ctx.Self(), &offerLate{to: t.to}))
}

// mustSettle makes a turn wait, once, for a gateway that does not know yet who
// lives.
func (c *connection) mustSettle(ctx actor.Context, t *asking) bool {
	wait := c.gateway.unsettled(time.Now())
	if wait == 0 || t.patient {
		return false
	}
	t.patient = true
	t.wait(after(c.sys, wait, ctx.Self(), &settled{to: t.to}))
	return true
}

func (c *connection) onSettled(ctx actor.Context, to uint64) {
	t := c.byTo(to)
	if t == nil {
		return
	}
	switch t.state {
	case turnFinding:
		c.follow(ctx, t)
	case turnSeeking:
		c.look(ctx, t)
	case turnAccepted, turnStreaming:
		c.stopAgain(t)
	}
}

// stopAgain says a cancel once more: a run that did not hear it writes on.
func (c *connection) stopAgain(t *asking) {
	if t.stopping && t.run != "" && (t.state == turnAccepted || t.state == turnStreaming) {
		c.control(t, &bus.Control{Type: bus.ControlCancel})
	}
}

// seek looks for the run of a client_key among the live workers.
func (c *connection) seek(ctx actor.Context, t *asking, e errand, key protocol.ClientKey) {
	t.named, t.state, t.heard = true, turnSeeking, time.Now()
	t.search = &search{errand: e, key: key, heard: map[string]bool{}}
	if !c.gateway.jobs.Connected() {
		c.apply(ctx, t, t.noBus())
		return
	}
	if d := c.gateway.searches.Message(time.Now(), c.client.Address, ""); !d.OK {
		c.apply(ctx, t, t.fail(protocol.RateLimitExceeded, fmt.Sprintf(
			"Too many runs were looked for by client_key: at most %d a minute. Try again in %d s.", searchesMax, seconds(d.RetryAfter)), seconds(d.RetryAfter)))
		return
	}
	c.list(ctx, t)
	if !c.mustSettle(ctx, t) {
		c.look(ctx, t)
	}
}

func (c *connection) look(ctx actor.Context, t *asking) {
	workers, s := viewOf(&c.gateway.roster).workers, t.search
	s.open, s.unheard = 0, false
	t.wait(after(c.sys, searchPatience, ctx.Self(), &searchLate{to: t.to}))
	for id := range workers {
		if s.heard[id] {
			continue
		}
		s.open++
		s.failed = !c.controlTo(t, id, &bus.Control{Type: bus.ControlFind, ClientKey: s.key[:], Name: t.id}) || s.failed
	}
	if s.open == 0 || s.failed {
		c.decide(ctx, t)
	}
}

// onSought takes one worker's answer. A run that still generates, found by its
// name, needs no second opinion.
func (c *connection) onSought(ctx actor.Context, t *asking, r *bus.Reply) {
	s := t.search
	if r.Worker != "" && s.heard[r.Worker] {
		return // the bus repeated it
	}
	s.heard[r.Worker] = true
	s.open--
	if r.Type == bus.ReplyFound {
		s.best = better(s.best, r)
	}
	if s.open <= 0 || (t.id != "" && s.best != nil && !s.best.Over) {
		c.decide(ctx, t)
	}
}

func (c *connection) onSearchLate(ctx actor.Context, to uint64) {
	t := c.byTo(to)
	if t == nil || t.state != turnSeeking {
		return
	}
	if s := t.search; s.unheard && s.again < sayAgainMax && !s.enough(t) {
		s.again++
		c.look(ctx, t) // who was away for a moment may have it
		return
	}
	c.decide(ctx, t)
}

// decide ends a search: the turn follows what was found, or is what it would
// have been without one.
func (c *connection) decide(ctx actor.Context, t *asking) {
	s := t.search
	t.search = nil
	began := false
	if s.errand == toRepeat { // nothing was read meanwhile
		defer func() {
			if !began { // else the limiter's answer goes on
				c.next(ctx)
			}
		}()
	}
	same := s.best != nil && bytes.Equal(s.best.Content, t.hash[:])
	switch {
	case s.failed, !c.gateway.jobs.Connected():
		c.apply(ctx, t, t.noBus())
	case s.errand == toRepeat && same:
		t.question.key.Zero() // its run has it
		c.found(ctx, t, s.best.Run)
	case s.errand == toRepeat && s.best != nil && !s.best.Over:
		c.apply(ctx, t, t.fail(protocol.InvalidMessage, "A turn of this id is running with other content. Use a new id.", 0))
	case s.errand == toRepeat:
		began = c.anew(ctx, t)
	case s.best == nil:
		c.missed()
		c.apply(ctx, t, t.missing())
	default:
		c.found(ctx, t, s.best.Run)
	}
}

// found goes on with the run that a search found.
func (c *connection) found(ctx actor.Context, t *asking, run string) {
	own := c.byRun(run)
	switch {
	case own == nil:
		c.unlist(t)
		c.view(ctx, t, run)
	case t.forWhat == protocol.ForCancel:
		c.unlist(t)
		c.apply(ctx, own, own.cancel())
	default:
		c.apply(ctx, t, t.fail(protocol.InvalidMessage, followsAlready, 0))
	}
}

// anew starts the run that nobody had, and tells whether it did.
func (c *connection) anew(ctx actor.Context, t *asking) bool {
	switch {
	case t.stopping:
		c.apply(ctx, t, t.finish(protocol.Frame{Type: protocol.TypeCancelled}))
	case c.draining:
		c.apply(ctx, t, t.fail(protocol.ShuttingDown, "This server is shutting down. Reconnect and ask again.", 1))
	default:
		c.unlist(t)
		t.state = turnAsked
		c.begin(ctx, t)
		return true
	}
	return false
}

// unlist takes out a turn that goes another way.
func (c *connection) unlist(t *asking) {
	t.wait(nil)
	c.gateway.followers.drop(t.to)
	if i := slices.Index(c.turns, t); i >= 0 {
		c.turns = slices.Delete(c.turns, i, i+1)
	}
}
