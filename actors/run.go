package actors

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// runState is how far a generation has come.
type runState uint8

const (
	runWaitingKey runState = iota // accepted; the user's sealed key is on its way
	runStreaming                  // the provider was called
	runStopping                   // the provider call is being ended; its return decides
	runOver                       // the terminal event is out
)

// Why a provider call was ended by us. The run's cause decides its terminal.
var (
	errCancelled = errors.New("cancelled")
	errTooLong   = errors.New("longer than runs.max_output_bytes")
	errShutdown  = errors.New("worker shuts down")
	errNoKey     = errors.New("the sealed key did not arrive")
)

// Clocks of a run besides its provider's.
const (
	keyPatience  = 30 * time.Second       // for the sealed key after the accept: the bus may be away meanwhile
	stopPatience = 2 * time.Second        // for the provider call to return after a cancel
	saySeqEvery  = 5 * time.Second        // a silent run says its last seq
	keyWanted    = 2 * time.Second        // a run without its key says its name as often
	nameAgain    = 150 * time.Millisecond // after the accept a run says its name once more: accepts can be lost
	repeatFirst  = 100 * time.Millisecond // until a terminal is acknowledged, doubling
	repeatMax    = 30 * time.Second
)

// run is one generation. It owns the text so far, the sequence numbers and the
// provider call, and it outlives the sockets that follow it.
type run struct {
	guard

	// Set once.
	worker *Worker
	record *runRecord
	setup  *ProviderSetup
	log    zerolog.Logger
	clocks clocks
	piece  int // bytes of escaped text that one event may carry

	// Shared with the provider call.
	alive   atomic.Int64 // the moment of the vendor's last byte
	movable atomic.Bool  // whoever asked would ask another worker

	// Owned by Receive.
	state   runState
	script  transcript
	scratch []byte
	raw     int   // bytes of text before escaping
	place   int   // in the provider's queue; 0 = not in it
	waiting bool  // no vendor is being asked now
	cause   error // why we ended the call; nil = we did not
	final   *bus.Event
	named   bool   // an event has said this run's name
	keyID   string // fingerprint of the deployment's key that was used
	nobody  bool   // no client can come back: it has no name, or its accept was released
	round   int    // counts departures, so that an old grace does not end a new stay
	repeat  time.Duration
	clock   *time.Timer // what is due next; once over, the end of keeping
	again   *time.Timer // the second look at a stop or at an unacknowledged end
	said    time.Time   // when the followers last heard something
	called  time.Time   // when a vendor was first asked; zero before
	stopped time.Time
	gap     time.Duration // longest silence inside the answer
}

// clocks of one provider call.
type clocks struct{ first, stall, whole time.Duration }

func newRun(w *Worker, r *runRecord, setup *ProviderSetup) *run {
	return &run{
		guard: guard{sys: w.sys, kind: kindRun}, worker: w, record: r, setup: setup,
		log:   w.log.With().Str("run", r.id).Str("session", r.job.Session).Logger(),
		piece: bus.MaxText(w.bus.MaxPayload()),
	}
}

// clocksOf are the clocks of one provider's calls.
func clocksOf(c *provider.Config, all RunsConfig) clocks {
	return clocks{
		first: cmp.Or(c.FirstTokenTimeout, all.FirstTokenTimeout),
		stall: cmp.Or(c.StallTimeout, all.StallTimeout),
		whole: cmp.Or(c.Timeout, all.Timeout),
	}
}

