package actors

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// runOverhead is what an ended run costs besides its text, in bytes: the actor
// with its mailbox, the record, the table entries.
const runOverhead = 2 << 10

// onStreamEnded: the vendor's connection is closed. What we wanted when we
// ended the call decides the terminal event; else the vendor's answer does.
func (r *run) onStreamEnded(ctx actor.Context, m *streamEnded) {
	if r.state != runStreaming && r.state != runStopping {
		return
	}
	r.record.calls = max(r.record.calls, m.calls) // one that began while we stopped it was not heard of
	e := &bus.Event{
		Provider: cmp.Or(m.provider, r.record.job.Provider), Model: m.result.Model, Finish: m.result.Finish,
		Attempts: m.calls, Usage: r.usage(m),
	}
	r.keyID = m.keyID
	var ours *protocol.Error
	switch {
	case errors.Is(r.cause, errCancelled):
		e.Type = bus.EventCancelled
		r.worker.metrics.cancel.Observe(time.Since(r.stopped).Seconds())
	case errors.Is(r.cause, errTooLong):
		e.Type, e.Finish = bus.EventComplete, protocol.FinishLength
	case errors.Is(r.cause, errShutdown):
		e.Type, e.Code, e.Message, e.RetryAfter = bus.EventError, string(protocol.ShuttingDown), "This worker is shutting down. Ask again.", 1
	case errors.As(r.cause, &ours):
		r.asError(e, ours)
	case m.err == nil:
		e.Type = bus.EventComplete
	case errors.As(m.err, &ours):
		r.asError(e, ours)
		e.Elsewhere = m.elsewhere && r.script.seq() == 0
	default:
		r.log.Error().Err(m.err).Msg("Provider call failed without a code")
		r.asError(e, &protocol.Error{Code: protocol.Internal, Message: "The answer broke off inside the server."})
	}
	r.end(ctx, e)
}

func (r *run) asError(e *bus.Event, err *protocol.Error) {
	e.Type, e.Code, e.Message, e.RetryAfter = bus.EventError, string(err.Code), err.Message, err.RetryAfter
	if err.Err != nil {
		r.log.Warn().Str("code", string(err.Code)).Err(err.Err).Msg("Provider failed")
	}
}

func (r *run) failure(code protocol.Code, message string, retryAfter int) *bus.Event {
	return &bus.Event{Type: bus.EventError, Code: string(code), Message: message, RetryAfter: retryAfter, Provider: r.record.job.Provider}
}

// usage is what the vendor told, else an estimate: four bytes a token. Where no
// vendor was asked it is known: nothing.
func (r *run) usage(m *streamEnded) *bus.Usage {
	if u := m.result.Usage; u != nil {
		return &bus.Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, Estimated: u.Estimated}
	}
	return r.record.spent()
}

// spent guesses what a run cost whose vendor did not tell.
func (r *runRecord) spent() *bus.Usage {
	if r.calls == 0 {
		return &bus.Usage{}
	}
	const bytesPerToken = 4
	return &bus.Usage{
		InputTokens:  (len(r.job.Messages) + len(r.job.System)) / bytesPerToken,
		OutputTokens: (r.raw + bytesPerToken - 1) / bytesPerToken, Estimated: true,
	}
}

// end tells the one terminal event to everyone, gives the slot back, and keeps
// the text as long as somebody may come for it.
func (r *run) end(ctx actor.Context, e *bus.Event) {
	if r.state == runOver {
		return
	}
	e.Seq, e.Run = r.script.seq()+1, r.record.id
	r.final = e
	r.over(ctx)
	r.account(e) // first: who hears of the end finds it counted
	for _, f := range r.record.followers {
		r.tellEnd(f)
	}
	r.record.told = true // not before: where this panics the supervisor tells
	r.scratch = nil
	r.record.job.Messages, r.record.job.System = nil, "" // the ledger counts the answer alone
	r.worker.runs.keep(r.record, r.script.size()+runOverhead)
	r.clock = after(r.sys, r.worker.cfg.Runs.Keep, ctx.Self(), &expire{})
	r.repeat = repeatFirst
	r.expectAck(ctx)
}

