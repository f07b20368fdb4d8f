package actors

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// onStarted judges the labels of the URL and asks the limiter. It names its own
// address first: admission may be over, and a request read, before the
// supervisor that spawns it has got so far.
func (c *connection) onStarted(ctx actor.Context) {
	c.pid.Store(ctx.Self())
	if _, gone := c.gone(); gone {
		return // the supervisor sends socketClosed next
	}
	c.gateway.traces.open(&c.Session)
	switch {
	case c.gateway.draining.Load():
		c.refuse(protocol.ShuttingDown, "This server is shutting down. Reconnect in a moment.", 1)
	case !protocol.ValidLabel(c.client.Session):
		c.refuse(protocol.InvalidSession, "The session id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}.", 0)
	case c.client.Customer && !protocol.ValidLabel(c.client.Product):
		c.refuse(protocol.InvalidProduct, "The product id must match [A-Za-z0-9][A-Za-z0-9_.:-]{0,127}.", 0)
	case c.client.Customer && !c.gateway.knowsProduct(c.client.Product):
		c.refuse(protocol.ProductNotFound, "No product of this id is configured.", 0)
	default:
		c.askLimiter(ctx, &decide{options: limit.ConnectOptions{
			CountConnection: c.client.Kind == protocol.WebSocket,
			NewSession:      c.client.NewSession,
		}})
	}
}

// askLimiter asks, and starts the clock after which the fallback decides.
func (c *connection) askLimiter(ctx actor.Context, m *decide) {
	c.asks++
	m.from, m.n, m.until = ctx.Self(), c.asks, time.Now().Add(limiterPatience)
	m.address, m.session = c.client.Address, c.client.Session
	if m.message && c.client.NewSession {
		m.session = "" // a session that the server made up: the window is the address's
	}
	c.ask = m
	if d := c.gateway.gate.ask(m); d != nil {
		c.onDecided(ctx, d)
		return
	}
	c.patience = after(c.sys, limiterPatience, ctx.Self(), &limiterLate{ask: m})
}

func (c *connection) onLimiterLate(ctx actor.Context, m *decide) {
	if c.ask != m {
		return
	}
	c.onDecided(ctx, c.gateway.gate.late(m))
}

func (c *connection) onDecided(ctx actor.Context, m *decided) {
	if c.ask == nil || c.ask.n != m.n {
		return
	}
	message := c.ask.message
	c.ask = nil
	c.stopPatience()
	if !m.decision.OK && c.state != closing {
		c.gateway.blame(&c.client, m)
	}
	switch {
	case c.state == closing:
		if !message && m.decision.OK { // refused meanwhile: it consumes nothing
			c.gateway.gate.refund(c.client.Address, c.client.Session, m)
		}
	case message:
		c.onMessageDecided(ctx, m.decision)
	case !m.decision.OK:
		c.gateway.traces.limited(&c.Session, m)
		c.onRefusedByLimiter(m.decision)
	default:
		c.gateway.traces.limited(&c.Session, m)
		c.admission = m
		c.askPool(ctx)
	}
}

func (c *connection) onRefusedByLimiter(d limit.Decision) {
	code, what := protocol.ConnectionRateExceeded, "connections"
	if d.Limit == limit.Sessions {
		code, what = protocol.SessionLimitExceeded, "new sessions"
	}
	c.logRateLimit(d)
	c.refuse(code, fmt.Sprintf("Too many %s: the limit is %s. Try again in %d s.", what, d.Rule.Describe(what), seconds(d.RetryAfter)), seconds(d.RetryAfter))
}

func (c *connection) logRateLimit(d limit.Decision) {
	c.gateway.folded.event("rate", c.client.Address, func(repeats int) {
		e := c.line(zerolog.WarnLevel)
		if repeats > 0 {
			e = e.Int("repeats", repeats)
		}
		e.Str("limit", string(d.Limit)).Int("count", d.Count).Int("max", d.Rule.Max).Str("window", d.Rule.Window.String()).
			Int("retry_after", seconds(d.RetryAfter)).Msg("Rate limit exceeded")
	})
}

// seconds rounds up: a client that waits so long is let in.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

func (c *connection) askPool(ctx actor.Context) {
	c.state = leasing
	c.asks++
	c.sys.root.Send(c.gateway.pool, &acquire{owner: &c.Session, n: c.asks})
	c.patience = after(c.sys, poolPatience, ctx.Self(), &poolLate{n: c.asks})
}

func (c *connection) onGranted(m *granted) {
	if c.state != leasing || m.n != c.asks {
		return // too late: the socket is closed, and the end of this actor gives the slot back
	}
	c.stopPatience()
	c.state, c.admission = ready, nil
	c.mark(markAdmitted)
	c.idle(time.Now())
	c.gateway.accepted(&c.client)
	c.gateway.traces.pooled(&c.Session, poolGranted)
	c.gateway.traces.admitted(&c.Session, "")
	if c.client.Kind == protocol.WebSocket {
		e := c.line(zerolog.InfoLevel)
		if c.client.Origin != "" {
			e = e.Str("origin", c.client.Origin)
		}
		e.Msg("WebSocket connection successful")
	}
	c.socket.Next()
}

func (c *connection) onFull(_ actor.Context, m *full) {
	if c.state != leasing || m.n != c.asks {
		return
	}
	c.stopPatience()
	c.gateway.traces.pooled(&c.Session, poolWord(m.scope))
	pool := c.gateway.cfg.Pool
	count, where := pool.MaxConnections, "in all"
	if m.scope == limit.ScopeAddress {
		count, where = pool.MaxPerIP, "for this address"
		c.gateway.offend(&c.client)
	}
	c.gateway.folded.event("pool", c.client.Address, func(repeats int) {
		e := c.line(zerolog.WarnLevel)
		if repeats > 0 {
			e = e.Int("repeats", repeats)
		}
		e.Str("limit", "pool").Str("scope", string(m.scope)).Int("count", count).Int("retry_after", poolRetry).Msg("Connection limit reached")
	})
	c.refuse(protocol.ConnectionLimitExceeded, fmt.Sprintf("Connection limit reached: %s %s. Close one, or try again later.", countOf(count), where), poolRetry)
}

// countOf says how many connections, for people.
func countOf(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return strconv.Itoa(n) + " connections"
}

// poolRetry is the advice to a client that found the pool full, in seconds.
const poolRetry = 5

func (c *connection) onPoolLate(m *poolLate) {
	if c.state != leasing || m.n != c.asks {
		return
	}
	c.gateway.traces.pooled(&c.Session, poolTooLate)
	c.refuse(protocol.Internal, "The connection could not be admitted in time. Reconnect in a moment.", 1)
}
