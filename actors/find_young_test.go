package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// restart puts a new gateway in the place of the old one, which is gone like one
// that was killed. It hears the bus after deaf.
func (h *house) restart(deaf time.Duration, jobs Jobs) {
	h.t.Helper()
	old := h.gateway
	h.bus.locked(func() { h.bus.gateway = nil })
	h.gateway = NewGateway(h.sys, jobs, old.log, old.cfg)
	h.t.Cleanup(func() {
		ctx, cancel := contextFor(time.Second)
		defer cancel()
		old.Stop(ctx)
	})
	young := h.gateway
	time.AfterFunc(deaf, func() { h.bus.locked(func() { h.bus.gateway = young }) })
	require.NoError(h.t, young.Start())
	young.BusUp()
}

// TestYoungGatewayWaits: who comes back to a gateway that has just started finds
// the run that the old one had, after at most a second.
func TestYoungGatewayWaits(t *testing.T) {
	for _, deaf := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond} {
		for name, ask := range map[string]func(run string) protocol.Request{
			"run_id":     func(run string) protocol.Request { return &protocol.Resume{RunID: run, After: 1} },
			"client_key": func(string) protocol.Request { return &protocol.Resume{ClientKey: keyOf("k"), After: 1} },
			"repeat": func(string) protocol.Request {
				return &protocol.Chat{ID: "1", Content: "hi", ClientKey: keyOf("k"), Repeat: true}
			},
		} {
			t.Run(fmt.Sprintf("%s, deaf for %s", name, deaf), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := talking(t)
					first := h.open("s")
					first.keyed("1", "hi", "k")
					pass(2*pace + pace/2)
					run := first.runs()[0]
					h.restart(deaf, h.bus)
					c := h.open("s")
					asked := time.Now()
					c.ask(ask(run))
					for len(c.seen()) == 0 && time.Since(asked) <= 2*settleTime {
						pass(10 * time.Millisecond)
					}
					require.LessOrEqual(t, time.Since(asked), settleTime)
					pass(time.Second)
					require.Equal(t, []string{run}, c.runs())
					tale := c.tale()
					require.Equal(t, "complete 1 5 abcd", tale[len(tale)-1])
					require.Equal(t, 1, h.bus.jobCount())
					require.Equal(t, 2, c.wanted())
					h.empty()
				})
			})
		}
	}
}

// TestYoungGatewayAlone: where no worker lives the client hears so after that
// second, and at once when it is over. A second wait there is never.
func TestYoungGatewayAlone(t *testing.T) {
	for _, deaf := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond, time.Hour} {
		for name, r := range map[string]protocol.Request{
			"resume by run_id":     &protocol.Resume{RunID: "w1-x"},
			"cancel by run_id":     &protocol.Cancel{RunID: "w1-x"},
			"resume by client_key": &protocol.Resume{ClientKey: keyOf("k")},
			"cancel by client_key": &protocol.Cancel{ClientKey: keyOf("k")},
		} {
			t.Run(fmt.Sprintf("%s, deaf for %s", name, deaf), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := build(t, defaultPlan())
					h.bus.locked(func() { h.bus.beating = nil })
					h.restart(deaf, h.bus)
					c := h.open("s")
					asked := time.Now()
					c.ask(r)
					require.Equal(t, 2, c.wanted(), "others need not wait")
					pass(settleTime - time.Millisecond)
					require.Empty(t, c.tale())
					pass(time.Millisecond)
					require.Equal(t, protocol.RunNotFound, c.last().Code)
					c.take()
					time.Sleep(time.Until(asked.Add(2 * settleTime)))
					if deaf < settleTime {
						c.ask(r)
						require.Equal(t, protocol.RunNotFound, c.last().Code, "the roster is believed now")
					}
					require.Empty(t, h.bus.wordsOf(bus.ControlResume))
					h.empty()
				})
			})
		}
	}
}

// TestYoungGatewayWithoutBus: nobody is waited for where nobody can be heard.
func TestYoungGatewayWithoutBus(t *testing.T) {
	for name, r := range map[string]protocol.Request{
		"run_id":     &protocol.Resume{RunID: "w1-x"},
		"client_key": &protocol.Resume{ClientKey: keyOf("k")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				h.restart(time.Hour, h.bus)
				c := h.open("s")
				h.bus.locked(func() { h.bus.down = true })
				c.ask(r)
				require.Equal(t, []string{"error for resume BUS_UNAVAILABLE"}, c.tale())
				h.empty()
			})
		})
	}
}
