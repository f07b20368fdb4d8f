package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// takes is a step: the vendor says one word and is through a while later.
func takes(d time.Duration, word string) fakeProvider {
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		sink.Text([]byte(word))
		select {
		case <-time.After(d):
			return replies()(ctx, q, sink)
		case <-ctx.Done():
			return holds()(ctx, q, sink)
		}
	}
}

// narrow is one provider with room for one call, and a queue.
func narrow(m *market, queue int, steps ...fakeProvider) map[string]ProviderSetup {
	return map[string]ProviderSetup{"a": serves(m.vendor("a", steps...), provider.Config{MaxConcurrent: 1, MaxQueue: queue})}
}

// TestQueuePlaces: who waits for room hears its place, each new one, and when
// its turn has come; the vendor's clocks do not run meanwhile.
func TestQueuePlaces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		providers := narrow(&m, 5, takes(3*time.Second, "Hi"))
		setup := providers["a"]
		setup.Config.FirstTokenTimeout, setup.Config.StallTimeout = 2*time.Second, 4*time.Second
		setup.Config.Timeout = 5 * time.Second
		providers["a"] = setup
		h := newOffice(t, providers)
		clients := []*client{h.open("s1"), h.open("s2"), h.open("s3")}
		for _, c := range clients {
			c.wants("1", "a")
		}
		unnamed := h.open("s4")
		unnamed.wants("", "a")
		pass(time.Second)
		require.InDelta(t, 3, h.figure("troupe_provider_queued", "a"), 0)
		pass(12 * time.Second)
		want := [][]string{nil, {`1`}, {`2`, `1`}}
		for i, c := range clients {
			run := c.runs()[0]
			lines := []string{`{"type":"accepted","id":"1","run_id":"` + run + `"}`}
			for _, place := range want[i] {
				lines = append(lines, `{"type":"status","id":"1","state":"queued","position":`+place+`}`)
			}
			if i > 0 {
				lines = append(lines, `{"type":"status","id":"1","state":"waiting"}`)
			}
			lines = append(lines,
				`{"type":"chunk","id":"1","seq":1,"content":"Hi"}`,
				`{"type":"complete","id":"1","run_id":"`+run+`","seq":2,"full_response":"Hi","finish_reason":"stop","provider":"a","model":"","attempts":1,"usage":{"input_tokens":5,"output_tokens":7,"estimated":false}}`)
			require.Equal(t, lines, c.take(), "client %d", i+1)
		}
		require.Equal(t, []string{`{"type":"chunk","content":"Hi"}`, `{"type":"complete","full_response":"Hi"}`}, unnamed.take())
		require.Zero(t, h.figure("troupe_provider_queued", "a"))
		h.empty()
	})
}

// TestQueueSilence: a long wait is told as one, every 15 s at least.
func TestQueueSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, narrow(&m, 5, holds("word")), func(p *plan) {
			p.runs.QueueTimeout, p.runs.StallTimeout = time.Minute, time.Hour
		})
		first, c := h.open("s1"), h.open("s2")
		first.wants("1", "a")
		c.wants("1", "a")
		c.take()
		pass(50 * time.Second)
		lines := c.take()
		require.GreaterOrEqual(t, len(lines), 3)
		for _, line := range lines {
			require.Equal(t, `{"type":"status","id":"1","state":"queued","position":1}`, line)
		}
		require.Len(t, m.all(), 1)
		first.ask(&protocol.Cancel{ID: "1"})
		c.ask(&protocol.Cancel{ID: "1"})
		h.empty()
	})
}

// TestQueueClocks: the vendor's first clock begins when the vendor is asked.
func TestQueueClocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		providers := narrow(&m, 5, takes(4*time.Second, "Hi"), holds())
		setup := providers["a"]
		setup.Config.FirstTokenTimeout = time.Second
		providers["a"] = setup
		b := newFirm(t, providers)
		b.put(bus.Job{Provider: "a"})
		to := b.put(bus.Job{Provider: "a", Name: "1"})
		pass(5*time.Second - tick)
		require.False(t, b.over(to), "it was timed out in the queue")
		pass(2 * tick)
		require.Equal(t, "The provider said nothing for 1s.", b.end(to).Message)
		b.idle()
	})
}

