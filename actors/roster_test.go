package actors

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// beat lets the gateway hear a process of a role.
func (h *house) beat(role, id string, leaving bool) {
	b := &bus.Beat{Role: role, ID: id, Leaving: leaving, Sent: time.Now().UnixMilli()}
	if role == bus.RoleWorker {
		b = remoteBeat(id)
		b.Leaving = leaving
	}
	h.gateway.Heard(b, time.Now())
	pass(0)
}

// known lists who is known in a role.
func (h *house) known(role string) []string {
	v := viewOf(&h.gateway.roster)
	if role == bus.RoleWorker {
		return slices.Sorted(maps.Keys(v.workers))
	}
	return slices.Sorted(maps.Keys(v.gateways))
}

// TestRolesDoNotMeet: on the bus a gateway may speak for gateways only. One that
// beats, leaves or falls silent under a worker's id changes nothing about the
// worker, nor a worker anything about a gateway.
func TestRolesDoNotMeet(t *testing.T) {
	t.Run("a gateway under a worker's id", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			c.chat("1", "hi")
			h.chunk(h.accept(remote+"-a").To, 1, "Hel")
			c.take()
			for _, leaving := range []bool{true, false, true} {
				h.beat(bus.RoleGateway, remote, leaving)
				require.Equal(t, []string{remote}, h.known(bus.RoleWorker))
				require.Empty(t, c.tale())
				require.True(t, h.gateway.offered("echo"))
			}
			h.beat(bus.RoleGateway, remote, false)
			pass(beatsLost + beatEvery)
			require.Equal(t, []string{h.gateway.id}, h.known(bus.RoleGateway), "its silence")
			require.Equal(t, []string{remote}, h.known(bus.RoleWorker))
			require.Empty(t, c.terminals("1"))
			require.Equal(t, 1, h.bus.jobCount())

			h.beat(bus.RoleGateway, remote, false)
			h.beat(bus.RoleWorker, remote, true)
			require.Empty(t, h.known(bus.RoleWorker))
			require.Contains(t, h.known(bus.RoleGateway), remote)
			require.Equal(t, []string{"error 1 WORKER_LOST"}, c.tale())
			h.empty()
		})
	})
	t.Run("a gateway beats for a silent worker", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			h.silence()
			for range 8 {
				h.beat(bus.RoleGateway, remote, false)
				pass(lookEvery)
			}
			require.Empty(t, h.known(bus.RoleWorker), "a gateway kept it alive")
			require.Contains(t, h.known(bus.RoleGateway), remote)
			h.empty()
		})
	})
	t.Run("a worker under a gateway's id", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			own := h.gateway.id
			h.beat(bus.RoleGateway, "g2", false)
			both := slices.Sorted(slices.Values([]string{own, "g2"}))
			for _, id := range both {
				for _, leaving := range []bool{true, false, true} {
					h.beat(bus.RoleWorker, id, leaving)
					require.Equal(t, both, h.known(bus.RoleGateway))
					require.Equal(t, !leaving, slices.Contains(h.known(bus.RoleWorker), id))
				}
				h.beat(bus.RoleWorker, id, false)
			}
			for range 8 {
				h.beat(bus.RoleGateway, "g2", false)
				pass(lookEvery)
			}
			require.Equal(t, both, h.known(bus.RoleGateway))
			require.Equal(t, []string{remote}, h.known(bus.RoleWorker), "silent workers")
			h.empty()
		})
	})
	t.Run("a gateway under the name of the worker that hears it", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan error, 1)
			b := newBench(t, untilStopped(ended), nil)
			b.job(bus.Job{Name: "1", OnDisconnect: "cancel"})
			for _, role := range []string{bus.RoleGateway, bus.RoleWorker} {
				id := map[string]string{bus.RoleGateway: b.worker.id, bus.RoleWorker: desk1}[role]
				for _, leaving := range []bool{false, true} {
					b.worker.Heard(&bus.Beat{Role: role, ID: id, Leaving: leaving, Sent: time.Now().UnixMilli()}, time.Now())
					pass(0)
				}
			}
			require.Empty(t, ended, "a worker's beat took a gateway's followers along")
			require.Equal(t, 1, b.worker.Active())
			b.worker.Heard(&bus.Beat{Role: bus.RoleGateway, ID: desk1, Leaving: true}, time.Now())
			pass(0)
			require.ErrorIs(t, <-ended, errCancelled)
		})
	})
}
