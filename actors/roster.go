package actors

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/provider"
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

	workers  map[string]*bus.Beat // the last one of each
	gateways map[string]*bus.Beat // of the others
	pulse    pulse
}

// rosterView is what everybody else sees: published whole, never changed.
type rosterView struct {
	workers  map[string]*bus.Beat
	gateways map[string]*bus.Beat      // ours too
	offers   map[string]protocol.Offer // by provider
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
		r.onTick(m.now)
	case *unreachable:
		if peer := peerOf(bus.RoleWorker, m.worker); r.pulse.unreachable(peer, m.now) {
			r.forget(peer, "lost")
		}
	}
}

// onTick looks who is silent. A worker's own subject is probed before its third
// beat is over: NATS says at once when nobody listens there.
func (r *roster) onTick(now time.Time) {
	lost, suspects := r.pulse.look(now)
	for _, peer := range lost {
		r.forget(peer, "lost")
	}
	for _, peer := range suspects {
		if role, id := roleOf(peer); role == bus.RoleWorker {
			r.gateway.probe(id)
		}
	}
}

// peerOf names a process for the pulse. The role is part of it: who may beat as a
// gateway cannot speak for a worker.
func peerOf(role, id string) string { return role + "/" + id }

func roleOf(peer string) (role, id string) {
	role, id, _ = strings.Cut(peer, "/")
	return role, id
}

// onStarted begins with what was known before a crash, so that a worker that
// died meanwhile is still missed, and none disappears until its next beat.
func (r *roster) onStarted(now time.Time) {
	r.pulse = newPulse(now)
	v := viewOf(&r.gateway.roster)
	for id, b := range v.workers {
		r.workers[id] = b
		r.pulse.heard(peerOf(bus.RoleWorker, id), now)
	}
	for id, b := range v.gateways {
		r.gateways[id] = b
		if id != r.gateway.id {
			r.pulse.heard(peerOf(bus.RoleGateway, id), now)
		}
	}
}

func (r *roster) onBeat(m *beatHeard) {
	b := m.beat
	peer := peerOf(b.Role, b.ID)
	switch {
	case b.Role == bus.RoleGateway && b.ID == r.gateway.id:
		r.pulse.own(m.received)
		r.gateway.heardItself(m.received)
	case b.Leaving:
		r.pulse.forget(peer)
		r.forget(peer, "left")
		return
	default:
		r.pulse.heard(peer, m.received)
	}
	if b.Role == bus.RoleGateway {
		r.gateways[b.ID] = b
	} else {
		if r.workers[b.ID] == nil {
			r.log.Info().Str("worker", b.ID).Str("version", logLabel(b.Version)).Int("capacity", b.Capacity).Strs("providers", offerNames(b)).Msg("Worker joined")
		}
		r.workers[b.ID] = b
		r.offerRoom(b)
	}
	r.publish()
}

// offerRoom lets turns that wait for room ask again, as many as a worker says
// that it could take.
func (r *roster) offerRoom(b *bus.Beat) {
	room := b.Capacity - b.Active
	if room <= 0 || b.Draining || !r.gateway.followers.waiting() {
		return
	}
	serves := func(provider string) bool {
		return slices.ContainsFunc(b.Providers, func(o bus.Offer) bool { return o.Name == provider })
	}
	for _, q := range r.gateway.followers.wake(serves, room) {
		r.sys.root.Send(q.pid, &retryDue{to: q.to})
	}
}

// forget takes a process out of the view and tells everyone who follows a run
// there.
func (r *roster) forget(peer, how string) {
	role, id := roleOf(peer)
	if role == bus.RoleGateway {
		delete(r.gateways, id)
		r.publish()
		return
	}
	if r.workers[id] == nil {
		return
	}
	r.gateway.buried.put(id, struct{}{})
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
	v := &rosterView{
		workers: make(map[string]*bus.Beat, len(r.workers)), gateways: maps.Clone(r.gateways), offers: map[string]protocol.Offer{},
	}
	for id, b := range r.workers {
		v.workers[id] = b
		if b.Draining {
			continue
		}
		for _, o := range b.Providers {
			seen, ok := v.offers[o.Name]
			if !ok || (seen.State != stateReady && o.State == stateReady) {
				seen = protocol.Offer{
					Name: o.Name, Type: o.Type, State: o.State, RetryAfter: restOf(&o),
					Models: o.Models, DefaultModel: o.DefaultModel, Workers: seen.Workers,
				}
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

// restOf is what clients hear of a rest: nothing while others answer.
func restOf(o *bus.Offer) int {
	if o.State != provider.StateResting {
		return 0
	}
	return o.RetryAfter
}

// hasOther tells whether a second worker could be asked for a provider: one of
// at least two does not leave it alone just now.
func (g *Gateway) hasOther(name string) bool {
	all, able := 0, 0
	for _, b := range viewOf(&g.roster).workers {
		for i := range b.Providers {
			if o := &b.Providers[i]; o.Name == name && !b.Draining {
				all++
				if o.State != provider.StateResting {
					able++
				}
			}
		}
	}
	return all > 1 && able > 0
}
