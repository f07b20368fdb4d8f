package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
)

// followers is the gateway's table of who listens to what on the bus: one entry
// per attempt, named by its `to`. It lives outside every actor, so that what a
// crashed connection held can still be let go.
type followers struct {
	mu   sync.RWMutex
	last uint64
	byTo map[uint64]*follower
}

// follower is one attempt of one turn. pid is set once, the rest is guarded by
// the table.
type follower struct {
	pid     *actor.PID
	session *Session
	needKey bool

	worker       string
	run          string
	name         string // the session_id, for the run to compare
	onDisconnect string
	named        bool
}

func newFollowers() *followers { return &followers{byTo: map[uint64]*follower{}} }

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

// lost is one attempt whose worker is gone.
type lostFollower struct {
	to  uint64
	pid *actor.PID
}

// at lists the attempts that live at a worker.
func (f *followers) at(worker string) []lostFollower {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var out []lostFollower
	for to, e := range f.byTo {
		if e.worker == worker {
			out = append(out, lostFollower{to: to, pid: e.pid})
		}
	}
	return out
}

// live counts attempts and lists their actors, each once per attempt.
func (f *followers) live() []*actor.PID {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := make([]*actor.PID, 0, len(f.byTo))
	for _, e := range f.byTo {
		out = append(out, e.pid)
	}
	return out
}

func (f *followers) count() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.byTo)
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
		if byServer && e.named {
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
