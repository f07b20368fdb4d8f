package actors

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// gateOf blocks one kind of actor while it is shut.
type gateOf struct {
	mu   sync.Mutex
	kind string
	shut chan struct{} // nil = open
}

func (g *gateOf) inject(kind string, _ any) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if kind == g.kind && shut != nil {
		<-shut
	}
}

func (g *gateOf) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gateOf) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

// TestLimiterHangs: the first question waits 50 ms, the next ones not at all;
// half the limit is admitted, visibly; the limiter comes back by itself and has
// everything charged that was admitted meanwhile.
func TestLimiterHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		door := &gateOf{kind: kindLimiter}
		p := defaultPlan()
		p.limits.Messages = limit.Rule{Max: 5, Window: time.Minute}
		p.runs.PerConnection, p.inject = 100, door.inject
		h := build(t, p)
		c := h.open("s")
		door.close()
		c.chat("1", "hi")
		pass(limiterPatience - time.Millisecond)
		require.Zero(t, h.bus.jobCount())
		require.Zero(t, h.gauge("troupe_limiter_degraded"))
		pass(time.Millisecond)
		require.Equal(t, 1, h.bus.jobCount())
		h.accept("w1-1")
		require.InDelta(t, 1, h.gauge("troupe_limiter_degraded"), 0)
		require.Equal(t, "fallback", h.gateway.Health().Limiter)
		c.chat("2", "hi")
		require.Equal(t, 2, h.bus.jobCount(), "known to be away: nobody waits again")
		h.accept("w1-2")
		c.chat("3", "hi")
		require.Equal(t, protocol.RateLimitExceeded, c.last().Code, "the bucket holds half of the limit")
		require.Equal(t, 4, c.wanted(), "each question asks for the next request exactly once")

		second := h.knock(protocol.Client{Session: "s2", Address: "192.0.2.2"})
		require.Equal(t, 1, second.wanted(), "a newcomer is let in by the bucket")
		pass(time.Millisecond) // what it was asked before is too late now
		door.open()
		pass(0)
		require.Zero(t, h.gauge("troupe_limiter_degraded"))
		require.Equal(t, "ok", h.gateway.Status().RateLimiter.State)
		for _, id := range []string{"4", "5", "6"} {
			c.chat(id, "hi")
			h.accept("w1-" + id)
		}
		require.Equal(t, 5, h.bus.jobCount())
		c.chat("7", "hi")
		require.Equal(t, protocol.RateLimitExceeded, c.last().Code, "what the bucket admitted is charged to the window")
		h.empty()
	})
}

// TestLimiterHangsAndPoolIsFull: what the bucket admitted is given back to both.
func TestLimiterHangsAndPoolIsFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		door := &gateOf{kind: kindLimiter}
		p := defaultPlan()
		p.limits.Connections = limit.Rule{Max: 4, Window: time.Hour}
		p.pool.MaxConnections, p.inject = 1, door.inject
		h := build(t, p)
		first := h.open("s")
		door.close()
		for range 20 {
			c := h.knock(protocol.Client{Address: "192.0.2.1", Session: "s"})
			pass(limiterPatience)
			require.Equal(t, []protocol.Code{protocol.ConnectionLimitExceeded}, c.closed())
		}
		first.leave(protocol.CauseGone)
		pass(0)
		h.open("s")
		door.open()
		h.empty()
	})
}

// TestLimiterPanics on everything for a while: chat goes on, and it is back
// within a second.
func TestLimiterPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var broken atomic.Bool
		p := defaultPlan()
		p.talk = talker("a")
		p.inject = func(kind string, _ any) {
			if kind == kindLimiter && broken.Load() {
				panic("on everything")
			}
		}
		h := build(t, p)
		c := h.open("s")
		broken.Store(true)
		for n := range 25 {
			c.chat(fmt.Sprint(n), "hi")
			pass(limiterPatience + 2*pace)
			require.Len(t, c.terminals(fmt.Sprint(n)), 1, "question %d", n)
			require.Equal(t, protocol.TypeComplete, c.last().Type)
		}
		require.InDelta(t, 1, h.gauge("troupe_limiter_degraded"), 0)
		require.Positive(t, h.gateway.Status().Actors.Restarts[kindLimiter])
		broken.Store(false)
		pass(time.Second)
		require.Zero(t, h.gauge("troupe_limiter_degraded"))
		c.chat("last", "hi")
		pass(2 * pace)
		require.Len(t, c.terminals("last"), 1)
		require.Zero(t, h.gauge("troupe_limiter_degraded"))
		h.empty()
	})
}

// TestPoolCrashes at random points under random comings and goings: never more
// than there is room for, and nothing is held in the end.
func TestPoolCrashes(t *testing.T) {
	const slots, perAddress = 5, 2
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(seed, 1))
				wrecker := &saboteur{}
				p := defaultPlan()
				p.pool = PoolConfig{MaxConnections: slots, MaxPerIP: perAddress}
				p.inject = wrecker.inject
				h := build(t, p)
				for range 80 {
					switch dice.IntN(6) {
					case 0, 1, 2:
						h.knock(protocol.Client{Address: fmt.Sprintf("192.0.2.%d", dice.IntN(4)), Session: fmt.Sprint("s", dice.IntN(9))})
					case 3:
						if len(h.clients) > 0 {
							h.clients[dice.IntN(len(h.clients))].leave(protocol.CauseGone)
						}
					case 4:
						wrecker.arm(sabotage{kind: kindPool})
					default:
						pass(time.Duration(dice.IntN(400)) * time.Millisecond)
					}
					h.countSlots(slots, perAddress)
				}
				pass(3 * time.Second)
				h.countSlots(slots, perAddress)
				h.empty()
				fired, _ := wrecker.strikes()
				require.Positive(t, fired)
				for n := range slots {
					c := h.knock(protocol.Client{Address: fmt.Sprint("a", n), Session: "s"})
					require.Equal(t, 1, c.wanted(), "slot %d of %d is missing", n, slots)
				}
				h.empty()
			})
		})
	}
}

// countSlots counts who is in, as the clients see it.
func (h *house) countSlots(slots, perAddress int) {
	h.t.Helper()
	in, by := 0, map[string]int{}
	for _, c := range h.clients {
		c.mu.Lock()
		if c.nexts > 0 && !c.ended {
			in++
			by[c.session.client.Address]++
		}
		c.mu.Unlock()
	}
	require.LessOrEqual(h.t, in, slots, "over-admitted")
	for address, n := range by {
		require.LessOrEqual(h.t, n, perAddress, "over-admitted from %s", address)
	}
}

// TestWorkerDiesWhileRosterIsAway: a worker that dies while the roster is coming
// back from a panic is missed all the same.
func TestWorkerDiesWhileRosterIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wrecker := &saboteur{}
		p := defaultPlan()
		p.inject = wrecker.inject
		h := build(t, p)
		c := h.open("s")
		c.chat("1", "hi")
		h.chunk(h.accept("w1-a").To, 1, "a")
		h.bus.locked(func() { h.bus.beating = nil })
		wrecker.arm(on(kindRoster, &rosterTick{}))
		pass(beatsLost + 4*beatEvery)
		require.Len(t, c.terminals("1"), 1)
		require.Equal(t, protocol.WorkerLost, c.last().Code)
		fired, _ := wrecker.strikes()
		require.Equal(t, 1, fired)
		h.empty()
	})
}
