package actors

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/fault"
	"github.com/troupe-chat/troupe/actors/trace"
)

// System is the soil both trees stand in: one protoactor system per process,
// its log bridged to zerolog without a single message value, its dead letters
// counted.
type System struct {
	actors  *actor.ActorSystem
	root    *actor.RootContext
	log     zerolog.Logger
	metrics *Metrics
	inject  func(kind string, ctx actor.Context) // nil: nothing is injected
	faults  *fault.Set                           // nil: no fault can be set
	trace   *trace.Tracer                        // nil: nothing is traced
	crew    crew                                 // of connections and runs: whoever decides about many must not queue behind them
	alone   *alone
	fatal   chan error
	pressed pressed
	epoch   time.Time
	clock   *clock // of the mailboxes
	tallies tallies
}

// Injector is called with every message before the actor of that kind sees it.
// It may panic or block: that is what it is for. Nil in production.
type Injector func(kind string, message any)

// SystemOptions are what a System is made of.
type SystemOptions struct {
	Log     zerolog.Logger
	Metrics *Metrics
	Inject  Injector
	Trace   *trace.Tracer // nil: nothing is traced
	Faults  *fault.Set    // of FaultCatalogue; nil: no fault can be set
}

// NewSystem makes an empty system.
func NewSystem(o SystemOptions) *System {
	s := &System{log: o.Log, metrics: o.Metrics, inject: injected(o.Inject, o.Faults), faults: o.Faults, trace: o.Trace, fatal: make(chan error, 1), epoch: time.Now()}
	s.clock = &clock{epoch: s.epoch}
	s.crew.place = newPlace(&s.crew, s.clock)
	s.alone = &alone{Dispatcher: actor.NewDefaultDispatcher(crewTurn)}
	s.alone.place = newPlace(s.alone, s.clock)
	s.actors = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(bridge{log: o.Log}) }),
		actor.WithDeadLetterRequestLogging(false),
		actor.WithDeadLetterThrottleCount(1),
	)
	compact(s.actors)
	s.root = s.actors.Root
	s.actors.EventStream.Subscribe(func(event any) {
		if _, dead := event.(*actor.DeadLetterEvent); dead {
			s.metrics.deadLetters.Inc()
		}
	})
	return s
}

// A moment is a time in eight bytes that goes by the monotonic clock: setting
// the machine's clock ends nobody. 0 is none.
type moment int64

// moment of a time that was read in this process.
func (s *System) moment(t time.Time) moment { return moment(t.Sub(s.epoch)) + 1 }

// at is the time of a moment.
func (s *System) at(m moment) time.Time { return s.epoch.Add(time.Duration(m - 1)) }

// Fatal delivers the one error that a root's supervision could not heal.
// Whoever runs the process ends it then.
func (s *System) Fatal() <-chan error { return s.fatal }

func (s *System) fail(err error) {
	select {
	case s.fatal <- err:
	default:
	}
}

// stop stops a root and waits for the end of its tree, at most until ctx ends.
func (s *System) stop(ctx context.Context, pid *actor.PID) {
	if pid == nil {
		return
	}
	done := make(chan struct{})
	watcher := s.root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
			c.Stop(pid)
		case *actor.Terminated:
			if m.Who.Equal(pid) {
				close(done)
				c.Stop(c.Self())
			}
		}
	}))
	select {
	case <-done:
	case <-ctx.Done():
		s.root.Stop(watcher)
	}
}

// run starts a goroutine that cannot end the process. A panic is logged with
// its stack and handed to onPanic, which may be nil.
func (s *System) run(name string, fn func(), onPanic func()) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.logPanic(name, r)
				if onPanic != nil {
					onPanic()
				}
			}
		}()
		fn()
	}()
}

// Go starts a goroutine that cannot end the process: a panic is logged.
func (s *System) Go(name string, fn func()) { s.run(name, fn, nil) }

// every calls fn at each interval until ctx ends. A panic costs one call.
func (s *System) every(ctx context.Context, name string, interval time.Duration, fn func(now time.Time)) {
	s.run(name, func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			s.clock.pulse(time.Now())
			s.guarded(name, fn)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}, nil)
}

func (s *System) guarded(name string, fn func(now time.Time)) {
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(name, r)
		}
	}()
	fn(time.Now())
}

// cameBack counts an actor's return.
func (s *System) cameBack(who *actor.PID) {
	s.metrics.restarts.WithLabelValues(kindOf(who)).Inc()
	s.tallies.of(who.GetId()).restarts.Add(1)
}

// restarts tells, by kind, how often actors came back; kinds without one are
// left out.
func (s *System) restarts() map[string]uint64 {
	out := map[string]uint64{}
	s.tallies.each(func(l line, n *tally) {
		if v := n.restarts.Load(); v > 0 {
			out[l.kind] += v
		}
	})
	return out
}

// logPanic writes one line with the stack. A panic value may hold anything, a
// user's key too, so only what the runtime itself said is written in words.
func (s *System) logPanic(kind string, r any) {
	s.metrics.panics.WithLabelValues(kind).Inc()
	s.log.Error().Str("kind", kind).Str("panic", panicText(r)).
		Str("stack", string(debug.Stack())).Msg("Panic caught")
}

func panicText(r any) string {
	if e, ok := r.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("value of type %T", r)
}

// bridge is a slog.Handler that writes protoactor's lines to zerolog. Of the
// attributes it lets pass only actor ids: messages and panic values stay out.
type bridge struct {
	log zerolog.Logger
	pid string
}

// Enabled implements slog.Handler.
func (b bridge) Enabled(_ context.Context, level slog.Level) bool {
	return b.log.GetLevel() <= bridgeLevel(level)
}

// Handle implements slog.Handler.
func (b bridge) Handle(_ context.Context, r slog.Record) error {
	e := b.log.WithLevel(bridgeLevel(r.Level)).Str("lib", "protoactor")
	pid := b.pid
	r.Attrs(func(a slog.Attr) bool {
		if p, ok := a.Value.Any().(*actor.PID); ok {
			pid = p.GetId()
		}
		return true
	})
	if pid != "" {
		e = e.Str("actor", pid)
	}
	e.Msg(r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (b bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if p, ok := a.Value.Any().(*actor.PID); ok {
			b.pid = p.GetId()
		}
	}
	return b
}

// WithGroup implements slog.Handler.
func (b bridge) WithGroup(string) slog.Handler { return b }

// bridgeLevel turns protoactor's info into debug: its lifecycle is not ours.
func bridgeLevel(l slog.Level) zerolog.Level {
	switch {
	case l >= slog.LevelError:
		return zerolog.ErrorLevel
	case l >= slog.LevelWarn:
		return zerolog.WarnLevel
	default:
		return zerolog.DebugLevel
	}
}

// registryBuckets times 32 are the maps of a system's registry.
const registryBuckets = 8

// compact takes all but a few of a new system's 1,024 × 32 registry maps away.
// An actor in a map of its own costs a third of a kilobyte; one among many a
// fifth of that. What the system has registered by itself is entered again.
func compact(system *actor.ActorSystem) {
	registry := system.ProcessRegistry
	registry.LocalPIDs.LocalPIDs = slices.Clone(registry.LocalPIDs.LocalPIDs[:registryBuckets])
	registry.Add(actor.NewEventStreamProcess(system), "eventstream")
}
