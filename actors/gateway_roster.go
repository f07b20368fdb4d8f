package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/bus"
)

// gatewayRoster knows which gateways live. A lost one takes its followers along.
type gatewayRoster struct {
	guard
	worker *Worker
	pulse  pulse
}

// Receive is the table of contents of the gateways' roster.
func (r *gatewayRoster) Receive(ctx actor.Context) {
	defer r.caught(ctx)
	r.enter(ctx)
	switch m := ctx.Message().(type) {
	case *actor.Started: // begins with what was known before a crash
		now := time.Now()
		r.pulse = newPulse(now)
		for _, id := range r.worker.runs.gateways() {
			r.pulse.heard(id, now)
		}
	case *beatHeard:
		r.onBeat(m)
	case *tellRests:
		r.worker.tellRests()
	case *rosterTick:
		lost, _ := r.pulse.look(m.now) // a gateway's own subject is not a worker's to probe
		for _, id := range lost {
			r.worker.log.Warn().Str("gateway", id).Msg("Gateway lost")
			r.worker.gatewayGone(id)
		}
	}
}

func (r *gatewayRoster) onBeat(m *beatHeard) {
	b := m.beat
	switch {
	case b.Role == bus.RoleWorker && b.ID == r.worker.id:
		if r.pulse.own(m.received) {
			r.worker.speakUp()
		}
	case b.Role == bus.RoleGateway && b.Leaving:
		r.pulse.forget(b.ID)
		r.worker.gatewayGone(b.ID)
	case b.Role == bus.RoleGateway:
		if !r.pulse.knows(b.ID) {
			_ = r.worker.bus.Beat(r.worker.beat(m.received)) // a new gateway need not wait for our next one
		}
		r.pulse.heard(b.ID, m.received)
	}
}

// speakUp makes every run say where it is. This process was paused, or away from
// the bus: gateways may have moved turns elsewhere meanwhile, and will say so.
func (w *Worker) speakUp() {
	for _, pid := range w.runs.live() {
		w.sys.root.Send(pid, &speak{})
	}
}

// gatewayGone: each of its followers is a lost socket.
func (w *Worker) gatewayGone(id string) {
	w.runs.forgetClock(id)
	for _, pid := range w.runs.live() {
		w.sys.root.Send(pid, &followerGone{control: &bus.Control{Type: bus.ControlGone, Gateway: id}})
	}
}
