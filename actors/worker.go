package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Work is what a worker needs of the bus. No method blocks.
type Work interface {
	Work(provider string, h func(*bus.Job, string)) (*bus.JobQueue, error)
	Reply(subject string, r *bus.Reply) error
	Beat(b *bus.Beat) error
	Usage(r *bus.UsageRecord) error
	MaxPayload() int
}

// Speaker publishes events: *bus.Outgoing. Urgent ones go at once, with all
// that waited for the same gateway. Publish never blocks.
type Speaker interface {
	Publish(gateway string, e *bus.Event, urgent bool)
	// AwaitRoom holds up a caller that says much while too much waits to be sent,
	// for most at most. No actor may call it.
	AwaitRoom(most time.Duration)
}

// WorkerOptions are what a worker is made of.
type WorkerOptions struct {
	Version   string
	Worker    WorkerConfig
	Runs      RunsConfig
	Providers map[string]ProviderSetup
}

// ProviderSetup is one provider of a worker.
type ProviderSetup struct {
	Config   provider.Config
	Provider provider.Provider
	State    string // ready, needs_key, off; whether it rests is known later
}

// Worker is the worker's tree and its front door: it takes jobs off the bus
// under a cap. Its table of runs lives here, outside the actors, so that what a
// crashed run owed can still be settled.
type Worker struct {
	// Set once.
	id      string
	cfg     WorkerOptions
	sys     *System
	bus     Work
	speaker Speaker
	keys    *bus.KeyPair
	log     zerolog.Logger
	metrics *Metrics
	runs    *runTable
	root    *actor.PID
	rosterP *actor.PID
	served  map[string]*served

	active   atomic.Int64 // slots held: runs that generate
	draining atomic.Bool
	telling  atomic.Bool // a beat about rests is due
	link     workerBus
	usage    usageLog

	stopTick context.CancelFunc

	queues sync.Mutex
	paused bool // full, and out of the queue groups; guarded by queues
	spared bool // under pressure, and out of them; guarded by queues
}

// NewWorker builds the tree. Start takes the first job.
func NewWorker(sys *System, b Work, speaker Speaker, log zerolog.Logger, o WorkerOptions) (*Worker, error) {
	keys, err := bus.NewKeyPair()
	if err != nil {
		return nil, fmt.Errorf("make the worker's key pair: %w", err)
	}
	w := &Worker{
		id: newToken()[:tokenShort], cfg: o, sys: sys, bus: b, speaker: speaker, keys: keys,
		metrics: sys.metrics, served: map[string]*served{},
	}
	w.log = log.With().Str("worker", w.id).Logger()
	w.runs = newRunTable(o.Runs.KeepBytes, func(pid *actor.PID) { sys.root.Send(pid, &expire{}) })
	for name, setup := range o.Providers {
		if setup.State == stateOff {
			continue
		}
		w.served[name] = newServed(name, &setup, o.Runs, w.restsChanged)
		w.metrics.touchProvider(name)
	}
	return w, nil
}

const stateOff = "off"

// ID names this worker on the bus; new at every start.
func (w *Worker) ID() string { return w.id }

// Start spawns the tree, joins the queue groups and begins to beat.
func (w *Worker) Start() (err error) {
	if w.root, err = w.sys.plant(kindWorker, w.id, workerRules, w.grow); err != nil {
		return err
	}
	if err := w.join(); err != nil {
		return err
	}
	w.sys.OnPressure(w.balance)
	ctx, cancel := context.WithCancel(context.Background())
	w.stopTick = cancel
	w.sys.every(ctx, "worker beat", beatEvery, w.tick)
	w.discover(ctx)
	w.sys.every(ctx, "roster", lookEvery, func(now time.Time) { w.sys.root.Send(w.rosterP, &rosterTick{now: now}) })
	return nil
}

// join enters every queue group. Jobs come before the last one is joined: one
// that fills the worker waits in balance until all queues can be left.
func (w *Worker) join() (err error) {
	w.queues.Lock()
	defer w.queues.Unlock()
	for _, s := range w.served {
		if s.queue, err = w.bus.Work(s.name, w.onJob); err != nil {
			return fmt.Errorf("join the queue of provider %s: %w", s.name, err)
		}
	}
	return nil
}