// TestQueueClocksBetweenCalls: nor do they run between two calls, while a limit is
// sat out or the next provider has no room yet.
func TestQueueClocksBetweenCalls(t *testing.T) {
	short := provider.Config{APIKeys: secrets("k1"), FirstTokenTimeout: time.Second}
	full := short
	full.Fallback = []string{"b"}
	for name, tt := range map[string]struct {
		config provider.Config
		fault  provider.Fault
	}{"a short limit": {short, provider.FaultLimited}, "no room at the next": {full, provider.FaultKeyDenied}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", fails(tt.fault, 2), replies("Hi")), tt.config),
					"b": serves(m.vendor("b", takes(8*time.Second, "Hi")), provider.Config{MaxConcurrent: 1}),
				})
				b.put(bus.Job{Provider: "b"})
				to := b.put(bus.Job{Provider: "a"})
				pass(20 * time.Second)
				require.Equal(t, bus.EventComplete, b.end(to).Type, b.end(to).Message)
				require.Equal(t, 2, b.end(to).Attempts)
				b.idle()
			})
		})
	}
}

// TestQueueFull: a worker whose provider has no place left says busy, so that
// another one is asked, and takes the job when there is a place again.
func TestQueueFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, narrow(&m, 1, takes(time.Second, "Hi")))
		b.put(bus.Job{Provider: "a"})
		b.put(bus.Job{Provider: "a"})
		require.Equal(t, bus.ReplyBusy, b.offer(bus.Job{Provider: "a"}).Type)
		require.Equal(t, 2, b.worker.Active())
		load := b.worker.Load().Providers[0]
		require.Equal(t, []uint64{3, 1, 0}, []uint64{load.Received, load.Busy, load.Failed})
		pass(time.Second + tick)
		to := b.put(bus.Job{Provider: "a"})
		pass(3 * time.Second)
		require.Equal(t, bus.EventComplete, b.end(to).Type)
		b.idle()
	})
}

// TestQueueFullForLong: where nobody has a place in time the client hears
// OVERLOADED, an unnamed one at once.
func TestQueueFullForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, narrow(&m, 1, holds("word")))
		holder, waiter, named, unnamed := h.open("s1"), h.open("s2"), h.open("s3"), h.open("s4")
		holder.wants("1", "a")
		waiter.wants("1", "a")
		unnamed.wants("", "a")
		require.Equal(t, protocol.Overloaded, unnamed.last().Code)
		named.wants("1", "a")
		require.Equal(t, []string{`{"type":"status","id":"1","state":"queued"}`}, named.take())
		pass(DefaultRuns().QueueTimeout - tick)
		require.Empty(t, waiter.terminals("1"))
		pass(time.Second)
		require.Equal(t, protocol.Overloaded, waiter.last().Code)
		pass(DefaultRuns().QueueTimeout) // it took the place that the waiter left
		require.Len(t, named.terminals("1"), 1)
		require.Equal(t, protocol.Overloaded, named.last().Code)
		require.Equal(t, 1, named.last().RetryAfter)
		require.Len(t, m.all(), 1)
		require.Empty(t, holder.terminals("1"))
		holder.ask(&protocol.Cancel{ID: "1"})
		h.empty()
	})
}

