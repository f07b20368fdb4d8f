package actors

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestOffendersAreRefusedAtTheDoor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits.Offenders = limit.OffendersConfig{Max: 3, Allow: []string{"198.51.100.0/24"}}
		var log bytes.Buffer
		p.log = &log
		h := build(t, p)
		spoil := func(client protocol.Client) {
			for range 3 {
				c := h.knock(client)
				require.Equal(t, 1, c.wanted(), "%v", c.take())
				c.ask(&protocol.Bad{Err: protocol.NewError(protocol.InvalidMessage, "That is no JSON.", 0)})
				require.Equal(t, protocol.InvalidMessage, c.last().Code)
				c.leave(protocol.CauseProtocol)
				synctest.Wait()
			}
		}
		bad := protocol.Client{Address: "192.0.2.1", Session: "s"}
		good := protocol.Client{Address: "192.0.2.2", Session: "s"}
		for _, spared := range []protocol.Client{
			{Address: "198.51.100.7", Session: "s"}, // on the list
			{Address: "192.0.2.3", Session: "s", Proxy: true},
		} {
			spoil(spared)
			spoil(spared)
		}
		c := h.knock(bad)
		for range 3 {
			c.ask(&protocol.Bad{Err: protocol.NewError(protocol.InvalidMessage, "That is no JSON.", 0)})
		}
		no := h.knock(bad)
		require.Equal(t, protocol.ConnectionRateExceeded, no.last().Code)
		require.Equal(t, 1, no.last().RetryAfter)
		require.Equal(t, []protocol.Code{protocol.ConnectionRateExceeded}, no.closed())
		x := bad
		x.Kind, x.Asks = protocol.HTTP, true
		require.Equal(t, protocol.RateLimitExceeded, h.knock(x).last().Code)
		require.Equal(t, 1, h.knock(good).wanted(), "nobody else")
		c.ask(&protocol.Ping{})
		require.Equal(t, protocol.TypePong, c.last().Type, "who is in stays in")
		require.EqualValues(t, 2, h.count("troupe_shed_total", shedOffender))
		require.Contains(t, log.String(), `"address":"192.0.2.1","retry_after":1,"remedy":"if many people share this address`)

		pass(time.Second)
		require.Equal(t, 1, h.knock(bad).wanted(), "it waited as long as it was told to")
		h.gateway.Offended(bad)
		h.gateway.Offended(bad)
		h.gateway.Offended(bad)
		require.Equal(t, 2, h.knock(bad).last().RetryAfter, "twice as long")
		require.Positive(t, h.gateway.Status().RateLimiter.Offenders)
		require.Positive(t, h.gateway.ResetLimits())
		require.Equal(t, 1, h.knock(bad).wanted(), "an operator forgave")
		h.empty()
	})
}

// A refusal by a limit is a violation too, whichever limit it is.
func TestRefusalsCountAgainstTheAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits = limit.Config{
			Connections: limit.Rule{Max: 3, Window: time.Hour}, Messages: limit.Rule{Max: 1, Window: time.Hour},
			Offenders: limit.OffendersConfig{Max: 4},
		}
		h := build(t, p)
		c := h.open("s1")
		for range 3 { // the first one is admitted
			if c.chat("", "q"); !c.refused(protocol.RateLimitExceeded) {
				job := h.accept("w1.r")
				h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1})
			}
		}
		h.open("s2")
		h.open("s3")
		bad := protocol.Client{Address: "192.0.2.1", Session: "s4"}
		require.Greater(t, h.knock(bad).last().RetryAfter, 3000, "refused by the window, until it has room")
		require.Greater(t, h.knock(bad).last().RetryAfter, 3000)
		require.Equal(t, 1, h.knock(bad).last().RetryAfter, "refused at the door")
		h.empty()
	})
}

// Who keeps to the configured limits is no offender where less of them holds:
// under pressure, or while the limiter is away.
func TestTightenedLimitsBlameNobody(t *testing.T) {
	limits := limit.Config{
		Messages: limit.Rule{Max: 4, Window: time.Hour}, Adapt: true, Offenders: limit.OffendersConfig{Max: 2},
	}
	ask := func(h *house) (refused int) {
		c := h.open("s1")
		for range 4 {
			c.chat("", "q")
			pass(2 * limiterPatience) // where only the fallback decides
			if c.refused(protocol.RateLimitExceeded) {
				refused++
				continue
			}
			job := h.accept("w1.r")
			h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1})
		}
		return refused
	}
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits = limits
		h := build(t, p)
		s := h.watch()
		s.memory(82)
		pass(62 * time.Second)
		s.memory(10)
		pass(2 * time.Second)
		require.Equal(t, .6, h.gateway.Status().RateLimiter.Factor)
		require.Equal(t, 2, ask(h))
		require.Zero(t, h.gateway.Status().RateLimiter.Offenders)
		require.Equal(t, 1, h.knock(protocol.Client{Address: "192.0.2.1", Session: "s2"}).wanted())
		h.empty()
	})
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits = limits
		p.inject = func(kind string, message any) {
			if m, ok := message.(*decide); ok && m.message && kind == kindLimiter {
				panic("away")
			}
		}
		h := build(t, p)
		require.Positive(t, ask(h))
		require.Zero(t, h.gateway.Status().RateLimiter.Offenders)
		h.empty()
	})
}