func workerRules(kind string) directive {
	if kind == kindProvider {
		return resumeChild
	}
	return restartChild
}

// grow spawns the children of the root.
func (w *Worker) grow(child spawner) {
	w.rosterP = child(kindRoster, func() actor.Actor {
		return &gatewayRoster{guard: guard{sys: w.sys, kind: kindRoster}, worker: w}
	})
	for _, s := range w.served {
		s.pid = child(kindProvider+"-"+s.name, func() actor.Actor {
			return &providerSupervisor{guard: guard{sys: w.sys, kind: kindProvider, parents: true}, worker: w, served: s}
		}, w.sys.temporary())
	}
}

// onJob takes one job, on the goroutine of its subscription. A job that waited
// too long was offered elsewhere by now; one that was seen before is a repeat
// of the bus: neither is answered.
func (w *Worker) onJob(job *bus.Job, reply string) {
	s := w.served[job.Provider]
	now := time.Now()
	if s == nil || w.runs.tooLate(job, now) || w.runs.seen(job.Job, now) {
		return
	}
	s.jobs.received.Add(1)
	if refused := s.refusal(job); refused != nil {
		w.runs.declined(job.Job)
		w.refuse(s, reply, refused)
		return
	}
	if w.sys.pressedTo(pressure.NoQuestions) {
		w.sys.shed(shedJob, 1)
		w.decline(s, job, reply)
		return
	}
	if w.draining.Load() || slices.Contains(job.Avoid, w.id) || w.crowded(s, job) || !w.takeSlot() {
		w.decline(s, job, reply)
		return
	}
	w.sys.root.Send(s.pid, &startRun{job: job, reply: reply, coming: s.expect()})
}

// decline answers a job for which there is no room here.
func (w *Worker) decline(s *served, job *bus.Job, reply string) {
	s.jobs.busy.Add(1)
	w.runs.declined(job.Job)
	_ = w.bus.Reply(reply, &bus.Reply{Type: bus.ReplyBusy, Worker: w.id}) // else its gateway asks for the job back
}

// crowded tells whether a provider has no place for one more question, and
// leaves its queue group then.
func (w *Worker) crowded(s *served, job *bus.Job) bool {
	crowded := (job.NeedsKey || !s.chained()) && s.crowded(job.NeedsKey)
	if crowded {
		w.balance()
	}
	return crowded
}

// refuse answers a job that no worker of this configuration takes.
func (w *Worker) refuse(s *served, reply string, why *protocol.Error) {
	s.jobs.failed.Add(1)
	_ = w.bus.Reply(reply, &bus.Reply{
		Type: bus.ReplyRefused, Worker: w.id, Code: string(why.Code), Message: why.Message, RetryAfter: why.RetryAfter,
	}) // else its gateway's clock decides
}

// takeSlot reserves room for one run.
func (w *Worker) takeSlot() bool {
	n := w.active.Add(1)
	if n > int64(w.cfg.Worker.MaxRuns) {
		w.active.Add(-1)
		return false
	}
	if n == int64(w.cfg.Worker.MaxRuns) {
		w.balance()
	}
	return true
}

// freeSlot gives room back.
func (w *Worker) freeSlot() {
	w.active.Add(-1)
	w.balance()
}

// balance leaves the queue groups at the cap, so that jobs go where there is
// room, and returns at 90 % of it; all of them while the process is under
// pressure; and that of one provider while its own room
// and queue are full. It looks at the counts under its lock: whoever changed one
// last looks last.
func (w *Worker) balance() {
	w.queues.Lock()
	defer w.queues.Unlock()
	n, most := w.active.Load(), int64(w.cfg.Worker.MaxRuns)
	back := false
	switch {
	case !w.paused && n >= most:
		w.paused = true
		w.log.Warn().Int64("active", n).Msg("Worker is full: it leaves its queue groups")
	case w.paused && n*10 <= most*9 && !w.draining.Load():
		w.paused = false
		back = true
		w.log.Info().Int64("active", n).Msg("Worker has room again")
	}
	spared := w.sys.pressedTo(pressure.NoQuestions)
	back = back || w.spared && !spared && !w.paused
	w.spared = spared
	for _, s := range w.served {
		back = s.balance(w.paused || w.spared || w.draining.Load(), w.log) || back
	}
	if back {
		w.say(w.beat(time.Now())) // turns that wait for room need not wait for our next one
	}
}

