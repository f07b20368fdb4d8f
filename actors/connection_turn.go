package actors

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/trace"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// apply carries out what a transition asks for.
func (c *connection) apply(ctx actor.Context, t *asking, s step) {
	if s.send {
		t.heard = time.Now()
		if s.frame.For != "" { // the client asked for a run: it hears which one
			s.frame.Named, s.frame.RunID = true, echoed(t.sought)
		}
		c.send(&s.frame)
	}
	switch s.verb {
	case doOffer:
		c.offer(ctx, t)
	case doWithdraw:
		c.withdraw(ctx, t)
	case doWait:
		c.gateway.followers.queue(t.to, t.provider)
		t.wait(after(c.sys, retryPause(), ctx.Self(), &retryDue{to: t.to}))
	case doKey:
		c.sendKey(ctx, t)
	case doCancel:
		c.gateway.followers.stop(t.to)
		c.control(t, &bus.Control{Type: bus.ControlCancel})
	case doHeal:
		t.trace.event(trace.EventHealed)
		t.resumed = time.Now()
		c.control(t, &bus.Control{Type: bus.ControlResume, After: t.seq, Cut: t.after})
	case doAck:
		c.control(t, &bus.Control{Type: bus.ControlAck})
	case doMove:
		t.trace.event(trace.EventMoved)
		c.control(t, &bus.Control{Type: bus.ControlAck})
		t.question.job.Avoid = []string{t.worker}
		t.run, t.worker = "", ""
		c.offer(ctx, t)
	}
	if s.end {
		if t.search != nil && t.search.errand == toRepeat {
			defer c.next(ctx) // nothing was read while it was looked for
		}
		if s.verb != doAck && t.run != "" {
			c.letGo(t) // not the run's own end: it may still be there
		}
		c.finish(t, &s.frame)
	}
}

// echoed is the run_id that a client asked for, in the answer to that client. Only
// what looks exactly like one of ours comes back: a field that was mixed up may
// hold a key.
func echoed(run string) string {
	worker, secret, _ := strings.Cut(run, runSeparator)
	if len(worker) != tokenShort || len(secret) != tokenLong || strings.Trim(worker+secret, tokenLetters) != "" {
		return ""
	}
	return run
}

// retryPause is how long a queued turn waits before it asks again.
func retryPause() time.Duration {
	return 400*time.Millisecond + rand.N(200*time.Millisecond)
}

// offer publishes the job under a new name: answers to the older one are late.
func (c *connection) offer(ctx actor.Context, t *asking) {
	c.gateway.followers.drop(t.to)
	c.enlist(ctx, t)
	t.keyed, t.keys, t.unheard = false, 0, 0
	t.offeredTo, t.withdrawal = viewOf(&c.gateway.roster), nil
	q, now := t.question, time.Now()
	q.job.To, q.job.Job, q.job.Trace = t.to, newToken(), t.trace.offered(t.attempt)
	if !t.avoiding {
		q.job.Avoid = nil
	}
	q.job.Movable = t.attempt < t.attempts && c.gateway.hasOther(t.provider)
	t.movable = q.job.Movable
	q.job.Sent, q.job.Deadline = now.UnixMilli(), now.Add(offerTimeout).UnixMilli()
	if err := c.gateway.jobs.Ask(&q.job); err != nil {
		c.apply(ctx, t, c.undeliverable(t, err))
		return
	}
	t.wait(after(c.sys, offerTimeout, ctx.Self(), &offerLate{to: t.to}))
}

// enlist names a turn on the bus.
func (c *connection) enlist(ctx actor.Context, t *asking) {
	f := &follower{
		pid: ctx.Self(), box: &c.box, session: &c.Session, name: c.client.Session,
		onDisconnect: protocol.OnDisconnectGrace, named: t.viewer || t.id != "",
	}
	if q := t.question; q != nil {
		f.onDisconnect = q.job.OnDisconnect
	}
	t.to = c.gateway.followers.add(f)
}

func (c *connection) undeliverable(t *asking, err error) step {
	if errors.Is(err, bus.ErrTooLarge) {
		return t.fail(protocol.InvalidMessage, "The question with its earlier messages is larger than the message bus carries. Send fewer or shorter messages.", 0)
	}
	c.line(zerolog.DebugLevel).Err(err).Msg("Job could not be published")
	return t.noBus()
}

// control sends one word to the run of a turn.
func (c *connection) control(t *asking, m *bus.Control) {
	m.Run = t.run
	c.controlTo(t, t.worker, m)
}

// controlTo tells whether the word is on its way.
func (c *connection) controlTo(t *asking, worker string, m *bus.Control) bool {
	m.Gateway, m.To, m.Session = c.gateway.id, t.to, c.client.Session
	if err := c.gateway.jobs.Control(worker, m); err != nil {
		if m.Type == bus.ControlAck { // else the run would say its end until it is forgotten
			c.gateway.owe(leaving{worker: worker, control: m})
		}
		c.line(zerolog.DebugLevel).Err(err).Str("control", m.Type).Str("run", m.Run).Msg("Control could not be published")
		return false
	}
	return true
}

