package actors

import (
	"slices"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// turnWorld is one gateway without its tree, the connections of one client,
// driven by hand, and workers that the test plays: everything is done in the
// order in which the test does it.
type turnWorld struct {
	*workshop
	bus    *fakeBus
	g      *Gateway
	roster *roster

	first, second *driven // the socket that asked, and the one that comes back
	jobs          []*worldJob
	runs          []*worldRun
	heard         int      // of the bus's words
	again         func()   // what the bus delivered last
	given         []func() // answers of workers that jobs were asked back from
	log           []string

	// What has happened that an end may be explained by.
	cancelled, excused, twice bool
	lostWorkers               int
	moved                     bool // a run said that another worker may do better
	forgetful                 bool // negative control: nobody lets go of what a gone socket followed
}

// driven is one connection.
type driven struct {
	*connection
	world   *turnWorld
	socket  *fakeSocket
	mail    *tray
	stage   *stage
	ended   bool
	crashed bool
}

// worldJob is one job that was asked.
type worldJob struct {
	bus.Job
	takers   int
	given    []string // workers that will not take it any more
	declined bool     // it was with one that did not take it
}

// worldRun is a run as its gateway sees it: honest, but for what the test makes
// it do.
type worldRun struct {
	id, worker string
	job        bus.Job
	script     transcript
	final      *bus.Event
	follow     []uint64       // by name on the bus
	asked      []*bus.Control // what it has not answered yet
	cancel     bool           // it was asked to stop
	lost       bool           // with its worker
	kept       bool           // its follower left and may come back
	unheard    bool           // its accept is on its way still
}

func newTurnWorld(shop *workshop) *turnWorld {
	w := &turnWorld{workshop: shop, bus: newFakeBus()}
	p := defaultPlan()
	w.g = NewGateway(w.System, w.bus, zerolog.Nop(), GatewayConfig{
		Version: "test", Limits: limit.Config{}, Pool: p.pool, Chat: p.chat, Runs: p.runs,
		Live: Live{DefaultProvider: "echo"},
	})
	w.g.id = "gw"
	w.g.gate.away.Store(true) // the bucket decides, at once
	w.g.heardItself(time.Now().Add(-2 * settleTime))
	w.roster = &roster{guard: guard{sys: w.System, kind: kindRoster}, gateway: w.g, log: zerolog.Nop(), workers: map[string]*bus.Beat{}, gateways: map[string]*bus.Beat{}}
	w.roster.pulse = newPulse(time.Now())
	w.roster.workers["wa"], w.roster.workers["wb"] = remoteBeat("wa"), remoteBeat("wb")
	w.roster.publish()
	w.g.BusUp()
	return w
}

// connect makes a connection that was admitted.
func (w *turnWorld) connect() *driven {
	d := &driven{world: w, socket: &fakeSocket{}}
	d.connection = &connection{guard: &guard{sys: w.System, kind: kindConnection}, Session: Session{
		gateway: w.g, socket: d.socket, client: protocol.Client{Address: "192.0.2.1", Session: "s"},
	}}
	d.socket.session = &d.Session
	pid, mail := w.register("connections/c")
	d.pid.Store(pid)
	w.forward(&d.box, pid)
	d.mail, d.stage = mail, &stage{system: w.System, self: pid}
	d.state = ready
	d.idle(time.Now())
	return d
}

func (w *turnWorld) connections() []*driven {
	all := []*driven{w.first}
	if w.second != nil {
		all = append(all, w.second)
	}
	return all
}

// handle gives a connection one message, as its actor would get it.
func (d *driven) handle(m any) {
	if d.ended {
		return
	}
	d.crashed = d.stage.handle(d.connection, m) || d.crashed
	if d.stage.stopped || d.crashed {
		d.end()
	}
}

// end is what becomes of a connection whose actor has stopped.
func (d *driven) end() {
	d.ended = true
	d.stage.handle(d.connection, &actor.Stopping{})
	d.world.remove(d.stage.self)
	if d.world.forgetful {
		return
	}
	cause, gone := d.gone()
	d.world.g.leave(&d.Session, !gone || cause.ByServer())
}

// pump lets everybody handle what has come, and workers hear what was said.
func (w *turnWorld) pump() {
	for more := true; more; {
		more = false
		for _, d := range w.connections() {
			for m := d.mail.next(); m != nil; m = d.mail.next() {
				d.handle(m)
				more = true
			}
		}
	}
	for _, job := range w.bus.jobs[len(w.jobs):] {
		w.jobs = append(w.jobs, &worldJob{Job: job})
	}
	for _, said := range w.bus.words[w.heard:] {
		w.hear(&said)
	}
	w.heard = len(w.bus.words)
	if given := w.given; len(given) > 0 && !w.bus.down {
		w.given = nil
		for _, reply := range given {
			reply()
		}
		w.pump()
	}
}

// giveBack is what a worker answers that is asked for a job.
func (w *turnWorld) giveBack(said *word) {
	if w.roster.workers[said.worker] == nil {
		return
	}
	reply := bus.Reply{Type: bus.ReplyMissing, Worker: said.worker}
	if i := slices.IndexFunc(w.runs, func(r *worldRun) bool { return r.worker == said.worker && r.job.Job == said.Job }); i >= 0 {
		reply = bus.Reply{Type: bus.ReplyAccepted, Run: w.runs[i].id, Worker: said.worker}
	} else {
		j := slices.IndexFunc(w.jobs, func(j *worldJob) bool { return j.Job.Job == said.Job })
		w.jobs[j].given = append(w.jobs[j].given, said.worker)
	}
	w.given = append(w.given, func() { w.g.Reply(said.To, &reply) })
}

// hear is what a run does with a word at once; what it answers comes later.
func (w *turnWorld) hear(said *word) {
	if said.Type == bus.ControlWithdraw {
		w.giveBack(said)
		return
	}
	i := slices.IndexFunc(w.runs, func(r *worldRun) bool { return r.id == said.Run && !r.lost })
	if i < 0 {
		return
	}
	r, c := w.runs[i], said.Control
	leave := func() { r.follow = slices.DeleteFunc(r.follow, func(to uint64) bool { return to == c.To }) }
	switch c.Type {
	case bus.ControlResume:
		r.asked = append(r.asked, &c)
	case bus.ControlCancel:
		r.cancel = true
	case bus.ControlAck:
		if r.final != nil {
			leave()
		}
	case bus.ControlGone, bus.ControlRelease:
		leave()
		r.kept = r.kept || c.Type == bus.ControlGone && c.OnDisconnect != protocol.OnDisconnectCancel
	}
}

// bring delivers something over the bus, unless that is down.
func (w *turnWorld) bring(what func()) {
	if !w.bus.down {
		w.again = what
		what()
	}
	w.pump()
}

// take is a worker that accepts a job.
func (w *turnWorld) take(j *worldJob) { w.begin(j, w.someWorker(j)); w.accept(w.runs[len(w.runs)-1]) }

// begin is a worker that takes a job and asks its vendor. Its accept is out.
func (w *turnWorld) begin(j *worldJob, worker string) {
	j.takers++
	r := &worldRun{
		id: worker + runSeparator + string(rune('A'+len(w.runs))), worker: worker, job: j.Job, follow: []uint64{j.To},
	}
	r.unheard = true
	w.runs = append(w.runs, r)
}

// accept is the accept of a run, arriving.
func (w *turnWorld) accept(r *worldRun) {
	r.unheard = false
	w.bring(func() { w.g.Reply(r.job.To, &bus.Reply{Type: bus.ReplyAccepted, Run: r.id, Worker: r.worker}) })
}

// unseen is a job that may be with a worker that the gateway has given up, and that
// lives: it was paused, and finds the job not too old. Or nil.
func (w *turnWorld) unseen() *worldJob {
	i := slices.IndexFunc(w.jobs, func(j *worldJob) bool {
		return j.takers == 0 && !j.declined && !time.Now().After(time.UnixMilli(j.Deadline).Add(lateness))
	})
	if i < 0 || w.bus.down || w.roster.workers["wc"] != nil {
		return nil
	}
	return w.jobs[i]
}

// takeUnseen is that worker, which accepts the job and beats again.
func (w *turnWorld) takeUnseen() {
	w.begin(w.unseen(), "wc")
	w.roster.workers["wc"] = remoteBeat("wc")
	w.roster.publish()
	w.accept(w.runs[len(w.runs)-1])
}

// late is a run whose accept has not arrived, or nil.
func (w *turnWorld) late() *worldRun {
	if i := slices.IndexFunc(w.runs, func(r *worldRun) bool { return r.unheard && !r.lost }); i >= 0 {
		return w.runs[i]
	}
	return nil
}

// someWorker is a live one, the one that has not taken the job before.
func (w *turnWorld) someWorker(j *worldJob) string {
	for _, id := range []string{"wa", "wb"} {
		taken := slices.ContainsFunc(w.runs, func(r *worldRun) bool { return r.worker == id && r.job.To == j.To })
		if w.roster.workers[id] != nil && !slices.Contains(j.Avoid, id) && !slices.Contains(j.given, id) && !taken {
			return id
		}
	}
	return ""
}

// say is a run that says one thing to all that follow it.
func (w *turnWorld) say(r *worldRun, e bus.Event) {
	to := slices.Clone(r.follow)
	w.bring(func() {
		for _, name := range to {
			told := e
			told.To = name
			w.g.Event(&told)
		}
		w.g.Batch()
	})
}

func (w *turnWorld) chunk(r *worldRun, reaches bool) {
	seq := r.script.seq() + 1
	r.script.add(words(seq, seq))
	if reaches {
		w.say(r, bus.Event{Type: bus.EventChunk, Seq: seq, Text: words(seq, seq)})
	}
}

func (w *turnWorld) finish(r *worldRun, e bus.Event) {
	e.Run, e.Seq = r.id, r.script.seq()+1
	r.final = &e
	w.say(r, e)
}

// answer is a run that answers the oldest resume.
func (w *turnWorld) answer(r *worldRun) {
	c := r.asked[0]
	r.asked = r.asked[1:]
	if max(c.After, c.Cut) > r.script.seq() { // two runs had one name for a while
		w.bring(func() {
			w.g.Reply(c.To, &bus.Reply{Type: bus.ReplyRefused, Worker: r.worker, Run: r.id, Code: string(protocol.InvalidMessage)})
		})
		return
	}
	joins := !slices.Contains(r.follow, c.To)
	if joins {
		r.follow = append(r.follow, c.To)
	}
	w.bring(func() {
		if joins {
			w.g.Reply(c.To, &bus.Reply{Type: bus.ReplyFound, Run: r.id, Worker: r.worker, Name: r.job.Name})
		}
		r.script.parts(c.After, c.Cut, 1<<20, func(e bus.Event) {
			e.To = c.To
			w.g.Event(&e)
		})
		w.g.Batch()
	})
}

// lose is the end of a worker, noticed by the roster.
func (w *turnWorld) lose(worker string) {
	for _, r := range w.runs {
		r.lost = r.lost || r.worker == worker
	}
	w.lostWorkers++
	w.roster.forget(peerOf(bus.RoleWorker, worker), "lost")
	w.pump()
}

// pass lets time go by in steps, clocks in their order.
func (w *turnWorld) pass(d, step time.Duration) {
	for ; d > 0; d -= step {
		time.Sleep(min(d, step))
		synctest.Wait()
		w.pump()
	}
}

// look is the gateway's look at silent turns.
func (w *turnWorld) look() {
	now := time.Now()
	w.g.watchBus(now)
	for _, pid := range w.g.followers.live() {
		w.root.Send(pid, &checkSilence{now: now})
	}
	w.pump()
}

// newest is the newest run that has something to say still, or nil.
func (w *turnWorld) newest() *worldRun {
	for _, r := range slices.Backward(w.runs) {
		if !r.lost && r.final == nil && len(r.follow) > 0 {
			return r
		}
	}
	return nil
}

// open is the newest job that waits for somebody to take it, or nil.
func (w *turnWorld) open() *worldJob {
	if len(w.jobs) == 0 {
		return nil
	}
	j := w.jobs[len(w.jobs)-1]
	if j.takers > 0 || w.g.followers.pid(j.To) == nil {
		return nil
	}
	return j
}

// rest lets everybody behave until nothing is left to do, and the sockets leave.
func (w *turnWorld) rest() {
	w.up()
	for round := 0; round < 40 && w.busy(); round++ {
		for _, r := range w.runs {
			w.behave(r, round > 0)
		}
		if j := w.open(); j != nil {
			if w.someWorker(j) != "" {
				w.take(j)
			} else {
				w.bring(func() { w.g.NoResponders(j.To) })
			}
		}
		w.pass(600*time.Millisecond, 200*time.Millisecond)
		if round%8 == 7 {
			w.pass(runSilence, runSilence)
			w.look()
		}
	}
}

// busy tells whether a client or a run waits for anything.
func (w *turnWorld) busy() bool {
	for _, d := range w.connections() {
		if !d.ended && (len(d.turns) > 0 || d.waiting != nil) {
			return true
		}
	}
	return slices.ContainsFunc(w.runs, func(r *worldRun) bool { return !r.lost && len(r.follow) > 0 })
}

// behave is what an honest run does next.
func (w *turnWorld) behave(r *worldRun, ends bool) {
	if r.lost {
		return
	}
	for len(r.asked) > 0 {
		w.answer(r)
	}
	switch {
	case len(r.follow) == 0:
	case r.final != nil:
		w.say(r, *r.final) // until it is acknowledged
	case r.cancel:
		w.finish(r, bus.Event{Type: bus.EventCancelled})
	case ends:
		w.finish(r, bus.Event{Type: bus.EventComplete, Finish: protocol.FinishStop})
	default:
		w.say(r, bus.Event{Type: bus.EventStatus, Run: r.id, Seq: r.script.seq(), State: protocol.StateStreaming}) // its name, should the accept be lost
	}
}

func (w *turnWorld) up() {
	if w.bus.down {
		w.bus.down = false
		w.g.BusUp()
		w.pump()
	}
}