// Receive is the table of contents of a run.
func (r *run) Receive(ctx actor.Context) {
	defer r.caught(ctx)
	r.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.onStarted(ctx)

	case *piece: // provider call → us; first because it is the hot path
		r.onPiece(ctx, m.text)
	case *reasoned:
		r.onReasoned(m.text)
	case *queuedAt:
		r.onQueued(ctx, m.position)
	case *calling:
		r.onCalling(ctx, m)
	case *streamEnded:
		r.onStreamEnded(ctx, m)

	case *keyArrived: // gateway → us
		r.onKey(ctx, m.sealed)
	case *stopRun:
		r.onStop(ctx, m)
	case *followed:
		r.onFollowed(ctx, m)
	case *followerGone:
		r.onFollowerGone(ctx, m.control)
	case *acknowledged:
		r.onAcknowledged(ctx, m)

	case *clockDue: // clocks → us
		r.onClock(ctx)
	case *keyLate:
		r.onKeyLate(ctx)
	case *nameDue:
		r.onNameDue(ctx)
	case *stopLate:
		r.onStopLate(ctx)
	case *graceOver:
		r.onGraceOver(ctx, m.round)
	case *repeatDue:
		r.onRepeat(ctx)
	case *expire:
		r.onExpire(ctx)
	case *speak:
		r.onSpeak()
	case *shutDown:
		r.onShutDown(ctx)
	case *actor.Stopping:
		r.letGo()
	}
}

// onStarted accepts the job: published before the vendor is called.
func (r *run) onStarted(ctx actor.Context) {
	job := r.record.job
	r.said, r.nobody = time.Now(), job.Name == ""
	if r.worker.runs.tooLate(job, r.said) { // this process was paused: the job is somebody else's by now
		r.giveUp(ctx)
		return
	}
	if err := r.worker.bus.Reply(r.record.reply, &bus.Reply{Type: bus.ReplyAccepted, Run: r.record.id, Worker: r.worker.id}); err != nil {
		r.log.Warn().Err(err).Msg("Job could not be accepted")
		r.giveUp(ctx)
		return
	}
	r.record.accepted = true
	r.worker.runs.accepted(r.record)
	defer func() { // meanwhile the vendor is called
		r.log.Info().Str("provider", job.Provider).Str("gateway", job.Gateway).Msg("Run accepted")
	}()
	if job.NeedsKey {
		r.clock = after(r.sys, keyPatience, ctx.Self(), &keyLate{})
		r.lookAgain(ctx, nameAgain, &nameDue{})
		return
	}
	r.call(ctx, protocol.Secret{})
}

// giveUp ends a run that was never accepted.
func (r *run) giveUp(ctx actor.Context) {
	r.worker.runs.declined(r.record.job.Job)
	r.over(ctx)
	r.record.told = true // nobody waits
	ctx.Stop(ctx.Self())
}

// onKey opens the user's key. A key that cannot be opened ends the run.
func (r *run) onKey(ctx actor.Context, sealed []byte) {
	if r.state != runWaitingKey {
		return
	}
	plain, err := r.worker.keys.Open(sealed, bus.SealInfo(r.record.id, r.record.job.Provider))
	if err != nil {
		r.log.Warn().Err(err).Msg("Sealed key could not be opened")
		r.end(ctx, r.failure(protocol.Internal, "Your key did not arrive intact. Ask again.", 0))
		return
	}
	if len(plain) == 0 { // without one the deployment's would be spent
		r.end(ctx, r.failure(protocol.Internal, "Your key arrived empty. Ask again.", 0))
		return
	}
	r.call(ctx, protocol.NewSecret(plain))
	if r.state == runStreaming {
		r.saySeq() // the gateway need not send it again
	}
}

func (r *run) onKeyLate(ctx actor.Context) {
	if r.state == runWaitingKey {
		r.log.Warn().Err(errNoKey).Msg("Run without its key")
		r.end(ctx, r.failure(protocol.Internal, "Your key did not arrive at the worker. Ask again.", 1))
	}
}