// finish forgets a turn whose terminal frame was sent.
func (c *connection) finish(t *asking, f *protocol.Frame) {
	t.trace.ended(&t.turn, f)
	t.forget()
	c.gateway.followers.drop(t.to)
	if i := slices.Index(c.turns, t); i >= 0 {
		c.turns = slices.Delete(c.turns, i, i+1)
	}
	if q := t.question; q != nil && (t.attempt > 0 || t.run != "") { // what the limiter refused never was a run
		c.account(t, f)
	}
	c.afterTurn(t.viewer || t.id != "")
}

// account remembers a question that was answered here, and counts it where it
// was asked here.
func (c *connection) account(t *asking, f *protocol.Frame) {
	if !t.viewer {
		c.gateway.turnEnded(f)
	}
	c.logTurn(t, f)
	if f.Type != protocol.TypeError {
		c.memory.add(t.question.content, t.text, c.gateway.cfg.Chat.Memory)
	}
	if t.id != "" && t.run != "" {
		if len(c.ended) == endedKept {
			c.ended = slices.Delete(c.ended, 0, 1)
		}
		c.ended = append(c.ended, endedTurn{id: t.id, hash: t.hash, run: t.run})
	}
}

func (c *connection) logTurn(t *asking, f *protocol.Frame) {
	e := c.line(zerolog.InfoLevel).Str("run", t.run).Str("outcome", string(f.Type)).Str("provider", t.provider).Uint64("chunks", t.seq)
	if f.Type == protocol.TypeError {
		e = e.Str("code", string(f.Code))
	}
	e.Msg("Turn ended")
}

// afterTurn looks whether the connection has a reason to go on.
func (c *connection) afterTurn(named bool) {
	if len(c.turns) > 0 || c.waiting != nil || c.state != ready {
		return
	}
	c.idle(time.Now())
	switch {
	case c.client.Kind == protocol.HTTP:
		c.close("")
	case c.draining:
		c.close(protocol.ShuttingDown)
	case !named && c.gateway.cfg.Chat.CloseAfterComplete:
		c.close("")
	}
}

// onChunks is the hot path: look up, append, hand over. What came together goes
// out together.
func (c *connection) onChunks(ctx actor.Context, m *chunksArrived) {
	if t := c.byTo(m.to); t != nil {
		t.spoke, t.unheard = time.Now(), 0
		held := false // t.frame is ready and not sent
		for i := range m.chunks {
			held = c.chunk(ctx, t, &m.chunks[i], held)
		}
		if held {
			c.socket.Send(&t.frame)
		}
	}
	c.gateway.gather.done(m)
}

// chunk takes one chunk. With held, t.frame is shown first; it tells whether
// t.frame is held now.
func (c *connection) chunk(ctx actor.Context, t *asking, a *arrived, held bool) bool {
	verdict := t.chunk(a.seq, a.text)
	if verdict == chunkNext {
		if held {
			c.socket.Queue(&t.frame)
		}
		if t.seq == 1 {
			c.begun(t)
		}
		t.heard = t.spoke
		t.frame = protocol.Frame{Type: protocol.TypeChunk, Named: t.named, ID: t.id, RunID: t.run, Seq: a.seq, Text: a.text}
		return true
	}
	if held {
		c.socket.Send(&t.frame)
	}
	switch verdict {
	case chunkIgnored:
		if t.healing && t.spoke.Sub(t.resumed) > t.patience() { // what would heal it was lost, too
			c.apply(ctx, t, t.heal())
		}
	case chunkGap:
		c.apply(ctx, t, t.heal())
	case chunkTooMuch:
		c.apply(ctx, t, t.tooMuch())
	}
	return false
}

func (c *connection) onEvent(ctx actor.Context, m *eventArrived) {
	e := &m.event
	t := c.byTo(e.To)
	if t == nil {
		return
	}
	if e.Run != "" && e.Run != t.run && !c.adopt(ctx, t, e) {
		return
	}
	t.spoke, t.unheard = time.Now(), 0
	switch e.Type {
	case bus.EventSnapshot:
		c.apply(ctx, t, t.snapshot(e))
		if t.seq > 0 {
			c.begun(t)
		}
	case bus.EventReasoning:
		if t.named && t.live() {
			t.begun = true
			c.begun(t)
			c.apply(ctx, t, step{send: true, frame: protocol.Frame{Type: protocol.TypeReasoning, Named: true, ID: t.id, RunID: t.run, Text: e.Text}})
		}
	case bus.EventStatus:
		if e.State == protocol.StateStreaming || e.State == protocol.StateQueued {
			c.hasKey(t)
		}
		c.apply(ctx, t, t.placed(e))
		c.apply(ctx, t, t.silent(e.Seq))
	case bus.EventComplete, bus.EventCancelled, bus.EventError:
		c.apply(ctx, t, t.ended(e))
	}
}

