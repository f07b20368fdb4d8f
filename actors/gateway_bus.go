package actors

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
)

// What the bus brings to a gateway, on the goroutine of its one subscription,
// and what the gateway says to workers by itself.

// Event implements bus.GatewayHandler: what a run says goes to its follower.
func (g *Gateway) Event(e *bus.Event) {
	if e.Type == bus.EventChunk {
		g.gather.add(e)
		return
	}
	g.gather.send()
	pid := g.followers.pid(e.To)
	if pid == nil {
		g.disown(e)
		return
	}
	if e.Run != "" { // in place of an accept that was lost
		if worker, known := g.workerOf(e.Run); known {
			g.followers.bind(e.To, e.Run, worker)
		}
	}
	g.sys.root.Send(pid, &eventArrived{event: *e})
}

// Batch implements bus.GatewayHandler.
func (g *Gateway) Batch() { g.gather.send() }

// disown answers a run that speaks to somebody who is not here any more: it has
// missed a goodbye or an acknowledgement, or was paused while its turn moved on.
// Only what says its run can be answered; chunks do not, but a run that streams
// for nobody says its end too.
func (g *Gateway) disown(e *bus.Event) {
	if e.Run == "" {
		return
	}
	worker, known := g.workerOf(e.Run)
	if !known {
		return
	}
	c := &bus.Control{Run: e.Run, Gateway: g.id, To: e.To}
	said, spoken := g.said(c) // and lost: the turn moved, or its client left
	switch e.Type {
	case bus.EventStatus:
		c.Type = bus.ControlGone
		if spoken {
			said.repeat(c)
		}
	case bus.EventComplete, bus.EventCancelled, bus.EventError:
		c.Type = bus.ControlAck
		if spoken && said.control == bus.ControlRelease {
			said.repeat(c)
		}
	default:
		return
	}
	_ = g.jobs.Control(worker, c) // it says so again
}

// Reply implements bus.GatewayHandler. An accept that nobody waits for any more
// is released.
func (g *Gateway) Reply(to uint64, r *bus.Reply) {
	var pid *actor.PID
	if r.Type == bus.ReplyAccepted {
		if pid = g.followers.bind(to, r.Run, r.Worker); pid == nil {
			g.release(to, r)
			return
		}
	} else if pid = g.followers.pid(to); pid == nil {
		return
	}
	g.sys.root.Send(pid, &replied{to: to, reply: r})
}

// NoResponders implements bus.GatewayHandler.
func (g *Gateway) NoResponders(to uint64) {
	if pid := g.followers.pid(to); pid != nil {
		g.sys.root.Send(pid, &noResponders{to: to})
		return
	}
	if worker, ok := g.followers.probed(to); ok {
		g.sys.root.Send(g.rosterPID, &unreachable{worker: worker, now: time.Now()})
	}
}

// probe asks whether anybody listens where a worker should. A worker that does
// says nothing; NATS answers for one that does not.
func (g *Gateway) probe(worker string) {
	_ = g.jobs.Control(worker, &bus.Control{Type: bus.ControlProbe, Gateway: g.id, To: g.followers.probe(worker)}) // else its beats decide
}

// settleTime is how long a gateway that has just met the bus waits before it
// believes that a worker it has not heard of does not live. Workers answer a new
// gateway's first beat with theirs.
const settleTime = time.Second

// heardItself notes that the gateway is on the bus.
func (g *Gateway) heardItself(now time.Time) {
	g.ownBeat.Store(int64(g.sys.moment(now)))
	g.settled.CompareAndSwap(0, int64(g.sys.moment(now.Add(settleTime))))
}

// entitled tells whether the gateway may judge who does not answer: it hears itself.
// A bus that hangs is away before anybody says so.
func (g *Gateway) entitled(now time.Time) bool {
	away, _ := g.busAway()
	return !away && now.Sub(g.sys.at(moment(g.ownBeat.Load()))) <= ownLate
}

// meetTime is what the workers' answers to a first beat may take before clients
// are let in.
const meetTime = settleTime / 4