// call asks the vendor, in a goroutine of its own whose end is a message.
func (r *run) call(ctx actor.Context, key protocol.Secret) {
	r.stopClock()
	q, err := ask(r.record.job, key)
	if err != nil {
		key.Zero()
		r.end(ctx, r.failure(protocol.InvalidMessage, "The messages of this question cannot be read.", 0))
		return
	}
	call, cancel := context.WithCancelCause(context.Background())
	r.record.cancel = cancel
	r.state, r.waiting = runStreaming, true
	r.movable.Store(r.record.job.Movable && r.listener(r.record.job.Gateway, r.record.job.To) != nil)
	e := r.inquiry(key)
	self := ctx.Self()
	r.sys.run("provider call", func() {
		defer key.Zero()
		r.sys.root.Send(self, &streamEnded{e.run(call, q)})
	}, func() {
		broken := e.last
		broken.err = &protocol.Error{Code: protocol.Internal, Message: "The provider's adapter failed."}
		r.sys.root.Send(self, &streamEnded{broken})
	})
	r.arm(ctx, time.Now())
	if !r.named {
		r.lookAgain(ctx, nameAgain, &nameDue{})
	}
}

// inquiry is this run's way to its answer.
func (r *run) inquiry(key protocol.Secret) *inquiry {
	return &inquiry{
		worker: r.worker, job: r.record.job, setup: r.setup, key: key, log: r.log, coming: r.record.coming, movable: &r.movable,
		trace: r.record.trace,
		sink: &sink{
			sys: r.sys, run: r.record.mailbox, alive: &r.alive, runs: r.worker.cfg.Runs, speaker: r.worker.speaker,
			room: r.worker.cfg.Runs.MaxOutputBytes + utf8Slack, reasoning: r.record.job.Reasoning,
		},
	}
}

// onCalling starts the clocks of one call. The one over the whole answer began
// with the first.
func (r *run) onCalling(ctx actor.Context, m *calling) {
	if r.state != runStreaming {
		return
	}
	now := time.Now()
	queued := r.place > 0
	if r.called.IsZero() {
		r.called = now
		r.clocks = m.clocks
	}
	r.clocks.first, r.clocks.stall = m.clocks.first, m.clocks.stall
	r.record.calls, r.record.keyID, r.place, r.waiting = m.n, m.keyID, 0, false
	r.record.provider, r.record.model = m.provider, m.model
	if queued {
		r.said = now
		r.saySeq() // it is its turn
	}
	r.arm(ctx, now)
}

// onQueued: there is no room at the provider, or it is left alone for a moment.
// No clock of the vendor's runs meanwhile.
func (r *run) onQueued(ctx actor.Context, position int) {
	if r.state != runStreaming {
		return
	}
	r.place, r.waiting = position, true
	now := time.Now()
	if position > 0 {
		r.said = now
		r.record.trace.queued(position)
		r.saySeq()
	}
	r.arm(ctx, now)
}

// ask makes a vendor's question of a job.
func ask(job *bus.Job, key protocol.Secret) (*provider.Question, error) {
	q := &provider.Question{
		Model: job.Model, System: job.System, Temperature: job.Temperature, MaxTokens: job.MaxTokens, Key: key,
		Reasoning: job.Reasoning,
	}
	if err := json.Unmarshal(job.Messages, &q.Messages); err != nil || len(q.Messages) == 0 {
		return nil, fmt.Errorf("messages of job %s: %w", job.Job, errors.Join(err, errNoMessages))
	}
	return q, nil
}

var errNoMessages = errors.New("none, or not a list of role and content")

// utf8Slack lets the sink pass one piece beyond the bound, so that the run sees
// that it was reached.
const utf8Slack = 64 << 10

// stopCall ends the provider call; its return ends the run, or the second look.
func (r *run) stopCall(ctx actor.Context, why error) {
	if r.state != runStreaming {
		return
	}
	r.state, r.cause, r.stopped = runStopping, why, time.Now()
	r.record.cancel(why)
	r.lookAgain(ctx, stopPatience, &stopLate{})
}