// OnControl takes one word to a run, on the goroutine of its subscription.
func (w *Worker) OnControl(c *bus.Control, reply string) {
	if c.Type == bus.ControlProbe {
		return // that it arrived is the answer
	}
	switch c.Type {
	case bus.ControlFind:
		w.find(c, reply)
		return
	case bus.ControlWithdraw:
		w.giveBack(c, reply)
		return
	}
	pid := w.runs.pid(c.Run)
	if pid == nil {
		if c.Type == bus.ControlResume || c.Type == bus.ControlCancel {
			w.missing(reply)
		}
		return
	}
	root := w.sys.root
	switch c.Type {
	case bus.ControlKey:
		root.Send(pid, &keyArrived{sealed: c.Sealed})
	case bus.ControlCancel:
		root.Send(pid, &stopRun{control: c, reply: reply})
	case bus.ControlResume:
		root.Send(pid, &followed{control: c, reply: reply})
	case bus.ControlGone, bus.ControlRelease:
		root.Send(pid, &followerGone{control: c})
	case bus.ControlAck:
		root.Send(pid, &acknowledged{gateway: c.Gateway, to: c.To})
	}
}

// find tells which run a client means by its key.
func (w *Worker) find(c *bus.Control, reply string) {
	r := w.runs.find(c.Session, c.ClientKey, c.Name, time.Now())
	if r == nil {
		w.missing(reply)
		return
	}
	r.Worker = w.id
	if reply != "" {
		_ = w.bus.Reply(reply, r) // else the asker's clock says that nobody has it
	}
}

// giveBack answers a gateway that got no answer to a job. One that is about to
// become a run needs none: its accept comes.
func (w *Worker) giveBack(c *bus.Control, reply string) {
	run, given := w.runs.withdraw(c.Job, c.Gateway, time.Now())
	switch {
	case given:
		w.missing(reply)
	case run != "" && reply != "":
		_ = w.bus.Reply(reply, &bus.Reply{Type: bus.ReplyAccepted, Run: run, Worker: w.id}) // else it is asked for again
	}
}

func (w *Worker) missing(reply string) {
	if reply != "" {
		_ = w.bus.Reply(reply, &bus.Reply{Type: bus.ReplyMissing, Worker: w.id}) // else the asker's clock says the same
	}
}

// Reload swaps the providers that are served already, for new keys and models.
// Runs that stream go on with what they began with.
func (w *Worker) Reload(providers map[string]ProviderSetup) {
	for name, setup := range providers {
		if s := w.served[name]; s != nil {
			s.swap(&setup, w.cfg.Runs)
		}
	}
}

// Active counts the runs that generate.
func (w *Worker) Active() int { return int(w.active.Load()) }

// Drain takes no more jobs, lets live runs end until ctx ends, and tells what
// still runs then that this worker shuts down.
func (w *Worker) Drain(ctx context.Context) {
	w.draining.Store(true)
	var closing sync.WaitGroup
	for _, s := range w.served {
		closing.Add(1)
		w.sys.run("close queue", func() {
			defer closing.Done()
			_ = s.queue.Close(ctx) // says only that ctx ended
		}, nil)
	}
	closing.Wait()
	poll(ctx, w.idle)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, pid := range w.runs.live() {
		w.sys.root.Send(pid, &shutDown{})
	}
	poll(last, w.idle)
}

func (w *Worker) idle() bool { return w.active.Load() == 0 }

// Stop ends the tree: runs that are not over say that this worker shuts down, to
// its Speaker, which has to outlive it. Leave follows.
func (w *Worker) Stop(ctx context.Context) {
	w.draining.Store(true)
	if w.stopTick != nil {
		w.stopTick()
	}
	w.sys.stop(ctx, w.root)
}

// Leave says goodbye. It comes when all that runs had to say has left the
// Speaker: who hears a goodbye first takes an answer for lost that was told.
func (w *Worker) Leave() {
	b := w.beat(time.Now())
	b.Leaving = true
	_ = w.bus.Beat(b) // without a bus its silence says the same
}
