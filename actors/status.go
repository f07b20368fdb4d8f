package actors

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// busPatience is how long a gateway without a bus still counts as ready: a
// short restart of NATS must not pull every gateway from its balancer.
const busPatience = 10 * time.Second

func (g *Gateway) opened(active int) {
	g.counts.active.Store(int64(active))
	g.metrics.connectionsState.WithLabelValues("open").Set(float64(active))
}

// closedOne counts a connection whose actor has ended.
func (g *Gateway) closedOne(s *Session, active int) {
	g.opened(active)
	if s.marked(markAdmitted) && s.client.Kind == protocol.WebSocket {
		g.counts.sockets.Add(-1)
	}
}

func (g *Gateway) accepted(c *protocol.Client) {
	if c.Kind == protocol.WebSocket {
		g.counts.sockets.Add(1)
		g.counts.accepted.Add(1)
		g.metrics.connections.WithLabelValues("accepted").Inc()
	}
}

func (g *Gateway) refused(c *protocol.Client) {
	if c.Kind == protocol.WebSocket {
		g.counts.rejected.Add(1)
		g.metrics.connections.WithLabelValues("rejected").Inc()
	}
}

func (g *Gateway) turnEnded(f *protocol.Frame) {
	switch f.Type {
	case protocol.TypeComplete:
		g.counts.completed.Add(1)
	case protocol.TypeCancelled:
		g.counts.cancelled.Add(1)
	default:
		g.counts.failed.Add(1)
	}
}

// Status is the operator's picture.
func (g *Gateway) Status() protocol.Status {
	live, v := g.live.Load(), viewOf(&g.roster)
	factor, why := g.factorStatus()
	s := protocol.Status{
		RateLimiter: protocol.LimiterStatus{
			Stats: protocol.LimiterStats{
				TrackedKeys: g.gate.windows.Len(), Allowed: g.gate.allowed.Load(),
				Rejected: g.gate.rejected.Load(), Fallback: g.gate.replaced.Load(),
			},
			ConnectionLimit: live.Limits.Connections.Describe("connections"),
			MessageLimit:    live.Limits.Messages.Describe("messages"),
			SessionLimit:    live.Limits.Sessions.Describe("sessions"),
			State:           g.limiterState(), Factor: factor, Why: why, Offenders: g.offenders.Len(), Scope: "gateway",
		},
		ConnectionPool: protocol.PoolStatus{
			MaxConnections: g.cfg.Pool.MaxConnections, MaxPerIP: g.cfg.Pool.MaxPerIP,
			Active: g.leases.Active(), Peak: g.leases.Peak(), Rejected: g.leases.Rejected(),
			IdleTimeout: shortDuration(g.cfg.Pool.IdleTimeout), Scope: "gateway",
		},
		WebSocketManager: g.managerStatus(),
		Runs: protocol.RunsStatus{
			Active: g.followers.count(), Completed: g.counts.completed.Load(),
			Cancelled: g.counts.cancelled.Load(), Failed: g.counts.failed.Load(),
		},
		Pressure: g.sys.pressureStatus(),
		Gateways: g.fleetGateways(v), Workers: fleetWorkers(v),
		Actors: protocol.ActorsStatus{Connection: int(g.counts.active.Load()), Restarts: g.sys.restarts()},
	}
	for _, w := range s.Workers {
		s.Actors.Run += w.Active
	}
	return s
}

