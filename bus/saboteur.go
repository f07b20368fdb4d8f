package bus

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// Passing is one message on its way through a Bus.
type Passing struct {
	Out  bool   // it leaves this process; else it has arrived
	Sort string // job, control, reply, event, beat, usage or noresponders
	Type string // of a control, reply or event; else empty

	Holding bool // another one is held back on its lane
}

// String names it: "out.job", "in.event.chunk".
func (p Passing) String() string {
	name := "in." + p.Sort
	if p.Out {
		name = "out." + p.Sort
	}
	if p.Type != "" {
		name += "." + p.Type
	}
	return name
}

const (
	sortJob          = "job"
	sortControl      = "control"
	sortReply        = "reply"
	sortEvent        = "event"
	sortBeat         = "beat"
	sortUsage        = "usage"
	sortNoResponders = "noresponders"
)

// Passings lists the names of all there are, without types that only a foreign
// program would send.
func Passings() (names []string) {
	for _, out := range []bool{true, false} {
		all := func(sort string, types ...string) {
			for _, t := range types {
				names = append(names, Passing{Out: out, Sort: sort, Type: t}.String())
			}
		}
		all(sortJob, "")
		all(sortControl, ControlKey, ControlRelease, ControlCancel, ControlGone, ControlResume, ControlAck, ControlFind, ControlWithdraw, ControlProbe)
		all(sortReply, ReplyAccepted, ReplyBusy, ReplyRefused, ReplyFound, ReplyMissing)
		all(sortEvent, EventStatus, EventChunk, EventReasoning, EventSnapshot, EventComplete, EventCancelled, EventError)
		all(sortBeat, "")
	}
	return append(names, Passing{Out: true, Sort: sortUsage}.String(), Passing{Sort: sortNoResponders}.String())
}

// Saboteur makes messages fail on purpose, in tests. It is asked by whoever sends
// or takes a message, from any goroutine.
type Saboteur interface {
	// Active tells whether any message may fail now. It is asked for every
	// message and must cost next to nothing.
	Active() bool
	// Sabotage says what happens to one message.
	Sabotage(Passing) Sabotage
}

// Sabotage is what happens to one message; the zero value lets it pass.
type Sabotage struct {
	// Wait is called before anything else; nil = nothing is waited for. It holds
	// up the caller of a publish, or all of a subscription.
	Wait func()
	// Fail has a publish return ErrDisconnected, unsent.
	Fail bool
	// Panic panics in a handler.
	Panic bool
	// Drop loses the message.
	Drop bool
	// Repeat sends or handles it twice.
	Repeat bool
	// Behind holds it back until the next message of the same lane has passed, at
	// most for so long; 0 = not at all.
	Behind time.Duration
}

// lane is one way of messages on which one can be held back: what a Bus sends,
// the events of an Outgoing, what one handler takes. Nil where there is no
// saboteur.
type lane struct {
	// Set once.
	bus      *Bus
	saboteur Saboteur
	after    func() // follows what was held back for too long; nil = nothing does

	holding atomic.Int32 // messages in held, or being let go, and what follows them

	mu   sync.Mutex // of a handler, too: it takes one message at a time
	held []func()   // guarded by mu
}

// newLane makes a lane for whoever sends, or for one handler.
func (b *Bus) newLane(after func()) *lane {
	if b.opts.Saboteur == nil {
		return nil
	}
	return &lane{bus: b, saboteur: b.opts.Saboteur, after: after}
}

// watched tells whether the next message has to go through arrive or leave. For
// one that takes messages on one goroutine nothing else can change that.
func (l *lane) watched() bool {
	return l != nil && (l.saboteur.Active() || l.holding.Load() > 0)
}

// arrive hands an arrived message to its handler, which must own it: it may be
// called later, on another goroutine, though never beside another call.
func (l *lane) arrive(sort, kind string, handle func()) {
	s := l.ask(Passing{Sort: sort, Type: kind})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.Drop:
		return
	case s.Panic:
		panic("injected")
	case s.Behind > 0:
		l.hold(s.Behind, handle)
		return
	}
	defer l.release(l.take())
	handle()
	if s.Repeat {
		handle()
	}
}

// leave sends a message.
func (l *lane) leave(sort, kind string, send func() error) error {
	s := l.ask(Passing{Out: true, Sort: sort, Type: kind})
	switch {
	case s.Fail:
		return ErrDisconnected
	case s.Drop:
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Behind > 0 {
		l.hold(s.Behind, func() { _ = send() }) // lost on its way, where it fails then
		return nil
	}
	defer l.release(l.take())
	err := send()
	if err == nil && s.Repeat {
		err = send()
	}
	return err
}

// locked runs what belongs to the handler, between its messages.
func (l *lane) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *lane) ask(p Passing) Sabotage {
	p.Holding = l.holding.Load() > 0
	s := l.saboteur.Sabotage(p)
	if s.Wait != nil {
		s.Wait()
	}
	return s
}

// hold keeps a message back. The caller holds mu.
func (l *lane) hold(most time.Duration, pass func()) {
	l.held = append(l.held, pass)
	l.holding.Add(1)
	time.AfterFunc(most, func() {
		defer l.bus.recovered("held back")
		l.mu.Lock()
		defer l.mu.Unlock()
		l.holding.Add(1) // until after has returned: the next message must not pass it by
		defer l.holding.Add(-1)
		late := l.take()
		l.release(late)
		if len(late) > 0 && l.after != nil {
			l.after()
		}
	})
}

// take takes out what was held back. The caller holds mu.
func (l *lane) take() []func() {
	held := l.held
	l.held = nil
	return held
}

// release lets pass what was held back. The caller holds mu.
func (l *lane) release(held []func()) {
	for _, pass := range held {
		func() {
			defer l.holding.Add(-1)
			defer l.bus.recovered("held back")
			pass()
		}()
	}
}

// publishWatched is Publish where a saboteur decides. The event may go out later,
// so it is copied.
func (o *Outgoing) publishWatched(gateway string, e *Event, urgent bool) {
	own := *e
	own.Text = bytes.Clone(e.Text)
	err := o.lane.leave(sortEvent, e.Type, func() error {
		o.post(gateway, &own, urgent)
		return nil
	})
	if err == nil {
		return
	}
	o.dropped.Add(1)
	if folded, ok := o.lostLog.allow(time.Now()); ok {
		o.log.Warn().Err(err).Int("events", 1).Int("folded", folded).Msg("Bus events lost, followers will ask for them again")
	}
}
