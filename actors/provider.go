package actors

import (
	"cmp"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// providerSupervisor is the supervisor of one provider's runs: it spawns them
// and settles what a dead one owed. It is resumed after a panic, never
// restarted, so its children live on.
type providerSupervisor struct {
	guard
	worker *Worker
	served *served
}

// Receive is the table of contents of a provider. Settling is deferred: no
// panic on the way can skip it.
func (p *providerSupervisor) Receive(ctx actor.Context) {
	defer p.caught(ctx)
	if m, ok := ctx.Message().(*actor.Terminated); ok {
		defer p.onTerminated(m.Who)
	}
	if m, ok := ctx.Message().(*startRun); ok {
		spawned := false
		defer func() {
			if !spawned {
				p.dropped(m)
			}
		}()
		p.enter(ctx)
		p.onStart(ctx, m)
		spawned = true
		return
	}
	p.enter(ctx)
}

// dropped gives back what a job held whose run was never begun in good order, and
// says busy where there is none: its gateway offers it again at once instead of
// asking for it.
func (p *providerSupervisor) dropped(m *startRun) {
	m.coming.end()
	p.worker.freeSlot()
	if p.worker.runs.dropped(m.job.Job) {
		p.worker.decline(p.served, m.job, m.reply)
	}
}

func (p *providerSupervisor) onStart(ctx actor.Context, m *startRun) {
	r := &runRecord{
		id: p.worker.id + runSeparator + newToken(), job: m.job, reply: m.reply, coming: m.coming, begun: time.Now(),
		followers: []*listener{{gateway: m.job.Gateway, to: m.job.To}},
	}
	r.trace = p.worker.traceRun(r.id, m.job)
	setup := p.served.setup.Load()
	r.pid = ctx.ActorSystem().NewLocalPID(ctx.Self().GetId() + "/" + r.id)
	p.worker.runs.add(r) // before its accept is out: the next word of its gateway finds it
	if _, err := ctx.SpawnNamed(actor.PropsFromProducer(func() actor.Actor {
		return p.sys.staged(kindRun, newRun(p.worker, r, setup))
	}, actor.WithMailbox(r.newMailbox), actor.WithDispatcher(&p.worker.sys.crew), actor.WithSpawnFunc(spawnApart)), r.id); err != nil {
		p.worker.runs.take(r.pid)
		r.trace.abandon()
		panic(err) // names are unique: a bug
	}
	p.sys.tallies.of(r.pid.GetId()).started.Add(1)
	p.worker.metrics.runsActive.WithLabelValues(p.served.name).Inc()
}

// onTerminated settles: the one who watches, not the one who failed, emits the
// terminal event of a run that crashed, stops its provider call and frees its
// slot.
func (p *providerSupervisor) onTerminated(who *actor.PID) {
	r := p.worker.runs.take(who)
	if r == nil {
		return
	}
	defer r.trace.abandon() // nothing, where its end was told
	if r.cancel != nil {
		r.cancel(nil)
	}
	if !r.told {
		p.tellCrashed(r)
	}
	p.free(r)
}

// tellCrashed ends the turns of a run that cannot do it itself, because it
// crashed or its worker stopped before it was over. A job that was not accepted
// yet is refused, or its gateway would offer it again, and it may be the
// question that crashed the run.
func (p *providerSupervisor) tellCrashed(r *runRecord) {
	code, message := protocol.Internal, "The answer broke off inside the server. Ask again."
	if p.worker.draining.Load() {
		code, message = protocol.ShuttingDown, "This worker is shutting down. Ask again."
	} else {
		p.worker.log.Error().Str("run", r.id).Msg("Run crashed")
	}
	if !r.accepted {
		p.served.jobs.failed.Add(1)
		p.worker.metrics.runs.WithLabelValues(p.served.name, bus.EventError).Inc()
		_ = p.worker.bus.Reply(r.reply, &bus.Reply{
			Type: bus.ReplyRefused, Worker: p.worker.id, Run: r.id, Code: string(code), Message: message, // its run, should the accept be out after all
		}) // else its gateway's clock decides
		return
	}
	e := &bus.Event{
		Type: bus.EventError, Run: r.id, Seq: r.seq + 1, Code: string(code), Message: message,
		Provider: cmp.Or(r.provider, r.job.Provider), Model: r.model, Attempts: r.calls, Usage: r.spent(),
	}
	p.worker.settleRun(r, ending{event: e, keyID: r.keyID, chunks: r.seq, log: p.worker.log.With().Str("run", r.id).Logger()})
	for _, f := range r.followers {
		told := *e
		told.To = f.to
		p.worker.speaker.Publish(f.gateway, &told, true)
	}
}

func (p *providerSupervisor) free(r *runRecord) { p.worker.free(r) }

// free gives a run's slot back, once.
func (w *Worker) free(r *runRecord) {
	if r.freed {
		return
	}
	r.freed = true
	r.coming.end()
	w.metrics.runsActive.WithLabelValues(r.job.Provider).Dec()
	w.freeSlot()
}
