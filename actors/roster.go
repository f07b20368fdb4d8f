package actors

import (
	"sort"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// roster knows which workers live, what they offer and who just died. Only its
// own beats, heard back over the bus, entitle it to judge others: a gateway
// that was paused or lost the bus declares nobody dead.
type roster struct {
	guard
	gateway *Gateway
	log     zerolog.Logger

	workers map[string]*bus.Beat // the last one of each
	pulse   pulse
}

// rosterView is what everybody else sees: published whole, never changed.
type rosterView struct {
	workers map[string]*bus.Beat
	offers  map[string]protocol.Offer // by provider
}

// Receive is the table of contents of the roster.
func (r *roster) Receive(ctx actor.Context) {
	defer r.caught(ctx)
	r.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.onStarted(time.Now())
	case *beatHeard:
		r.onBeat(m)
	case *rosterTick:
		for _, id := range r.pulse.tick(m.now) {
			r.forget(id, "lost")
		}
	}
}

// onStarted begins with what was known before a crash, so that a worker that
// died meanwhile is still missed, and none disappears until its next beat.
func (r *roster) onStarted(now time.Time) {
	r.pulse = newPulse(now)
	for id, b := range viewOf(&r.gateway.roster).workers {
		r.workers[id] = b
		r.pulse.heard(id, now)
	}
}

func (r *roster) onBeat(m *beatHeard) {
	b := m.beat
	if b.Role == bus.RoleGateway {
		if b.ID == r.gateway.id {
			r.pulse.own(m.received)
		}
		return
	}
	if b.Leaving {
		r.pulse.forget(b.ID)
		r.forget(b.ID, "left")
		return
	}
	r.pulse.heard(b.ID, m.received)
	if r.workers[b.ID] == nil {
		r.log.Info().Str("worker", b.ID).Int("capacity", b.Capacity).Strs("providers", offerNames(b)).Msg("Worker joined")
	}
	r.workers[b.ID] = b
	r.publish()
}

// forget takes a worker out of the view and tells everyone who follows a run
// there.
func (r *roster) forget(id, how string) {
	if r.workers[id] == nil {
		return
	}
	delete(r.workers, id)
	r.publish()
	lost := r.gateway.followers.at(id)
	e := r.log.Info()
	if how == "lost" {
		e = r.log.Warn()
	}
	e.Str("worker", id).Int("turns", len(lost)).Msg("Worker " + how)
	for _, f := range lost {
		r.sys.root.Send(f.pid, &workerLost{to: f.to})
	}
}

func (r *roster) publish() {
	v := &rosterView{workers: make(map[string]*bus.Beat, len(r.workers)), offers: map[string]protocol.Offer{}}
	for id, b := range r.workers {
		v.workers[id] = b
		if b.Draining {
			continue
		}
		for _, o := range b.Providers {
			seen, ok := v.offers[o.Name]
			if !ok || (seen.State != stateReady && o.State == stateReady) {
				seen = protocol.Offer{Name: o.Name, Type: o.Type, State: o.State, Models: o.Models, DefaultModel: o.DefaultModel, Workers: seen.Workers}
			}
			seen.Workers++
			v.offers[o.Name] = seen
		}
	}
	r.gateway.roster.Store(v)
}

const stateReady = "ready"

func offerNames(b *bus.Beat) []string {
	names := make([]string, 0, len(b.Providers))
	for _, o := range b.Providers {
		names = append(names, o.Name)
	}
	sort.Strings(names)
	return names
}

// view is the newest published picture; never nil.
func viewOf(p *atomic.Pointer[rosterView]) *rosterView {
	if v := p.Load(); v != nil {
		return v
	}
	return &rosterView{}
}
