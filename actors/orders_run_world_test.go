package actors

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// runWorld is one worker without its tree and one run, driven by hand; its vendor
// says and ends when the test wants it.
type runWorld struct {
	*workshop
	bus    *fakeBus
	worker *Worker
	run    *run
	super  *providerSupervisor
	mail   *tray
	stage  *stage
	vendor *puppet
	again  func() // the last word to the run
	log    []string

	over     bool // the actor is gone
	joined   bool // a second follower came
	accepted bool
	owed     []uint64 // who followed when the run ended
	wrong    []string
	skew     func(w *runWorld) // negative control: what is changed before the verdict
}

// puppet is a vendor. One at a time is called.
type puppet struct {
	calls, open atomic.Int64
	deaf        atomic.Bool // it does not hear that it should stop
	orders      chan func(provider.Sink) (end bool, err error)
}

// Stream implements provider.Provider.
func (p *puppet) Stream(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
	p.calls.Add(1)
	p.open.Add(1)
	defer p.open.Add(-1)
	for {
		done := ctx.Done()
		if p.deaf.Load() {
			done = nil
		}
		select {
		case <-done:
			return provider.Result{}, &protocol.Error{Code: protocol.ProviderInterrupted, Message: "stopped", Err: context.Cause(ctx)}
		case do := <-p.orders:
			if end, err := do(sink); end {
				return provider.Result{Finish: protocol.FinishStop, Model: "m"}, err
			}
		}
	}
}

// tell makes the vendor do something, if it is being asked.
func (p *puppet) tell(do func(provider.Sink) (bool, error)) {
	select {
	case p.orders <- do:
	default:
	}
	synctest.Wait()
}

// runStart is how a run begins.
type runStart struct {
	name  string
	job   bus.Job
	down  bool
	after []string // what has happened before
}

func runStarts() []runStart {
	job := func(name string, needsKey bool) bus.Job {
		return bus.Job{
			Job: "j", To: 1, Name: name, NeedsKey: needsKey, Provider: "echo", Gateway: desk1, Session: "s",
			OnDisconnect: protocol.OnDisconnectGrace, Messages: []byte(`[{"role":"user","content":"hi"}]`),
		}
	}
	named := job("1", false)
	return []runStart{
		{name: "named", job: named},
		{name: "unnamed", job: job("", false)},
		{name: "with a user's key", job: job("1", true)},
		{name: "without a bus", job: named, down: true},
		{name: "streaming to two", job: named, after: []string{"text", "resume", "text"}},
		{name: "stopping, and its vendor is deaf", job: named, after: []string{"text", "deaf", "cancel"}},
		{name: "over, and somebody came back", job: named, after: []string{"text", "complete", "resume"}},
	}
}

// newRunShop makes what orders of one run share: making keys takes long.
func newRunShop(t *testing.T) (*workshop, *Worker, *fakeBus) {
	shop, b := newWorkshop(), newFakeBus()
	worker, err := NewWorker(shop.System, b, b, zerolog.Nop(), WorkerOptions{Worker: WorkerConfig{MaxRuns: 5}, Runs: DefaultRuns()})
	require.NoError(t, err)
	worker.id = "wa"
	return shop, worker, b
}

func newRunWorld(shop *workshop, worker *Worker, b *fakeBus, start runStart) *runWorld {
	w := &runWorld{workshop: shop, bus: b, worker: worker, vendor: &puppet{orders: make(chan func(provider.Sink) (bool, error))}}
	b.down, b.events, b.answers, b.bills, b.dropping = start.down, nil, nil, nil, nil
	setup := &ProviderSetup{Config: provider.Config{Type: provider.TypeEcho}, Provider: w.vendor, State: stateReady}
	s := newServed("echo", setup, worker.cfg.Runs, func() {})
	worker.served = map[string]*served{"echo": s}
	worker.runs = newRunTable(1<<20, func(pid *actor.PID) { shop.root.Send(pid, &expire{}) })
	w.super = &providerSupervisor{guard: guard{sys: shop.System, kind: kindProvider}, worker: worker, served: s}

	job := start.job
	job.Deadline = time.Now().Add(offerTimeout).UnixMilli()
	pid, mail := w.register("worker-wa/provider-echo/wa-")
	record := &runRecord{
		id: "wa-" + newToken(), job: &job, reply: subjectOf(job.To), coming: s.expect(), begun: time.Now(),
		followers: []*listener{{gateway: job.Gateway, to: job.To}}, pid: pid,
	}
	record.newMailbox()
	shop.forward(record.mailbox, pid)
	worker.takeSlot()
	worker.runs.add(record)
	worker.metrics.runsActive.WithLabelValues("echo").Inc()
	w.mail, w.stage = mail, &stage{system: w.System, self: pid}
	w.run = newRun(worker, record, setup)
	w.handle(&actor.Started{})
	w.pump()
	w.accepted = record.accepted
	return w
}

// handle gives the run one message, and looks what has become of it.
func (w *runWorld) handle(m any) {
	if w.over {
		return
	}
	crashed := w.stage.handle(w.run, m)
	if crashed || w.stage.stopped {
		w.end()
	}
	if w.owed == nil && (w.run.state == runOver || w.over) && w.run.record.accepted {
		w.owed = w.followers()
		w.look(len(w.owed) > 0)
	}
}

// followers are those whom the run must tell its end.
func (w *runWorld) followers() []uint64 {
	out := []uint64{}
	for _, f := range w.run.record.followers {
		out = append(out, f.to)
	}
	return out
}

// end is what becomes of a run whose actor has stopped.
func (w *runWorld) end() {
	w.over = true
	w.stage.handle(w.run, &actor.Stopping{})
	w.remove(w.stage.self)
	w.super.onTerminated(w.stage.self)
}

// look checks what must be so at the very moment at which a run is over.
func (w *runWorld) look(told bool) {
	if n := w.worker.Active(); n != 0 {
		w.bad("I4: %d slots are held behind the end", n)
	}
	synctest.Wait()
	if n := w.vendor.open.Load(); n != 0 && !w.vendor.deaf.Load() {
		w.bad("I4: the vendor is still asked behind the end")
	}
	if told && len(w.ends()) == 0 {
		w.bad("I1: nobody was told the end")
	}
}

func (w *runWorld) bad(format string, a ...any) { w.wrong = append(w.wrong, fmt.Sprintf(format, a...)) }

func (w *runWorld) pump() {
	synctest.Wait()
	for m := w.mail.next(); m != nil; m = w.mail.next() {
		w.handle(m)
		synctest.Wait()
	}
}

func (w *runWorld) pass(d time.Duration) {
	time.Sleep(d)
	w.pump()
}

// word is a control from a gateway.
func (w *runWorld) word(c bus.Control) {
	w.again = func() {
		said := c
		said.Run, said.Gateway = w.run.record.id, desk1
		if said.Session == "" {
			said.Session = "s"
		}
		w.worker.OnControl(&said, subjectOf(said.To))
		w.pump()
	}
	w.again()
}

// ends are all terminal events.
func (w *runWorld) ends() []bus.Event {
	var out []bus.Event
	for _, e := range w.bus.events {
		if e.Type == bus.EventComplete || e.Type == bus.EventCancelled || e.Type == bus.EventError {
			out = append(out, e.Event)
		}
	}
	return out
}
