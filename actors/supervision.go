package actors

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Kinds of actor: the last part of an actor's path, its label in metrics, the
// word that fault injection uses.
const (
	kindGateway     = "gateway"
	kindLimiter     = "limiter"
	kindPool        = "pool"
	kindRoster      = "roster"
	kindConnections = "connections"
	kindConnection  = "connection"
	kindWorker      = "worker"
	kindProvider    = "provider"
	kindRun         = "run"
)

func kinds() []string {
	return []string{kindGateway, kindLimiter, kindPool, kindRoster, kindConnections, kindConnection, kindWorker, kindProvider, kindRun}
}

// Bounds of the backoff between a panic and the return of the actor: doubling,
// ±20 %, forgotten after a quiet time.
const (
	backoffFirst = 10 * time.Millisecond
	backoffMax   = 500 * time.Millisecond
	backoffQuiet = 10 * time.Second
)

// backoff is pure: attempt n (from 0) waits first·2ⁿ, capped, with jitter in
// [0.8, 1.2) taken from r in [0, 1).
func backoff(n int, r float64) time.Duration {
	d := backoffMax
	if n < 10 {
		d = min(backoffFirst<<n, backoffMax)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*r))
}

// directive says what a panic of a child means.
type directive uint8

const (
	stopChild directive = iota
	resumeChild
	restartChild
)

// strategy is the supervision of one actor's children. It never gives a child
// up: stopChild is for temporary children, the others return with backoff.
//
// An actor with children of its own is resumed, because protoactor's restart
// stops all children first.
type strategy struct {
	sys   *System
	rules func(kind string) directive

	mu    sync.Mutex
	fails map[string]failures // by actor id; temporary children never enter
}

type failures struct {
	count int
	last  time.Time
}

func (s *System) supervise(rules func(kind string) directive) *strategy {
	return &strategy{sys: s, rules: rules, fails: map[string]failures{}}
}

// HandleFailure implements actor.SupervisorStrategy.
func (s *strategy) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	kind := kindOf(child)
	d := s.rules(kind)
	if d == stopChild {
		sup.StopChildren(child)
		return
	}
	wait := backoff(s.failed(child.Id, time.Now()), rand.Float64())
	s.sys.cameBack(child)
	s.sys.log.Warn().Str("kind", kind).Str("actor", child.Id).Dur("after", wait).Msg("Actor comes back")
	time.AfterFunc(wait, func() {
		if d == resumeChild {
			sup.ResumeChildren(child)
			return
		}
		sup.RestartChildren(child)
	})
}

// failed counts and tells how many failures came before in a row.
func (s *strategy) failed(id string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fails[id]
	if now.Sub(f.last) > backoffQuiet {
		f.count = 0
	}
	n := f.count
	s.fails[id] = failures{count: n + 1, last: now}
	return n
}

// kindOf reads the kind off an actor's path: …/connections/c17 is a connection,
// …/provider-echo a provider.
func kindOf(pid *actor.PID) string { return kindOfID(pid.GetId()) }

func kindOfID(id string) string {
	above := parentOf(id)
	last := strings.TrimPrefix(id[len(above):], "/")
	switch parent := above[strings.LastIndexByte(above, '/')+1:]; {
	case parent == kindConnections:
		return kindConnection
	case strings.HasPrefix(parent, kindProvider):
		return kindRun
	}
	if strings.HasPrefix(last, kindProvider) {
		return kindProvider
	}
	kind, _, _ := strings.Cut(last, "-")
	return kind
}

// rootStrategy resumes a root, and gives the process up when the root panics
// more than ten times in ten seconds.
type rootStrategy struct {
	sys *System

	mu    sync.Mutex
	times []time.Time
}

const (
	rootPanics = 10
	rootWindow = 10 * time.Second
)

// HandleFailure implements actor.SupervisorStrategy.
func (s *rootStrategy) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, root *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s.sys.cameBack(root)
	if s.tooMany(time.Now()) {
		s.sys.fail(fmt.Errorf("actor %s panicked more than %d times in %s", root.Id, rootPanics, rootWindow))
		return
	}
	sup.ResumeChildren(root)
}

func (s *rootStrategy) tooMany(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, now)
	for len(s.times) > 0 && now.Sub(s.times[0]) > rootWindow {
		s.times = s.times[1:]
	}
	return len(s.times) > rootPanics
}

// guard stands in front of every Receive: `defer g.caught(ctx)` and g.enter.
type guard struct {
	sys     *System
	kind    string
	parents bool // has children: a panic on Terminated must not skip protoactor's own bookkeeping
}

// enter gives fault injection its chance.
func (g guard) enter(ctx actor.Context) {
	if g.sys.inject != nil {
		g.sys.inject(g.kind, ctx)
	}
}

// caught logs a panic with its stack and panics on, so that the supervisor
// decides. On the lifecycle messages it ends the panic instead: protoactor
// would leave a zombie that still answers.
func (g guard) caught(ctx actor.Context) {
	r := recover()
	if r == nil {
		return
	}
	g.sys.logPanic(g.kind, r)
	g.sys.tallies.of(ctx.Self().GetId()).panics.Add(1)
	switch ctx.Message().(type) {
	case *actor.Stopping, *actor.Stopped, *actor.Restarting:
		return
	case *actor.Terminated:
		if g.parents {
			return
		}
	}
	panic(supervised{})
}

// supervised is what a guarded actor panics with: the value that protoactor
// carries around and logs holds nothing.
type supervised struct{}

// apart spawns a child whose parent's list holds an address of its own. What
// leaves that list is overwritten only when it grows again, and an address that
// was once sent to leads to its actor: after a busy hour the list would hold on
// to every actor of the peak, and what those hold. It returns the child's own
// address, too.
func apart(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (own, listed *actor.PID, err error) {
	own, err = actor.DefaultSpawner(system, id, props, parent)
	if err != nil {
		return nil, own, err
	}
	return own, system.NewLocalPID(own.Id), nil
}

// spawnApart is apart for those who do not need the child's own address.
func spawnApart(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
	_, listed, err := apart(system, id, props, parent)
	return listed, err
}
