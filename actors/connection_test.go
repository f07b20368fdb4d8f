package actors

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestOpenRefused: each refusal is one frame that says why, and one close.
func TestOpenRefused(t *testing.T) {
	products := map[string]Product{"11": {}}
	tests := []struct {
		name   string
		client protocol.Client
		before func(h *house)
		want   string
	}{
		{
			"session",
			protocol.Client{Session: "no good"},
			nil,
			`{"type":"error","message":"The session id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}.","code":"INVALID_SESSION"}`,
		},
		{
			"product",
			protocol.Client{Session: "s", Customer: true, Product: "../x"},
			nil,
			`{"type":"error","message":"The product id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}.","code":"INVALID_PRODUCT"}`,
		},
		{
			"unknown product",
			protocol.Client{Session: "s", Customer: true, Product: "12"},
			nil,
			`{"type":"error","message":"No product of this id is configured.","code":"PRODUCT_NOT_FOUND"}`,
		},
		{
			"draining",
			protocol.Client{Session: "s"},
			func(h *house) { h.gateway.draining.Store(true) },
			`{"type":"error","message":"This server is shutting down. Reconnect in a moment.","code":"SHUTTING_DOWN","retry_after":1}`,
		},
		{
			"connection rate",
			protocol.Client{Session: "s", Address: "a"},
			func(h *house) { h.knock(protocol.Client{Session: "s", Address: "a"}) },
			`{"type":"error","message":"Too many connections: the limit is 1 connection per minute. Try again in 60 s.","code":"CONNECTION_RATE_EXCEEDED","retry_after":60}`,
		},
		{
			"session rate",
			protocol.Client{Session: "s2", Address: "b", Kind: protocol.HTTP},
			func(h *house) { h.knock(protocol.Client{Session: "s1", Address: "b", Kind: protocol.HTTP}) },
			`{"type":"error","code":"SESSION_LIMIT_EXCEEDED","message":"Too many new sessions: the limit is 1 new session per hour. Try again in 3600 s.","retryable":true,"retry_after":3600}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := defaultPlan()
				p.products = products
				p.limits = limit.Config{
					Connections: limit.Rule{Max: 1, Window: time.Minute}, Sessions: limit.Rule{Max: 1, Window: time.Hour},
				}
				h := build(t, p)
				if tt.before != nil {
					tt.before(h)
				}
				c := h.knock(tt.client)
				require.Equal(t, []string{tt.want}, c.take())
				require.Equal(t, []protocol.Code{protocol.Lookup(c.closed()[0]).Code}, c.closed())
				require.Zero(t, c.wanted(), "a refused client must not be read")
				h.empty()
			})
		})
	}
}

// TestOpenPoolFull: in all and per address; what the windows counted is given
// back, so that the client is let in as soon as there is room.
func TestOpenPoolFull(t *testing.T) {
	for scope, message := range map[string]string{
		"all":     "Connection limit reached: 1 connection in all. Close one, or try again later.",
		"address": "Connection limit reached: 1 connection for this address. Close one, or try again later.",
	} {
		t.Run(scope, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := defaultPlan()
				p.pool.MaxConnections = 1
				if scope == "address" {
					p.pool = PoolConfig{MaxConnections: 5, MaxPerIP: 1}
				}
				p.limits = limit.Config{
					Connections: limit.Rule{Max: 2, Window: time.Minute}, Sessions: limit.Rule{Max: 2, Window: time.Minute},
				}
				h := build(t, p)
				first := h.open("s1")
				for range 5 {
					c := h.knock(protocol.Client{Address: "192.0.2.1", Session: "s2"})
					require.Equal(t, message, c.last().Message)
					require.Equal(t, []protocol.Code{protocol.ConnectionLimitExceeded}, c.closed())
				}
				first.leave(protocol.CauseGone)
				pass(0)
				h.open("s2")
				require.EqualValues(t, 5, h.gateway.Status().ConnectionPool.Rejected)
				h.empty()
			})
		})
	}
}

// TestOpenPoolAway: a pool that does not answer costs the client a second, an
// honest answer, and nothing in the windows.
func TestOpenPoolAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits.Connections = limit.Rule{Max: 1, Window: time.Hour}
		hold := make(chan struct{})
		p.inject = func(kind string, m any) {
			if _, ok := m.(*acquire); ok && kind == kindPool {
				<-hold
			}
		}
		h := build(t, p)
		c := h.knock(protocol.Client{Address: "192.0.2.1", Session: "s"})
		pass(poolPatience - time.Millisecond)
		require.Empty(t, c.take())
		pass(time.Millisecond)
		require.Equal(t, protocol.Internal, c.last().Code)
		require.Equal(t, []protocol.Code{protocol.Internal}, c.closed())
		close(hold)
		pass(0)
		h.open("s")
		h.empty()
	})
}

// TestOpenLeftEarly: a socket that is gone before anybody answered leaves nothing.
func TestOpenLeftEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		for range 100 {
			s := &fakeSocket{}
			h.gateway.Open(s, protocol.Client{Address: "a", Session: "s"}).Closed(protocol.CauseGone)
		}
		h.empty()
	})
}

func TestOpenCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.open("s1")
		h.open("s2")
		h.knock(protocol.Client{Session: "no good"})
		web := h.knock(protocol.Client{Session: "s3", Kind: protocol.HTTP})
		require.Equal(t, 1, web.wanted())
		s := h.gateway.Status()
		require.Equal(t, protocol.ManagerStatus{ActiveConnections: 2, AcceptedTotal: 2, RejectedTotal: 1, SuccessRate: 2.0 / 3}, s.WebSocketManager)
		require.Equal(t, 3, s.ConnectionPool.Active)
		require.Equal(t, 3, s.Actors.Connection)
		h.empty()
	})
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.pool.IdleTimeout = time.Minute
		h := build(t, p)
		idle, busy := h.open("s1"), h.open("s2")
		pass(50 * time.Second)
		idle.ask(&protocol.Ping{})
		busy.chat("1", "hi")
		to := h.accept("w1-a").To
		pass(11 * time.Second)
		require.Equal(t, []protocol.Code{protocol.IdleTimeout}, idle.closed(), "a ping must not count")
		require.Equal(t, protocol.IdleTimeout, idle.last().Code)
		pass(2 * time.Minute)
		require.Empty(t, busy.closed(), "a live turn keeps its connection")
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 1})
		pass(59 * time.Second)
		require.Empty(t, busy.closed(), "it counts from the end of the last turn")
		pass(2 * time.Second)
		require.Equal(t, []protocol.Code{protocol.IdleTimeout}, busy.closed())
		h.empty()
	})
}

// TestRequestRate: what is not chat is bounded too, and the socket stays open.
func TestRequestRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for i := range 25 {
			c.ask(&protocol.Ping{})
			require.Equal(t, 1+min(i+1, requestBurst), c.wanted(), "above the bounds it is read more slowly")
		}
		got := map[string]int{}
		for _, line := range c.take() {
			got[line]++
		}
		require.Equal(t, map[string]int{
			`{"type":"pong"}`: requestBurst,
			`{"type":"error","message":"Too many requests: at most 10 a second besides chat.","code":"RATE_LIMIT_EXCEEDED","retry_after":1}`: 5,
		}, got)
		pass(time.Second)
		require.Equal(t, 26, c.wanted(), "each request asks for the next one, once")
		c.ask(&protocol.Ping{})
		require.Equal(t, []string{`{"type":"pong"}`}, c.take())
		h.empty()
	})
}

// TestRequestRateEndsNoTurn: the refusal of a request says which request it
// answers, so that nobody takes it for the end of an unnamed turn that runs.
func TestRequestRateEndsNoTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for range requestBurst {
			c.ask(&protocol.Ping{})
		}
		c.take()
		refused := `"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests: at most 10 a second besides chat.","retryable":true,"retry_after":1}`
		c.ask(&protocol.Cancel{ID: "1"})
		require.Equal(t, []string{`{"type":"error","for":"cancel",` + refused}, c.take())
		c.ask(&protocol.Resume{RunID: "w1-a"})
		require.Equal(t, []string{`{"type":"error","for":"resume",` + refused}, c.take())
		run := newToken()[:tokenShort] + runSeparator + newToken()
		c.ask(&protocol.Resume{RunID: run})
		require.Equal(t, run, c.last().RunID, "a client with many answers must know which to ask for again")
		c.take()
		c.ask(&protocol.Bad{For: protocol.ForResume, Err: protocol.NewError(protocol.InvalidMessage, "no", 0)})
		require.Equal(t, []string{`{"type":"error","for":"resume",` + refused}, c.take())
		h.empty()
	})
}

func TestBadFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		bad := func(id string) *protocol.Bad {
			return &protocol.Bad{ID: id, Err: protocol.NewError(protocol.InvalidMessage, "`content` is empty.", 0)}
		}
		c.ask(bad(""))
		require.Equal(t, []string{`{"type":"error","message":"` + "`content`" + ` is empty.","code":"INVALID_MESSAGE"}`}, c.take())
		c.ask(bad("1"))
		require.Contains(t, c.take()[0], `"id":"1"`)
		c.chat("1", "hi")
		c.ask(bad("1"))
		require.NotContains(t, c.take()[0], `"id"`, "it would end the live turn of this id")
		c.ask(&protocol.Bad{For: protocol.ForResume, Err: protocol.NewError(protocol.InvalidMessage, "run_id is missing", 0)})
		require.Equal(t, []string{`{"type":"error","for":"resume","code":"INVALID_MESSAGE","message":"run_id is missing","retryable":false}`}, c.take())
		require.Empty(t, c.closed())
		h.empty()
	})
}

// TestDrain: who can come back is told when, who waits is let go within half of
// the time, who still talks when it is over is cut with a word.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		idle, named, talking, stuck := h.open("s1"), h.open("s2"), h.open("s3"), h.open("s4")
		named.chat("1", "hi")
		to := h.accept("w1-a").To
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 1})
		named.take()
		talking.chat("", "hi")
		to = h.accept("w1-b").To
		stuck.chat("1", "hi")
		h.accept("w1-c")
		stuck.take()

		done := make(chan struct{})
		h.sys.Go("drain", func() {
			defer close(done)
			ctx, cancel := contextFor(10 * time.Second)
			defer cancel()
			h.gateway.Drain(ctx)
		})
		pass(time.Second)
		require.Empty(t, idle.take())
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, idle.closed())
		require.Contains(t, named.take()[0], `{"type":"reconnect","after_ms":`)
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, named.closed())
		require.Empty(t, talking.closed())

		late := h.knock(protocol.Client{Session: "s5"})
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, late.closed())
		stuck.chat("2", "more")
		require.Equal(t, protocol.ShuttingDown, stuck.last().Code)

		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 1})
		require.Equal(t, `{"type":"complete","full_response":""}`, talking.take()[0])
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, talking.closed())

		pass(10 * time.Second)
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, stuck.closed())
		<-done
		gone := h.bus.wordsOf(bus.ControlGone)
		require.Len(t, gone, 1)
		require.Equal(t, protocol.OnDisconnectGrace, gone[0].OnDisconnect)
		ready, why := h.gateway.Ready()
		require.False(t, ready)
		require.Equal(t, "draining", why)
		h.empty()
	})
}

// TestDrainWhileAsking: a question that the limiter has when the drain begins is
// answered before its socket goes.
func TestDrainWhileAsking(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		hold := make(chan struct{})
		p.inject = func(kind string, m any) {
			if d, ok := m.(*decide); ok && d.message && kind == kindLimiter {
				<-hold
			}
		}
		h := build(t, p)
		c := h.open("s")
		c.chat("", "hi")
		h.sys.root.Send(h.gateway.children, &drainAll{until: time.Now().Add(10 * time.Second)})
		pass(10 * time.Millisecond)
		close(hold)
		pass(time.Second)
		require.Empty(t, c.closed())
		to := h.accept("w1-a").To
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 1})
		require.Equal(t, `{"type":"complete","full_response":""}`, c.take()[0])
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, c.closed())
		h.empty()
	})
}

// TestDrainWhileOpening: a client that is on its way in is refused, and the
// limiter is not taken for dead.
func TestDrainWhileOpening(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		hold := make(chan struct{})
		p.inject = func(kind string, m any) {
			if _, ok := m.(*decide); ok && kind == kindLimiter {
				<-hold
			}
		}
		h := build(t, p)
		c := h.knock(protocol.Client{Address: "192.0.2.1", Session: "s"})
		h.sys.root.Send(h.gateway.children, &drainAll{until: time.Now().Add(time.Second)})
		pass(time.Millisecond)
		require.Equal(t, []protocol.Code{protocol.ShuttingDown}, c.closed())
		close(hold)
		pass(time.Second)
		require.False(t, h.gateway.gate.away.Load())
		h.empty()
	})
}

// TestFollowLeave: what each kind of end of a socket means to its runs.
func TestFollowLeave(t *testing.T) {
	tests := []struct {
		id, asked string
		cause     protocol.Cause
		want      string
	}{
		{"", "", protocol.CauseGone, protocol.OnDisconnectCancel},
		{"", "", protocol.CauseSlowConsumer, protocol.OnDisconnectCancel},
		{"1", protocol.OnDisconnectCancel, protocol.CauseGone, protocol.OnDisconnectCancel},
		{"1", protocol.OnDisconnectCancel, protocol.CauseSlowConsumer, protocol.OnDisconnectGrace},
		{"1", "", protocol.CauseClient, protocol.OnDisconnectGrace},
		{"1", protocol.OnDisconnectContinue, protocol.CauseGone, protocol.OnDisconnectContinue},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %s", tt.id, tt.asked, tt.cause), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.ask(&protocol.Chat{ID: tt.id, Content: "hi", OnDisconnect: tt.asked})
				h.accept("w1-a")
				c.leave(tt.cause)
				pass(0)
				gone := h.bus.wordsOf(bus.ControlGone)
				require.Len(t, gone, 1)
				require.Equal(t, tt.want, gone[0].OnDisconnect)
				require.Equal(t, "w1-a", gone[0].Run)
				require.Equal(t, remote, gone[0].worker)
				h.empty()
			})
		})
	}
}

// TestConnectionSize: thousands of idle connections cost what this says, each,
// their mailboxes included. The next of the allocator's size classes is 416.
func TestConnectionSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(connection{}), uintptr(384))
}