// TestQueuePatience: nobody waits longer than runs.queue_timeout, and nothing
// was asked or spent; then the chain goes on.
func TestQueuePatience(t *testing.T) {
	for name, fallback := range map[string][]string{"told": nil, "the next provider": {"b"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", holds("word")), provider.Config{MaxConcurrent: 1, Fallback: fallback}),
					"b": serves(m.vendor("b", replies("Hi")), provider.Config{}),
				}, func(p *plan) { p.runs.QueueTimeout = 3 * time.Second })
				b.put(bus.Job{Provider: "a"})
				to := b.put(bus.Job{Provider: "a"})
				moves := b.put(bus.Job{Provider: "b"}) // others do not wait with it
				require.True(t, b.over(moves))
				pass(3*time.Second - tick)
				require.False(t, b.over(to))
				pass(2 * tick)
				end := b.end(to)
				if fallback != nil {
					require.Equal(t, []any{bus.EventComplete, "b", 1}, []any{end.Type, end.Provider, end.Attempts})
					return
				}
				require.Equal(t, bus.Event{
					Type: bus.EventError, To: to, Run: end.Run, Seq: 1, Provider: "a", Code: string(protocol.Overloaded), RetryAfter: 1,
					Message: "Provider a is asked as much as it may be at once. Try again in a moment.", Usage: &bus.Usage{}, Elsewhere: true,
				}, end)
			})
		})
	}
}

// TestQueuePatienceElsewhere: another worker may have room.
func TestQueuePatienceElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", holds("word")), provider.Config{MaxConcurrent: 1, Fallback: []string{"b"}}),
			"b": serves(m.vendor("b", replies("never")), provider.Config{}),
		})
		b.put(bus.Job{Provider: "a"})
		to := b.put(bus.Job{Provider: "a", Movable: true})
		pass(DefaultRuns().QueueTimeout + tick)
		require.True(t, b.end(to).Elsewhere)
		require.Equal(t, []string{"a"}, m.order(), "first another worker, then the next provider")
	})
}

// TestQueueOff: with runs.queue_timeout 0 nobody waits.
func TestQueueOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, narrow(&m, 5, holds("word")), func(p *plan) { p.runs.QueueTimeout = 0 })
		b.put(bus.Job{Provider: "a"})
		require.Equal(t, bus.ReplyBusy, b.offer(bus.Job{Provider: "a"}).Type)
	})
}

// TestQueueFair: sessions take turns, however many questions one of them has.
func TestQueueFair(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, narrow(&m, 10, takes(time.Second, "Hi")))
		for n := range 4 {
			b.put(bus.Job{Provider: "a", Session: "greedy", System: fmt.Sprint("greedy ", n)})
		}
		b.put(bus.Job{Provider: "a", Session: "modest", System: "modest"})
		pass(6 * time.Second)
		var order []string
		for _, c := range m.all() {
			order = append(order, c.asked.System)
		}
		require.Equal(t, []string{"greedy 0", "greedy 1", "modest", "greedy 2", "greedy 3"}, order)
		b.idle()
	})
}

// TestQueueCancel: a cancel gives the place to who stands behind, asks nobody
// and costs nothing.
func TestQueueCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, narrow(&m, 5, takes(3*time.Second, "Hi")))
		b.put(bus.Job{Provider: "a", Session: "s1", Name: "1"})
		run := b.offer(bus.Job{Provider: "a", Session: "s2", Name: "1"}).Run
		b.put(bus.Job{Provider: "a", Session: "s3", Name: "1"})
		require.Equal(t, []int{2}, b.places(3))
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 2, Session: "s2"})
		require.Equal(t, []int{2, 1}, b.places(3))
		end := b.end(2)
		require.Equal(t, []any{bus.EventCancelled, 0, &bus.Usage{}}, []any{end.Type, end.Attempts, end.Usage})
		require.Equal(t, 2, b.worker.Active())
		pass(7 * time.Second)
		require.Equal(t, bus.EventComplete, b.end(3).Type)
		require.Len(t, m.all(), 2)
		b.idle()
	})
}

// places is what a follower heard of its run's place, in order.
func (b *bench) places(to uint64) (out []int) {
	for _, e := range b.heard(to) {
		if e.State == protocol.StateQueued {
			out = append(out, e.Position)
		}
	}
	return out
}

