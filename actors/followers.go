package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// followers is the gateway's table of who listens to what on the bus: one entry
// per attempt, named by its `to`. It lives outside every actor, so that what a
// crashed connection held can still be let go.
type followers struct {
	mu   sync.RWMutex
	last uint64
	byTo map[uint64]*follower
	// queued are the turns that wait for room, in their order; some have gone.
	queued []queuedTurn
	// probes are the last ones that went to silent workers, by their `to`.
	probes map[uint64]string
}

// follower is one attempt of one turn. pid and box are set once, the rest is
// guarded by the table.
type follower struct {
	pid     *actor.PID
	box     *mailbox // of that actor
	session *Session

	worker       string
	run          string
	name         string // the session_id, for the run to compare
	onDisconnect string
	named        bool
	stopped      bool // its client wants no more of the answer
}

func newFollowers() *followers {
	return &followers{byTo: map[uint64]*follower{}, probes: map[uint64]string{}}
}

// queuedTurn is one turn that was told to wait.
type queuedTurn struct {
	to       uint64
	provider string
}

// queue enters a turn that waits for room at a provider's workers.
func (f *followers) queue(to uint64, provider string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queued) > 2*len(f.byTo)+queueSlack { // mostly names of turns that asked again meanwhile
		f.queued = slices.DeleteFunc(f.queued, func(q queuedTurn) bool { return f.byTo[q.to] == nil })
	}
	f.queued = append(f.queued, queuedTurn{to: to, provider: provider})
}

// queueSlack keeps a short queue from being tidied again and again.
const queueSlack = 64

// wake takes the first turns that wait for a provider out of the queue, at most
// room of them, and forgets those that are gone.
func (f *followers) wake(serves func(provider string) bool, room int) (woken []addressee) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued = slices.DeleteFunc(f.queued, func(q queuedTurn) bool {
		e := f.byTo[q.to]
		if e == nil {
			return true
		}
		if len(woken) == room || !serves(q.provider) {
			return false
		}
		woken = append(woken, addressee{to: q.to, pid: e.pid})
		return true
	})
	return woken
}

// waiting tells whether any turn waits for room.
func (f *followers) waiting() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.queued) > 0
}

// probesKept bounds the probes whose answer would still be understood.
const probesKept = 1024

// probe names a probe of a worker. Most get no answer: they are forgotten
// together when there are many.
func (f *followers) probe(worker string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.probes) >= probesKept {
		clear(f.probes)
	}
	f.last++
	f.probes[f.last] = worker
	return f.last
}

// probed tells whose probe has met nobody, once.
func (f *followers) probed(to uint64) (worker string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	worker, ok = f.probes[to]
	delete(f.probes, to)
	return worker, ok
}

// add names a new attempt.
func (f *followers) add(e *follower) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	f.byTo[f.last] = e
	e.session.follows = append(e.session.follows, f.last)
	return f.last
}

// pid tells whom an event is for; nil when nobody listens any more.
func (f *followers) pid(to uint64) *actor.PID {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if e := f.byTo[to]; e != nil {
		return e.pid
	}
	return nil
}

// box tells where chunks are for; nil when nobody listens any more. It spares
// them the way over an address, which is looked up anew for each.
func (f *followers) box(to uint64) *mailbox {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if e := f.byTo[to]; e != nil {
		return e.box
	}
	return nil
}

// bind notes which run answered first, a later one will be released, and tells
// whom the answer is for; nil when nobody listens any more. It is one step: an
// accept is either released or will be let go with its connection.
func (f *followers) bind(to uint64, run, worker string) *actor.PID {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byTo[to]
	if e == nil {
		return nil
	}
	if e.run == "" {
		e.run, e.worker = run, worker
	}
	return e.pid
}

// drop forgets an attempt.
func (f *followers) drop(to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byTo[to]
	if e == nil {
		return
	}
	delete(f.byTo, to)
	s := e.session
	if i := slices.Index(s.follows, to); i >= 0 {
		s.follows = slices.Delete(s.follows, i, i+1)
	}
}

// addressee is one attempt and the actor that it belongs to.
type addressee struct {
	to  uint64
	pid *actor.PID
}

// at lists the attempts that live at a worker.
func (f *followers) at(worker string) []addressee {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var out []addressee
	for to, e := range f.byTo {
		if e.worker == worker {
			out = append(out, addressee{to: to, pid: e.pid})
		}
	}
	return out
}

// live lists the actors that follow anything, each once.
func (f *followers) live() []*actor.PID {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := make([]*actor.PID, 0, len(f.byTo))
	for to, e := range f.byTo {
		if e.session.follows[0] == to {
			out = append(out, e.pid)
		}
	}
	return out
}

func (f *followers) count() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.byTo)
}

// stop notes that whoever follows wants no more.
func (f *followers) stop(to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byTo[to]; e != nil {
		e.stopped = true
	}
}

// followedBy counts what a connection follows.
func (f *followers) followedBy(s *Session) int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(s.follows)
}

// leave takes everything that a connection still follows out of the table and
// returns, per run that is known, the word that its worker must hear.
func (f *followers) leave(s *Session, gateway string, byServer bool) []leaving {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []leaving
	for _, to := range s.follows {
		e := f.byTo[to]
		delete(f.byTo, to)
		if e.run == "" {
			continue
		}
		policy := e.onDisconnect
		switch {
		case e.stopped:
			policy = protocol.OnDisconnectCancel
		case byServer && e.named:
			policy = graceOf(policy)
		}
		out = append(out, leaving{worker: e.worker, control: &bus.Control{
			Type: bus.ControlGone, Run: e.run, Gateway: gateway, To: to, Session: e.name, OnDisconnect: policy,
		}})
	}
	s.follows = nil
	return out
}

// leaving is one control on its way to a worker.
type leaving struct {
	worker  string
	control *bus.Control
}