// Meet returns when the gateway knows who lives: clients that come back to a
// gateway which has just started would hear that nobody serves them. It waits at
// most a second, and not at all without a bus.
func (g *Gateway) Meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	poll(ctx, func() bool {
		return !g.jobs.Connected() || g.settled.Load() != 0 && g.unsettled(time.Now()) <= settleTime-meetTime
	})
}

// unsettled is how long the roster is still too young to be believed. Without a
// bus nobody is waited for.
func (g *Gateway) unsettled(now time.Time) time.Duration {
	m := moment(g.settled.Load())
	if m == 0 {
		return settleTime
	}
	return max(0, g.sys.at(m).Sub(now))
}

// release tells a run that nobody wants it. An accept that the bus repeats must
// not change what was said to its run before.
func (g *Gateway) release(to uint64, r *bus.Reply) {
	l := leaving{worker: r.Worker, control: &bus.Control{Type: bus.ControlRelease, Run: r.Run, Gateway: g.id, To: to}}
	if _, spoken := g.said(l.control); spoken {
		_ = g.jobs.Control(l.worker, l.control) // nothing, where its follower is gone already
		return
	}
	g.say(l)
}

// attempt is one run and the name under which a turn followed it.
type attempt struct {
	to  uint64
	run uint64 // a hash of it: thousands of them are kept
}

func (g *Gateway) attempt(c *bus.Control) attempt {
	return attempt{c.To, maphash.String(g.seed, c.Run)}
}

// lastWord is what was said last to a run about a follower that is gone.
type lastWord struct{ control, policy, session string }

// repeat makes c, which names run and follower, say it again.
func (w *lastWord) repeat(c *bus.Control) {
	c.Type, c.OnDisconnect, c.Session = w.control, w.policy, w.session
}

// said is what was said last about the follower and to the run that c names.
func (g *Gateway) said(c *bus.Control) (lastWord, bool) { return g.words.get(g.attempt(c)) }

// leave tells the workers that a connection follows its runs no more.
func (g *Gateway) leave(s *Session, byServer bool) {
	for _, l := range g.followers.leave(s, g.id, byServer) {
		defer g.say(l) // where one panics, the others are said all the same
	}
}

// say tells a worker now, or owes it.
func (g *Gateway) say(l leaving) {
	g.words.put(g.attempt(l.control), lastWord{l.control.Type, l.control.OnDisconnect, l.control.Session})
	if errors.Is(g.jobs.Control(l.worker, l.control), bus.ErrDisconnected) {
		g.owe(l)
	}
}

// owedMax bounds the goodbyes that wait for the bus. Above it the workers' own
// clocks end what nobody follows.
const owedMax = 1 << 16

// owe keeps a goodbye until the bus is back: without it a run would go on for
// nobody.
func (g *Gateway) owe(l leaving) {
	g.owing.Lock()
	defer g.owing.Unlock()
	if len(g.owed) < owedMax {
		g.owed = append(g.owed, l)
	}
}

// pay says what is owed.
func (g *Gateway) pay() {
	g.owing.Lock()
	owed := g.owed
	g.owed = nil
	g.owing.Unlock()
	for _, l := range owed {
		_ = g.jobs.Control(l.worker, l.control) // down again: the worker's clock ends the run
	}
}

// workerOf reads the worker off a run_id, in the roster's own spelling.
func (g *Gateway) workerOf(run string) (string, bool) {
	token, _, ok := strings.Cut(run, runSeparator)
	if !ok {
		return "", false
	}
	b := viewOf(&g.roster).workers[token]
	if b == nil {
		return "", false
	}
	return b.ID, true
}

// wasWorker tells whether a run_id names a worker that this gateway has known and
// that is gone.
func (g *Gateway) wasWorker(run string) bool {
	token, _, whole := strings.Cut(run, runSeparator)
	_, ok := g.buried.get(token)
	return ok && whole
}

// Bounds of what a gateway remembers of those who are gone.
const (
	wordsKept   = 1 << 13
	workersKept = 1 << 10
)

// runSeparator stands between a run's worker and its random part.
const runSeparator = "-"
