package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// beatsOf counts what a process said of itself.
func (b *fakeBus) beatsOf(id string) (n int) {
	b.locked(func() {
		for _, beat := range b.beats {
			if beat.ID == id {
				n++
			}
		}
	})
	return n
}

func houseWithWorker(t *testing.T) *house {
	t.Helper()
	p := defaultPlan()
	p.talk = talker("x")
	return build(t, p)
}

func TestWorkerIsReadyWhileItHasABus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := houseWithWorker(t)
		w := h.worker
		requireReady := func(want bool, why string) {
			t.Helper()
			ready, reason := w.Ready()
			require.Equal(t, want, ready)
			require.Equal(t, why, reason)
		}
		requireReady(false, "waiting for the first connection to the message bus")
		require.Equal(t, "down", w.Health().Bus)

		w.BusUp()
		requireReady(true, "")
		require.Equal(t, protocol.WorkerHealth{
			Role: "worker", ID: w.ID(), Status: "ok", Version: "test", Bus: "ok", Capacity: 100,
		}, w.Health())

		w.BusDown()
		require.Equal(t, "degraded", w.Health().Status)
		requireReady(true, "")
		pass(busPatience - time.Second)
		w.BusDown() // said again: it counts from the first
		requireReady(true, "")
		pass(2 * time.Second)
		requireReady(false, "no connection to the message bus")

		w.BusUp()
		requireReady(true, "")
		require.Equal(t, "ok", w.Health().Bus)

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		w.Drain(ctx)
		requireReady(false, "draining")
		require.Equal(t, "draining", w.Health().Status)
	})
}

func TestWorkerThatIsBackSaysSoAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := houseWithWorker(t)
		before := h.bus.beatsOf(h.worker.ID())
		h.worker.BusUp()
		require.Equal(t, before+1, h.bus.beatsOf(h.worker.ID()), "without waiting for its next tick")
	})
}

func TestStatusShowsTheFleet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		other := &bus.Beat{Role: bus.RoleGateway, ID: "GOTHER", Version: "v2", Active: 7, Draining: true}
		busy := remoteBeat("w2")
		busy.Version, busy.Active = "v2", 4
		leaving := remoteBeat("w3")
		leaving.Active, leaving.Draining = 9, true
		for _, b := range []*bus.Beat{other, busy, leaving} {
			h.gateway.Heard(b, time.Now())
		}
		pass(0)
		s := h.gateway.Status()
		require.Len(t, s.Gateways, 2)
		for _, g := range s.Gateways {
			if g.Self {
				require.Equal(t, protocol.GatewayStatus{ID: h.gateway.ID(), Version: "test", Self: true}, g)
				continue
			}
			require.Equal(t, protocol.GatewayStatus{ID: "GOTHER", Version: "v2", Active: 7, Draining: true}, g)
		}
		require.Equal(t, []string{"w1", "w2", "w3"}, []string{s.Workers[0].ID, s.Workers[1].ID, s.Workers[2].ID})
		require.Equal(t, protocol.WorkerStatus{
			ID: "w2", Version: "v2", Providers: []string{"echo", "vendor"},
			States: map[string]string{"echo": "ready", "vendor": "needs_key"}, Active: 4, Capacity: 10,
		}, s.Workers[1])
		require.True(t, s.Workers[2].Draining)
		require.Equal(t, 13, s.Actors.Run, "runs that live, also where no more are taken")

		offers := h.gateway.Offers()
		require.Equal(t, "echo", offers[0].Name)
		require.Equal(t, 2, offers[0].Workers)
		require.Equal(t, 4, offers[0].Active, "of those that take questions")
		require.Equal(t, 20, offers[0].Capacity)
	})
}