// over marks the end of the generation.
func (r *run) over(ctx actor.Context) {
	r.state = runOver
	r.stopClock()
	r.letGo()
	r.worker.free(r.record)
}

func (r *run) tellEnd(f *listener) {
	e := *r.final
	e.To = f.to
	r.worker.speaker.Publish(f.gateway, &e, true)
}

// account writes the run's one line, its figures and its usage record.
func (r *run) account(e *bus.Event) {
	if e.Usage == nil {
		e.Usage = &bus.Usage{} // it ended before a vendor was asked
	}
	r.worker.metrics.chunkGap.Observe(r.gap.Seconds())
	r.worker.settleRun(r.record, ending{
		event: e, keyID: r.keyID, chunks: r.script.seq(), log: r.log,
	})
}

// expectAck repeats the terminal until every follower has it. A run that nobody
// can name ends when nobody is left to tell.
func (r *run) expectAck(ctx actor.Context) {
	switch {
	case len(r.record.followers) > 0:
		r.lookAgain(ctx, r.repeat, &repeatDue{})
	case r.nobody:
		ctx.Stop(ctx.Self())
	}
}

func (r *run) onRepeat(ctx actor.Context) {
	for _, f := range r.record.followers {
		r.tellEnd(f)
	}
	r.repeat = min(2*r.repeat, repeatMax)
	r.expectAck(ctx)
}

// onAcknowledged lets a follower go that has the end: who resumes an ended run
// again and again leaves nothing behind.
func (r *run) onAcknowledged(ctx actor.Context, m *acknowledged) {
	f := r.listener(m.gateway, m.to)
	if f == nil || r.state != runOver {
		return
	}
	r.record.followers = slices.DeleteFunc(r.record.followers, func(other *listener) bool { return other == f })
	if len(r.record.followers) > 0 {
		return
	}
	if r.again != nil {
		r.again.Stop()
	}
	if r.nobody {
		ctx.Stop(ctx.Self())
	}
}

func (r *run) onExpire(ctx actor.Context) {
	if r.state == runOver {
		ctx.Stop(ctx.Self())
	}
}

func (r *run) onShutDown(ctx actor.Context) {
	switch r.state {
	case runWaitingKey:
		r.end(ctx, r.failure(protocol.ShuttingDown, "This worker is shutting down. Ask again.", 1))
	case runStreaming:
		r.stopCall(ctx, errShutdown)
	}
}

// onStopLate: the provider call did not return after it was cancelled. The
// client is told the truth, and no more text is taken.
func (r *run) onStopLate(ctx actor.Context) {
	if r.state != runStopping {
		return
	}
	r.log.Error().Str("provider", r.record.job.Provider).Msg("Provider call does not end")
	if !errors.Is(r.cause, errCancelled) {
		r.onStreamEnded(ctx, &streamEnded{answered{
			calls: r.record.calls, keyID: r.record.keyID, provider: r.record.provider, result: provider.Result{Model: r.record.model},
		}}) // why we stopped it is the whole answer
		return
	}
	e := r.failure(protocol.Internal, "The provider did not confirm that it stopped.", 0)
	e.Attempts, e.Usage, r.keyID = r.record.calls, r.record.spent(), r.record.keyID
	e.Provider, e.Model = cmp.Or(r.record.provider, e.Provider), r.record.model
	r.end(ctx, e)
}

// listener finds a follower.
func (r *run) listener(gateway string, to uint64) *listener {
	for _, f := range r.record.followers {
		if f.gateway == gateway && f.to == to {
			return f
		}
	}
	return nil
}

// onStop ends the generation for everyone. Its terminal is the acknowledgement.
// Who is no follower yet becomes one, with the whole text.
func (r *run) onStop(ctx actor.Context, m *stopRun) {
	c := m.control
	if r.listener(c.Gateway, c.To) == nil {
		if c.Session != r.record.job.Session || r.state == runOver {
			r.worker.missing(m.reply)
			return
		}
		r.join(c, m.reply)
	}
	switch r.state {
	case runWaitingKey:
		r.end(ctx, &bus.Event{Type: bus.EventCancelled, Provider: r.record.job.Provider, Usage: &bus.Usage{}})
	case runStreaming:
		r.stopCall(ctx, errCancelled)
	}
}

