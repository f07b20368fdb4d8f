package transport

import (
	"context"
	"time"

	"github.com/gobwas/ws"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	maxTick = 500 * time.Millisecond
	minTick = time.Millisecond
)

// tickFor is how often the sweep looks: often enough for the shortest timeout.
func tickFor(cfg WebSocketConfig) time.Duration {
	tick := maxTick
	for _, d := range []time.Duration{cfg.PingInterval, cfg.PongTimeout, cfg.HandshakeTimeout} {
		if d > 0 {
			tick = min(tick, d/10)
		}
	}
	return max(tick, minTick)
}

// run sweeps until ctx ends: one ticker for all sockets, instead of timers for
// each. A timeout ends at most two ticks late; ping and pong together never
// late, because the ping goes out two ticks early.
//
// The clock counts time that was observed: after a pause (a stopped process, a
// machine asleep, a jump) it moves on by two ticks, not by the pause, so nobody
// is cut for a silence that nobody listened to.
func (s *sockets) run(ctx context.Context) {
	ticker := time.NewTicker(s.tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		s.observe(now.Sub(last))
		last = now
		s.each(s.sweepOne)
	}
}

// observe moves the clock on.
func (s *sockets) observe(elapsed time.Duration) {
	s.clock.Add(int64(min(max(elapsed, 0), 2*s.tick)))
}

// sweepOne keeps a panic inside the socket that it happened in.
func (s *sockets) sweepOne(c *conn) {
	defer c.guard()
	c.sweep(s.now())
}

// over tells whether d has passed since a moment that may be a tick too early.
func (s *sockets) over(since, d time.Duration) bool { return s.now()-since >= d+s.tick }

// sweep applies every timeout of one socket.
func (c *conn) sweep(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.phase {
	case phaseDead:
	case phaseOpen:
		c.sweepOpen(now)
	default:
		if c.set.over(c.state.leaving, closeTimeout) {
			c.kill()
		}
	}
}

func (c *conn) sweepOpen(now time.Duration) {
	began := time.Duration(c.began.Load())
	switch {
	case c.state.out != nil && c.set.over(c.state.out.progress, stallTimeout):
		c.slow()
	case !c.state.admitted && c.set.over(time.Duration(c.heard.Load()), c.set.cfg.HandshakeTimeout):
		c.failLocked(&violation{
			close: ws.StatusInternalServerError, cause: protocol.CauseAdmission,
			code: protocol.Internal, reason: string(protocol.Internal),
		})
	case began != 0 && c.set.over(began, messageTimeout):
		c.failLocked(&violation{
			close: ws.StatusPolicyViolation, cause: protocol.CauseProtocol,
			reason: "a message took longer than " + messageTimeout.String(),
		})
	case c.state.wanted && c.set.cfg.PingInterval > 0:
		c.sweepSilence(now)
	}
}

// sweepSilence pings a silent client, and ends one that stayed silent. Where
// bytes wait already a ping would only wait behind them: the stall timeout
// watches those.
func (c *conn) sweepSilence(now time.Duration) {
	heard := time.Duration(c.heard.Load())
	switch {
	case c.state.pinged > heard:
		if now-c.state.pinged >= c.set.cfg.PongTimeout {
			c.blame(protocol.CausePongTimeout)
			c.kill()
		}
	case now-heard >= c.set.cfg.PingInterval-2*c.set.tick && c.state.out == nil:
		c.state.pinged = now
		c.set.metrics.pings.Add(1)
		c.queueControl(appendControl(nil, ws.OpPing, nil))
	}
}
