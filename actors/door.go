package actors

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// What is refused at the door costs no actor, no slot and no decision of the
// limiter: the client is told why, in the manner of every other refusal, and
// that is all there ever was of it.

// atTheDoor tells why a client is not even let in, or nil.
func (g *Gateway) atTheDoor(c *protocol.Client) *protocol.Error {
	if g.draining.Load() {
		return nil // the actor says so
	}
	if !c.Proxy {
		if wait := g.offenders.Refused(time.Now(), c.Address); wait > 0 {
			g.sys.shed(shedOffender, 1)
			g.offend(c) // it was told when to come back
			return tooManyViolations(c.Kind, wait)
		}
	}
	switch {
	case c.Kind == protocol.WebSocket && g.sys.pressedTo(pressure.NoConnections):
		g.sys.shed(shedConnection, 1)
		return g.overloaded("takes no more connections")
	case c.Asks && g.sys.pressedTo(pressure.NoQuestions):
		g.sys.shed(shedQuestion, 1)
		return g.overloaded("takes no more questions")
	}
	return nil
}

func (g *Gateway) overloaded(what string) *protocol.Error {
	retry := g.sys.shedRetry()
	return protocol.NewError(protocol.Overloaded, fmt.Sprintf("This server is under pressure and %s. Try again in %d s.", what, retry), retry)
}

func tooManyViolations(kind protocol.Kind, wait time.Duration) *protocol.Error {
	code := protocol.ConnectionRateExceeded
	if kind == protocol.HTTP {
		code = protocol.RateLimitExceeded
	}
	return protocol.NewError(code, fmt.Sprintf("This address has broken limits or rules of the protocol again and again. Try again in %d s.", seconds(wait)), seconds(wait))
}

// turnAway tells a client why, and returns what stands for its session: nobody
// listens to it.
func (g *Gateway) turnAway(socket Socket, c protocol.Client, why *protocol.Error) *Session {
	s := &Session{gateway: g, socket: socket, client: c}
	s.mark(markClosed)
	g.refused(&c)
	socket.Send(&protocol.Frame{
		Type: protocol.TypeError, Named: c.Kind == protocol.HTTP,
		Code: why.Code, Message: why.Message, RetryAfter: why.RetryAfter,
	})
	socket.Close(why.Code)
	return s
}

// refuseQuestion tells why no question can be asked now, or nil.
func (g *Gateway) refuseQuestion() *protocol.Error {
	if !g.sys.pressedTo(pressure.NoQuestions) {
		return nil
	}
	g.sys.shed(shedQuestion, 1)
	return g.overloaded("takes no more questions")
}

// Offended counts a violation that the transport saw before there was a session.
func (g *Gateway) Offended(c protocol.Client) { g.offend(&c) }

// offend counts a violation of a client: whoever has too many is refused at the
// door for a while. A proxy is never to blame for its clients.
func (g *Gateway) offend(c *protocol.Client) {
	if c.Proxy {
		return
	}
	wait := g.offenders.Offend(time.Now(), c.Address)
	if wait == 0 {
		return
	}
	g.folded.event("offender", c.Address, func(repeats int) {
		e := g.log.WithLevel(zerolog.WarnLevel).Str("address", c.Address).Int("retry_after", seconds(wait))
		if repeats > 0 {
			e = e.Int("repeats", repeats)
		}
		e.Str("remedy", "if many people share this address, add it to limits.offenders.allow; if it is your proxy, to http.trusted_proxies").
			Msg("Address refused for repeated violations")
	})
}

// blame counts the refusal of a client by a limit. Where less than the configured
// limit holds, because the process is pressed or the fallback decides, whoever is
// refused may have kept to what it was promised, and is not to blame.
func (g *Gateway) blame(c *protocol.Client, m *decided) {
	if !m.replaced && !g.tightened() {
		g.offend(c)
	}
}

func (g *Gateway) tightened() bool {
	g.limiting.Lock()
	defer g.limiting.Unlock()
	return g.factor.Tenths() < 10
}

// adapt takes a step of the limits where one is due. Called by the gateway's
// pulse.
func (g *Gateway) adapt(now time.Time) {
	g.limiting.Lock()
	defer g.limiting.Unlock()
	adapts := g.live.Load().Limits.Adapt
	if g.factor.Look(now, adapts && g.sys.pressedTo(pressure.NoQuestions)) {
		g.obey()
		g.log.Info().Float64("factor", g.factorNow()).Msg("Limits adapt to the pressure on this process")
	}
}

// obey has the limiter and its fallback follow the configured limits as far as
// they hold now. The caller holds limiting.
func (g *Gateway) obey() {
	limits := g.live.Load().Limits.Scaled(g.factor.Tenths())
	g.gate.windows.SetConfig(limits)
	g.gate.fallback.SetConfig(limits)
	g.offenders.SetConfig(limits.Offenders)
	g.metrics.limitFactor.Set(g.factorNow())
}

func (g *Gateway) factorNow() float64 { return float64(g.factor.Tenths()) / 10 }

// factorStatus is what is left of the limits, and why.
func (g *Gateway) factorStatus() (factor float64, why string) {
	g.limiting.Lock()
	defer g.limiting.Unlock()
	if g.factor.Tenths() == 10 {
		return 1, ""
	}
	v := g.sys.Pressed()
	if v.Stage == pressure.Calm {
		return g.factorNow(), "pressure is over: the limits loosen by a tenth each 10 s"
	}
	return g.factorNow(), fmt.Sprintf("under pressure (%s): the limits tighten by a tenth each 10 s, down to half", v.Why)
}

// pressureStatus is the process as the operator sees it.
func (s *System) pressureStatus() protocol.PressureStatus {
	v := s.Pressed()
	p := protocol.PressureStatus{
		Stage: int(v.Stage), Why: string(v.Why), Memory: v.Reading.Memory, MemoryLimit: v.Reading.Limit,
		LagMS: v.Reading.Lag.Milliseconds(),
	}
	if !v.Since.IsZero() {
		p.Since = v.Since.UTC().Format(time.RFC3339)
	}
	return p
}