// TestQueueShutdown: what waits when its worker shuts down is told so.
func TestQueueShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, narrow(&m, 5, holds("word")))
		b.put(bus.Job{Provider: "a", Name: "1"})
		to := b.put(bus.Job{Provider: "a", Name: "1"})
		ctx, cancel := contextFor(time.Second)
		defer cancel()
		b.worker.Drain(ctx)
		require.Equal(t, string(protocol.ShuttingDown), b.end(to).Code)
		b.idle()
	})
}

// TestQueuePerKey: each key has room of its own, and a user's key needs none of
// it.
func TestQueuePerKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		b := newFirm(t, map[string]ProviderSetup{"a": serves(
			m.vendor("a", takes(time.Second, "Hi")), provider.Config{APIKeys: secrets("k1", "k2"), MaxConcurrentPerKey: 1},
		)})
		for range 3 {
			b.put(bus.Job{Provider: "a"})
		}
		require.Equal(t, []string{"a k1", "a k2"}, m.order())
		reply := b.offer(bus.Job{Provider: "a", Session: "s", NeedsKey: true})
		b.sealed(4, reply.Run, "a", "sk-user")
		require.Equal(t, []string{"a k1", "a k2", "a sk-user"}, m.order())
		pass(3 * time.Second)
		require.Len(t, m.all(), 4)
		b.idle()
	})
}

// TestQueuePerKeyFull: where only the calls per key are bounded the worker has as
// much room as its keys together; with the queue full it says busy, and takes
// jobs again when a place is free.
func TestQueuePerKeyFull(t *testing.T) {
	for name, tt := range map[string]struct{ queue, places int }{
		"a queue of one":                  {1, 3},
		"as many as may be asked at once": {0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{"a": listed(m.vendor("a", takes(time.Second, "Hi")), provider.Config{
					APIKeys: secrets("k1", "k2"), MaxConcurrentPerKey: 1, MaxQueue: tt.queue,
				})})
				for range tt.places {
					b.put(bus.Job{Provider: "a"})
				}
				require.Equal(t, bus.ReplyBusy, b.offer(bus.Job{Provider: "a"}).Type)
				require.False(t, b.worker.served["a"].crowded(true), "a user's own key finds room")
				require.Equal(t, []string{"a k1", "a k2"}, m.order())
				require.Equal(t, tt.places, b.worker.Active())
				pass(time.Second + tick)
				to := b.put(bus.Job{Provider: "a"})
				pass(4 * time.Second)
				require.Equal(t, bus.EventComplete, b.end(to).Type)
				require.Len(t, m.all(), tt.places+1)
				b.idle()
			})
		})
	}
}

// TestQueuePerKeyFullForLong: clients hear OVERLOADED then, one with an id when
// its time is over.
func TestQueuePerKeyFullForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, map[string]ProviderSetup{"a": listed(m.vendor("a", holds("word")), provider.Config{
			APIKeys: secrets("k1", "k2"), MaxConcurrentPerKey: 1, MaxQueue: 1,
		})})
		var holders []*client
		for _, session := range []string{"s1", "s2", "s3"} {
			c := h.open(session)
			c.wants("1", "a")
			holders = append(holders, c)
		}
		waiter, named, unnamed := holders[2], h.open("s4"), h.open("s5")
		unnamed.wants("", "a")
		require.Equal(t, []any{protocol.Overloaded, 1}, []any{unnamed.last().Code, unnamed.last().RetryAfter})
		named.wants("1", "a")
		require.Equal(t, []string{`{"type":"status","id":"1","state":"queued"}`}, named.take())
		pass(2*DefaultRuns().QueueTimeout + time.Second) // it took the place that the waiter left
		for _, c := range []*client{waiter, named} {
			require.Len(t, c.terminals("1"), 1)
			require.Equal(t, protocol.Overloaded, c.last().Code)
		}
		require.Equal(t, []string{"a k1", "a k2"}, m.order())
		for _, c := range holders[:2] {
			require.Empty(t, c.terminals("1"))
			c.ask(&protocol.Cancel{ID: "1"})
		}
		h.empty()
	})
}