// arm replaces the clock by the one that is due next.
func (r *run) arm(ctx actor.Context, now time.Time) {
	if r.clock != nil {
		r.clock.Stop()
	}
	due := r.said.Add(saySeqEvery)
	if r.state == runStreaming && !r.called.IsZero() {
		if d := r.called.Add(r.clocks.whole); d.Before(due) {
			due = d
		}
		if d := r.silenceDue(); !r.waiting && d.Before(due) {
			due = d
		}
	}
	r.clock = after(r.sys, max(due.Sub(now), time.Millisecond), ctx.Self(), &clockDue{})
}

// silenceDue is when the vendor has been silent for too long.
func (r *run) silenceDue() time.Time {
	patience := r.clocks.stall
	if r.script.seq() == 0 {
		patience = r.clocks.first
	}
	return r.sys.at(moment(r.alive.Load())).Add(patience)
}

func (r *run) onClock(ctx actor.Context) {
	if r.state == runOver {
		return
	}
	now := time.Now()
	if r.state == runStreaming && !r.called.IsZero() {
		switch {
		case !now.Before(r.called.Add(r.clocks.whole)):
			r.timeOut(ctx, fmt.Sprintf("The answer took longer than %s in all.", r.clocks.whole))
		case r.waiting:
		case !now.Before(r.silenceDue()) && r.script.seq() == 0:
			r.timeOut(ctx, fmt.Sprintf("The provider said nothing for %s.", r.clocks.first))
		case !now.Before(r.silenceDue()):
			r.timeOut(ctx, fmt.Sprintf("The provider fell silent for %s in the middle of its answer.", r.clocks.stall))
		}
	}
	if now.Sub(r.said) >= saySeqEvery {
		r.said = now
		r.saySeq()
	}
	r.arm(ctx, now)
}

// onNameDue: a run that waits for its key goes on saying its name. Were its accept
// lost with the bus, and its first words too, its gateway would ask elsewhere and
// this run would wait for nobody.
func (r *run) onNameDue(ctx actor.Context) {
	if r.state != runWaitingKey {
		r.sayName()
		return
	}
	r.saySeq()
	r.lookAgain(ctx, keyWanted, &nameDue{})
}

// sayName makes up for an accept that was lost: before the first chunk, or soon
// where that is slow.
func (r *run) sayName() {
	if !r.named && r.state != runOver {
		r.saySeq()
	}
}

// saySeq tells the followers how far the run is, and whose it is.
func (r *run) saySeq() {
	r.named = true
	state := protocol.StateStreaming
	switch {
	case r.state == runWaitingKey:
		state = protocol.StateWaiting
	case r.state == runStreaming && r.place > 0:
		state = protocol.StateQueued
	}
	for _, f := range r.record.followers {
		r.worker.speaker.Publish(f.gateway, &bus.Event{
			Type: bus.EventStatus, To: f.to, Run: r.record.id, Seq: r.script.seq(), State: state, Position: r.place,
		}, false)
	}
}

// onSpeak: who follows may have missed something, or follow no more.
func (r *run) onSpeak() {
	if r.state != runOver {
		r.saySeq()
		return
	}
	for _, f := range r.record.followers {
		r.tellEnd(f)
	}
}

func (r *run) timeOut(ctx actor.Context, message string) {
	r.stopCall(ctx, &protocol.Error{Code: protocol.ProviderTimeout, Message: message})
}

// lookAgain replaces the second look.
func (r *run) lookAgain(ctx actor.Context, d time.Duration, m any) {
	if r.again != nil {
		r.again.Stop()
	}
	r.again = after(r.sys, d, ctx.Self(), m)
}

func (r *run) stopClock() {
	for _, t := range []*time.Timer{r.clock, r.again} {
		if t != nil {
			t.Stop()
		}
	}
	r.clock, r.again = nil, nil
}

// letGo is all that ends with the actor: orderly end and crash alike.
func (r *run) letGo() {
	r.stopClock()
	if r.record.cancel != nil {
		r.record.cancel(nil)
	}
}
