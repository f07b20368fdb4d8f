package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// spawner makes one child of a root.
type spawner func(name string, producer actor.Producer, opts ...actor.PropsOption) *actor.PID

// treeRoot is the permanent root of a tree. It only spawns.
type treeRoot struct {
	guard
	grow  func(spawner)
	grown chan struct{}
}

// plant starts a root, supervised by its own children's rules, and returns when
// its children are there.
func (s *System) plant(kind, id string, rules func(kind string) directive, grow func(spawner)) (*actor.PID, error) {
	grown := make(chan struct{})
	props := actor.PropsFromProducer(func() actor.Actor {
		return &treeRoot{guard: guard{sys: s, kind: kind, parents: true}, grow: grow, grown: grown}
	}, append(s.permanent(), actor.WithGuardian(&rootStrategy{sys: s}), actor.WithSupervisor(s.supervise(rules)))...)
	root, err := s.root.SpawnNamed(props, kind+"-"+id)
	if err != nil {
		return nil, fmt.Errorf("start the %s's tree: %w", kind, err)
	}
	s.tallies.of(root.GetId()).started.Add(1)
	<-grown
	return root, nil
}

// Receive is the table of contents of a root. Growing is deferred: no panic on
// the way can skip it, because a resumed root does not start again.
func (r *treeRoot) Receive(ctx actor.Context) {
	defer r.caught(ctx)
	if _, ok := ctx.Message().(*actor.Started); ok {
		defer r.spawn(ctx)
	}
	r.enter(ctx)
}

func (r *treeRoot) spawn(ctx actor.Context) {
	r.grow(func(name string, producer actor.Producer, opts ...actor.PropsOption) *actor.PID {
		kind := kindOf(r.sys.actors.NewLocalPID(name))
		pid, err := ctx.SpawnNamed(actor.PropsFromProducer(func() actor.Actor {
			return r.sys.staged(kind, producer())
		}, append(r.sys.permanent(), opts...)...), name)
		if err != nil {
			panic(err) // names are unique: a bug
		}
		r.sys.tallies.of(pid.GetId()).started.Add(1)
		return pid
	})
	close(r.grown)
}

// permanent is how the actors run of which there is one each. They decide about
// many, so each wake of one has a goroutine of its own: nobody queues behind them.
func (s *System) permanent() []actor.PropsOption {
	return []actor.PropsOption{actor.WithMailbox(newMailbox), actor.WithDispatcher(s.alone)}
}

// alone is the dispatcher of permanent actors, with the place of their mailboxes.
type alone struct {
	actor.Dispatcher
	place *place
}

// temporary is the supervision of children that a panic ends.
func (s *System) temporary() actor.PropsOption {
	return actor.WithSupervisor(s.supervise(func(string) directive { return stopChild }))
}