// fleetGateways lists the live gateways by id. This one speaks for itself, also
// while no beat comes through.
func (g *Gateway) fleetGateways(v *rosterView) []protocol.GatewayStatus {
	all := []protocol.GatewayStatus{{
		ID: g.id, Version: g.cfg.Version, Active: g.followers.count(), Draining: g.draining.Load(), Self: true,
	}}
	for id, b := range v.gateways {
		if id != g.id {
			all = append(all, protocol.GatewayStatus{ID: id, Version: b.Version, Active: b.Active, Draining: b.Draining})
		}
	}
	slices.SortFunc(all, func(a, b protocol.GatewayStatus) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// fleetWorkers lists the live workers by id.
func fleetWorkers(v *rosterView) []protocol.WorkerStatus {
	all := make([]protocol.WorkerStatus, 0, len(v.workers))
	for _, b := range v.workers {
		w := protocol.WorkerStatus{
			ID: b.ID, Version: b.Version, Providers: offerNames(b), States: make(map[string]string, len(b.Providers)),
			Active: b.Active, Capacity: b.Capacity, Draining: b.Draining,
		}
		for _, o := range b.Providers {
			w.States[o.Name] = o.State
			if o.Resting { // the operator wants to know, also where others answer meanwhile
				w.States[o.Name] = provider.StateResting
			}
			for _, r := range o.Rests { // without the model's name: somebody wrote it, who may have mixed up fields
				w.Rests = append(w.Rests, protocol.RestStatus{
					Provider: o.Name, Key: r.Key, OneModel: r.Model != "", Why: r.Why,
					Seconds: wholeSeconds(time.Duration(r.For) * time.Millisecond),
				})
			}
		}
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b protocol.WorkerStatus) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func (g *Gateway) managerStatus() protocol.ManagerStatus {
	m := protocol.ManagerStatus{
		ActiveConnections: int(g.counts.sockets.Load()), AcceptedTotal: g.counts.accepted.Load(),
		RejectedTotal: g.counts.rejected.Load(), SuccessRate: 1,
	}
	if all := m.AcceptedTotal + m.RejectedTotal; all > 0 {
		m.SuccessRate = float64(m.AcceptedTotal) / float64(all)
	}
	return m
}

func (g *Gateway) limiterState() string {
	if g.gate.away.Load() {
		return "fallback"
	}
	return "ok"
}

// Health is what people and dashboards ask.
func (g *Gateway) Health() protocol.Health {
	h := protocol.Health{Status: "ok", Version: g.cfg.Version, Bus: "ok", Workers: len(viewOf(&g.roster).workers), Limiter: g.limiterState()}
	if !g.jobs.Connected() {
		h.Bus, h.Status = "down", "degraded"
	}
	h.Pressure = int(g.sys.Pressed().Stage)
	if h.Workers == 0 || h.Limiter != "ok" || h.Pressure > 0 {
		h.Status = "degraded"
	}
	if g.draining.Load() {
		h.Status = "draining"
	}
	return h
}

// Ready tells a balancer whether to send clients here.
func (g *Gateway) Ready() (bool, string) {
	if g.draining.Load() {
		return false, "draining"
	}
	if !g.everUp.Load() {
		return false, "waiting for the first connection to the message bus"
	}
	if away, since := g.busAway(); away && time.Since(since) > busPatience {
		return false, "no connection to the message bus"
	}
	return true, ""
}

// Offers lists what live workers serve now.
func (g *Gateway) Offers() []protocol.Offer {
	live, v := g.live.Load(), viewOf(&g.roster)
	out := make([]protocol.Offer, 0, len(v.offers))
	load := offerLoad(v)
	for _, o := range v.offers {
		o.Active, o.Capacity = load[o.Name].active, load[o.Name].capacity
		o.Default = o.Name == live.DefaultProvider
		if o.Models == nil {
			o.Models = []string{}
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b protocol.Offer) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// busy is how much some workers do, and could.
type busy struct{ active, capacity int }

// offerLoad sums, by provider, what the workers do that take questions for it.
// A worker's room is one for all its providers, so the sums share it.
func offerLoad(v *rosterView) map[string]busy {
	load := make(map[string]busy, len(v.offers))
	for _, b := range v.workers {
		if b.Draining {
			continue
		}
		for _, o := range b.Providers {
			sum := load[o.Name]
			load[o.Name] = busy{active: sum.active + b.Active, capacity: sum.capacity + b.Capacity}
		}
	}
	return load
}

// ResetLimits clears every window, the fallback bucket and what offenders did.
func (g *Gateway) ResetLimits() int {
	return g.gate.windows.Reset() + g.gate.fallback.Reset() + g.offenders.Reset()
}

// shortDuration writes 30m, not 30m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