// TestQueueReload: a reload that makes more room lets those in who wait.
func TestQueueReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		providers := narrow(&m, 5, takes(3*time.Second, "Hi"))
		b := newFirm(t, providers)
		for range 3 {
			b.put(bus.Job{Provider: "a"})
		}
		require.Len(t, m.all(), 1)
		wider := providers["a"]
		wider.Config.MaxConcurrent = 3
		b.worker.Reload(map[string]ProviderSetup{"a": wider})
		pass(0)
		require.Len(t, m.all(), 3)
		pass(4 * time.Second)
		b.idle()
	})
}

// TestReloadTakesTheKeyFromThoseWhoWait: they hear what they need, and what is
// under way goes on.
func TestReloadTakesTheKeyFromThoseWhoWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		providers := narrow(&m, 5, takes(3*time.Second, "Hi"))
		h := newOffice(t, providers)
		asked, waits := h.open("s1"), h.open("s2")
		asked.wants("1", "a")
		pass(100 * time.Millisecond)
		waits.wants("1", "a")
		pass(time.Second)
		setup := providers["a"]
		setup.Config.UserKeys = provider.UserKeysRequire
		h.worker.Reload(map[string]ProviderSetup{"a": setup})
		pass(time.Second)
		require.Len(t, waits.terminals("1"), 1)
		require.Equal(t, protocol.ProviderUnauthorized, waits.last().Code)
		require.Equal(t, "Provider a needs your own key here: send it as api_keys.a.", waits.last().Message)
		require.Empty(t, asked.terminals("1"))
		pass(3 * time.Second)
		require.Equal(t, protocol.TypeComplete, asked.last().Type)
	})
}

// TestUserKeysRefused: a job that brings a key where none is taken, or none
// where one is needed, is refused before it is accepted, and no key is sent.
func TestUserKeysRefused(t *testing.T) {
	tests := map[string]struct {
		policy string
		key    bool
		want   string // "" = answered
	}{
		"refuse, with a key":     {provider.UserKeysRefuse, true, "Provider a takes no keys of users here: ask without api_keys.a."},
		"refuse, without a key":  {provider.UserKeysRefuse, false, ""},
		"require, without a key": {provider.UserKeysRequire, false, "Provider a needs your own key here: send it as api_keys.a."},
		"require, with a key":    {provider.UserKeysRequire, true, ""},
		"allow, with a key":      {provider.UserKeysAllow, true, ""},
		"as ever, without a key": {"", false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				h := newOffice(t, map[string]ProviderSetup{
					"a": serves(m.vendor("a", replies("Hi")), provider.Config{UserKeys: tt.policy, APIKeys: secrets("k1")}),
				})
				c, key := h.open("s"), secret("sk-user")
				ask := &protocol.Chat{ID: "1", Content: "hi", Provider: "a"}
				if tt.key {
					ask.Keys = map[string]protocol.Secret{"a": key}
				}
				c.ask(ask)
				pass(time.Second)
				require.Len(t, c.terminals("1"), 1)
				if tt.want == "" {
					require.Equal(t, protocol.TypeComplete, c.last().Type)
					require.Equal(t, []string{map[bool]string{true: "a sk-user", false: "a k1"}[tt.key]}, m.order())
					return
				}
				require.Equal(t, []string{
					`{"type":"error","id":"1","code":"PROVIDER_UNAUTHORIZED","message":"` + tt.want + `","retryable":false}`,
				}, c.take())
				require.Empty(t, m.all())
				require.Zero(t, h.keysSent())
				require.Equal(t, 1, h.bus.jobCount(), "no other worker would take it")
				require.EqualValues(t, 1, h.worker.Load().Providers[0].Failed)
				if tt.key {
					require.Equal(t, make([]byte, 7), key.Reveal(), "the key outlived its question")
				}
				h.bus.locked(func() { require.Empty(t, h.bus.bills, "what was not accepted costs nothing") })
				h.empty()
			})
		})
	}
}
