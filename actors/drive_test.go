package actors

import (
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Actors that a test drives by hand: one message at a time, on the test's own
// goroutine, as many as 10⁵ of them in a second.

// tray is the mailbox of an actor that is driven by hand.
type tray struct {
	mu   sync.Mutex
	mail []any
}

// SendUserMessage implements actor.Process.
func (t *tray) SendUserMessage(_ *actor.PID, m any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mail = append(t.mail, m)
}

// SendSystemMessage implements actor.Process.
func (t *tray) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (t *tray) Stop(*actor.PID) {}

// next takes the oldest message; nil: there is none.
func (t *tray) next() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.mail) == 0 {
		return nil
	}
	m := t.mail[0]
	t.mail = t.mail[1:]
	return m
}

func (t *tray) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mail) == 0
}

// mishap is where an actor panics in the middle of one message.
type mishap uint8

const (
	noMishap   mishap = iota
	atOnce            // before it has done anything
	amid              // after the table that it works with has changed
	unanswered        // just before its answer goes out
	answeredAt        // just after
	mishaps
)

// stage is what an actor that is driven by hand sees of its world.
type stage struct {
	actor.Context // what is not used here panics
	system        *System
	self          *actor.PID
	message       any
	stopped       bool
	mishap        mishap
}

// Self implements actor.Context.
func (d *stage) Self() *actor.PID { return d.self }

// Message implements actor.Context.
func (d *stage) Message() any { return d.message }

// Stop implements actor.Context. Only an actor itself stops here.
func (d *stage) Stop(*actor.PID) { d.stopped = true }

// ActorSystem implements actor.Context.
func (d *stage) ActorSystem() *actor.ActorSystem { return d.system.actors }

// Send implements actor.Context. A mishap of an answer strikes once: what is
// said on the way out of a panic goes out. What is said to the dead is dropped
// here: counted as a dead letter it would leave a clock behind.
func (d *stage) Send(to *actor.PID, m any) {
	kind := d.mishap
	if kind == unanswered || kind == answeredAt {
		d.mishap = noMishap
	}
	if kind == unanswered {
		panic("before the answer")
	}
	if _, lives := d.system.actors.ProcessRegistry.GetLocal(to.Id); lives {
		d.system.root.Send(to, m)
	}
	if kind == answeredAt {
		panic("after the answer")
	}
}

// handle gives an actor one message, and tells whether it panicked.
func (d *stage) handle(a actor.Actor, m any) (panicked bool) {
	defer func() {
		if r := recover(); r != nil {
			panicked = true
		}
	}()
	d.message = m
	a.Receive(d)
	return false
}

// workshop is a system without actors, for those that are driven by hand.
type workshop struct {
	*System
	now  *stage // whose mishap is due at once or amid; nil = nobody's
	last int
}

func newWorkshop() *workshop {
	w := &workshop{}
	metrics := NewMetrics(prometheus.NewRegistry())
	metrics.poolSlots = &trapdoor{Gauge: metrics.poolSlots, of: w}
	w.System = NewSystem(SystemOptions{Log: zerolog.Nop(), Metrics: metrics, Inject: func(string, any) {
		if w.now != nil && w.now.mishap == atOnce {
			panic("before anything")
		}
	}})
	return w
}

// register makes a tray known by an address.
func (w *workshop) register(path string) (*actor.PID, *tray) {
	w.last++
	t := &tray{}
	pid, _ := w.actors.ProcessRegistry.Add(t, fmt.Sprintf("%s%d", path, w.last))
	return pid, t
}

// forward has a mailbox put what comes into the tray of an address at once, where
// it waits for its turn as all else does.
func (w *workshop) forward(m *mailbox, to *actor.PID) {
	m.RegisterHandlers(forwarder{w.root, to}, actor.NewSynchronizedDispatcher(crewTurn))
}

type forwarder struct {
	root *actor.RootContext
	to   *actor.PID
}

// InvokeSystemMessage implements actor.MessageInvoker.
func (f forwarder) InvokeSystemMessage(m any) { f.root.Send(f.to, m) }

// InvokeUserMessage implements actor.MessageInvoker.
func (f forwarder) InvokeUserMessage(m any) { f.root.Send(f.to, m) }

// EscalateFailure implements actor.MessageInvoker.
func (forwarder) EscalateFailure(reason, _ any) { panic(reason) }

func (w *workshop) remove(pid *actor.PID) { w.actors.ProcessRegistry.Remove(pid) }

// trapdoor is a gauge that is set between the change of a table and the word
// about it.
type trapdoor struct {
	prometheus.Gauge
	of *workshop
}

// Set implements prometheus.Gauge.
func (g *trapdoor) Set(v float64) {
	g.Gauge.Set(v)
	if d := g.of.now; d != nil && d.mishap == amid {
		panic("amid")
	}
}