// begun: text is there, so there is no second attempt that would need the key.
func (c *connection) begun(t *asking) {
	c.hasKey(t)
	t.trace.shown()
	if t.question != nil {
		t.question.key.Zero()
	}
}

// adopt takes what a run says of itself for its accept, and tells whether the
// turn is that run's now. An accept can be lost; where the turn has another run
// already, the bus delivered the job twice.
func (c *connection) adopt(ctx actor.Context, t *asking, e *bus.Event) bool {
	worker, known := c.gateway.workerOf(e.Run)
	if !known || t.viewer {
		return false
	}
	c.onReplied(ctx, &replied{to: e.To, reply: &bus.Reply{Type: bus.ReplyAccepted, Run: e.Run, Worker: worker}})
	return t.run == e.Run && t.live()
}

func (c *connection) onOfferLate(ctx actor.Context, to uint64) {
	t := c.byTo(to)
	if t == nil {
		return
	}
	switch t.state {
	case turnOffered:
		c.apply(ctx, t, t.noAccept())
	case turnWithdrawing:
		c.askBack(ctx, t)
	case turnFinding: // its answer may still come, when nobody listens any more
		c.letGo(t)
		c.apply(ctx, t, t.missing())
	}
}

func (c *connection) onRetryDue(ctx actor.Context, to uint64) {
	if t := c.byTo(to); t != nil {
		c.apply(ctx, t, t.retry())
	}
}

func (c *connection) onWorkerLost(ctx actor.Context, to uint64) {
	if t := c.byTo(to); t != nil {
		c.lost(ctx, t)
	}
}

// lost ends a turn whose worker is gone, or moves it. Were the worker only deaf
// for a while, nobody would come back for the run that was left behind.
func (c *connection) lost(ctx actor.Context, t *asking) {
	l := c.goodbye(t)
	t.trace.event(trace.EventWorkerLost)
	s := t.lost()
	if s.verb == doOffer && l.control.Run != "" {
		l.control.Type = bus.ControlRelease
		c.gateway.say(l)
	}
	c.apply(ctx, t, s)
}

// secede gives a turn a new name on the bus. The bus delivered its job twice and
// two runs answer to the old one: the second is released, but until it hears of
// it nobody can tell its chunks from those of the first.
func (c *connection) secede(ctx actor.Context, t *asking) {
	if t.run == "" {
		return
	}
	old := c.goodbye(t)
	c.enlist(ctx, t)
	c.gateway.followers.bind(t.to, t.run, t.worker)
	c.apply(ctx, t, t.heal()) // first, so that the run is never alone
	c.gateway.followers.drop(old.control.To)
	c.gateway.say(old)
}

// onBusLost ends what waited for the bus as long as it may.
func (c *connection) onBusLost(ctx actor.Context) {
	for _, t := range slices.Clone(c.turns) {
		c.apply(ctx, t, t.fail(protocol.BusUnavailable, "The message bus could not be reached for too long. The run can be resumed.", 1))
	}
}

// letGo tells the run of a turn that this turn follows it no more.
func (c *connection) letGo(t *asking) { c.gateway.say(c.goodbye(t)) }

// goodbye is what the run of a turn must hear, at the latest when the bus is
// back.
func (c *connection) goodbye(t *asking) leaving {
	policy, run := protocol.OnDisconnectGrace, t.run
	switch q := t.question; {
	case t.stopping || (q != nil && t.id == ""):
		policy = protocol.OnDisconnectCancel
	case q != nil:
		policy = graceOf(q.job.OnDisconnect)
	}
	if run == "" {
		run = t.sought
	}
	return leaving{worker: t.worker, control: &bus.Control{
		Type: bus.ControlGone, Run: run, Gateway: c.gateway.id, To: t.to, Session: c.client.Session, OnDisconnect: policy,
	}}
}

// onBusBack asks each run for what was missed meanwhile, and says again what
// the run may have missed.
func (c *connection) onBusBack(ctx actor.Context) {
	for _, t := range slices.Clone(c.turns) {
		if t.stopping && t.run != "" {
			c.control(t, &bus.Control{Type: bus.ControlCancel})
		}
		t.keys = 0
		c.sendKey(ctx, t)
		c.apply(ctx, t, t.heal())
	}
}

func (c *connection) onSilence(ctx actor.Context, now time.Time) {
	for _, t := range slices.Clone(c.turns) {
		c.apply(ctx, t, t.silence(now))
		c.stopAgain(t)
		if away, _ := c.gateway.busAway(); !away && t.live() && now.Sub(t.spoke) > runSilence {
			c.apply(ctx, t, t.heal())
		}
	}
}