// onFollowed fills a follower's gap, or takes a new follower in.
func (r *run) onFollowed(ctx actor.Context, m *followed) {
	c := m.control
	f := r.listener(c.Gateway, c.To)
	switch {
	case f == nil && c.Session != r.record.job.Session:
		r.worker.missing(m.reply)
		return
	case max(c.After, c.Cut) > r.script.seq():
		_ = r.worker.bus.Reply(m.reply, &bus.Reply{
			Type: bus.ReplyRefused, Worker: r.worker.id, Run: r.record.id,
			Code: string(protocol.InvalidMessage), Message: "`after` is beyond the last seq of this run.",
		}) // else the asker's clock ends it
		return
	case f == nil:
		f = r.join(c, m.reply)
		if r.state == runOver {
			r.tellEnd(f)
			r.repeat = repeatFirst
			r.expectAck(ctx)
		}
	default: // its end comes with the next repetition: told here, a snapshot that is lost each time would make a storm
		r.recount(f, c)
	}
}

// join adds a follower and sends it the snapshot.
func (r *run) join(c *bus.Control, reply string) *listener {
	f := &listener{gateway: c.Gateway, to: c.To}
	r.record.followers = append(r.record.followers, f)
	r.round++
	_ = r.worker.bus.Reply(reply, &bus.Reply{
		Type: bus.ReplyFound, Run: r.record.id, Worker: r.worker.id, Name: r.record.job.Name,
	}) // else the asker's clock ends it
	r.recount(f, c)
	return f
}

// recount sends a follower what it missed.
func (r *run) recount(f *listener, c *bus.Control) {
	room := min(r.piece, bus.MaxText(r.worker.bus.MaxPayload())) // of the server that is there now
	r.script.parts(min(c.After, r.script.seq()), c.Cut, room, func(e bus.Event) {
		e.To = f.to
		r.worker.speaker.Publish(f.gateway, &e, !e.More)
	})
}

// onFollowerGone takes followers out: one socket, or all of a gateway. When the
// last one leaves, the policy decides about the generation.
func (r *run) onFollowerGone(ctx actor.Context, c *bus.Control) {
	left := r.record.followers[:0]
	for _, f := range r.record.followers {
		if f.gateway != c.Gateway || (c.To != 0 && f.to != c.To) {
			left = append(left, f)
		}
	}
	gone := len(left) < len(r.record.followers)
	r.record.followers = left
	if r.listener(r.record.job.Gateway, r.record.job.To) == nil {
		r.movable.Store(false) // nobody is left who would
	}
	if !gone || len(left) > 0 {
		return
	}
	policy := c.OnDisconnect
	if job := r.record.job.OnDisconnect; policy == "" || policy == protocol.OnDisconnectGrace && job == protocol.OnDisconnectContinue {
		policy = job // who came back follows what was asked for, and says grace for want of knowing it
	}
	if c.Type == bus.ControlRelease { // its accept came too late: no client knows this run
		policy, r.nobody = protocol.OnDisconnectCancel, true
		r.worker.runs.disinherit(r.record)
	}
	r.alone(ctx, policy)
}

// alone: nobody follows any more.
func (r *run) alone(ctx actor.Context, policy string) {
	r.round++
	switch {
	case r.state == runOver:
		if r.nobody {
			ctx.Stop(ctx.Self())
		}
	case r.state == runWaitingKey: // who had the key is gone
		r.end(ctx, &bus.Event{Type: bus.EventCancelled, Provider: r.record.job.Provider, Usage: &bus.Usage{}})
	case policy == protocol.OnDisconnectContinue:
	case policy == protocol.OnDisconnectGrace:
		after(r.sys, r.worker.cfg.Runs.Grace, ctx.Self(), &graceOver{round: r.round})
	default:
		r.stopCall(ctx, errCancelled)
	}
}

func (r *run) onGraceOver(ctx actor.Context, round int) {
	if round != r.round || len(r.record.followers) > 0 || r.state != runStreaming {
		return
	}
	r.stopCall(ctx, errCancelled)
}
