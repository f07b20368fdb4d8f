package actors

import (
	"errors"
	"time"

	"github.com/troupe-chat/troupe/bus"
)

// Heard takes every beat on the bus, our own too.
func (w *Worker) Heard(b *bus.Beat, received time.Time) {
	if b.Role == bus.RoleGateway {
		w.runs.learnClock(b.ID, b.Sent, received)
	} else if b.ID != w.id {
		w.believe(b)
	}
	w.sys.root.Send(w.rosterP, &beatHeard{beat: b, received: received})
}

// believe takes what another worker met at the vendors.
func (w *Worker) believe(b *bus.Beat) {
	for i := range b.Providers {
		o := &b.Providers[i]
		s := w.served[o.Name]
		switch {
		case s == nil:
		case b.Leaving:
			s.line.Forget(b.ID)
		case s.setup.Load().Config.Type == o.Type:
			s.heard(b.ID, o.Rests)
		}
	}
}

// restsChanged tells the other workers soon what this one met: one beat for all
// that changes within a moment.
func (w *Worker) restsChanged() {
	if w.telling.CompareAndSwap(false, true) {
		after(w.sys, restsSoon, w.rosterP, &tellRests{})
	}
}

func (w *Worker) tellRests() {
	w.telling.Store(false)
	w.say(w.beat(time.Now()))
}

// tick is the worker's pulse.
func (w *Worker) tick(now time.Time) {
	w.say(w.beat(now))
	w.telling.Store(false) // it told
	if lost := w.usage.flush(w.bus); lost > 0 {
		w.log.Error().Int("lost", lost).Msg("Usage records lost: the bus was away for too long; their log lines remain")
	}
	for _, s := range w.served {
		w.metrics.line(s.name, s.line)
	}
	w.runs.sweep(now)
	w.balance()
}

// say beats. Without a bus nobody would hear it anyway; one that is too large for
// it leaves out what others can live without: its silence would be a death.
func (w *Worker) say(b *bus.Beat) {
	if err := w.bus.Beat(b); !errors.Is(err, bus.ErrTooLarge) {
		return
	}
	for i := range b.Providers {
		b.Providers[i].Rests, b.Providers[i].Models = nil, nil
	}
	w.log.Warn().Msg("Beat is larger than the bus takes: it goes out without models and rests")
	_ = w.bus.Beat(b)
}

func (w *Worker) beat(now time.Time) *bus.Beat {
	b := &bus.Beat{
		Role: bus.RoleWorker, ID: w.id, Version: w.cfg.Version, Sent: now.UnixMilli(),
		Active: int(w.active.Load()), Capacity: w.cfg.Worker.MaxRuns, Draining: w.draining.Load(), PublicKey: w.keys.PublicKey(),
	}
	for _, s := range w.served {
		b.Providers = append(b.Providers, s.offer())
	}
	return b
}

// restsSoon is how long what changes is gathered for one beat.
const restsSoon = 10 * time.Millisecond
