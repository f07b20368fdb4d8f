package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestLimitsAdapt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits = limit.Config{Messages: limit.Rule{Max: 10, Window: time.Minute}, Adapt: true}
		h := build(t, p)
		s := h.watch()
		status := func() protocol.LimiterStatus { return h.gateway.Status().RateLimiter }
		require.Equal(t, 1.0, status().Factor)
		require.Empty(t, status().Why)
		s.memory(82)
		pass(62 * time.Second)
		require.Equal(t, .5, status().Factor)
		require.Equal(t, "under pressure (memory): the limits tighten by a tenth each 10 s, down to half", status().Why)
		require.Equal(t, "10 messages per minute", status().MessageLimit, "what is configured")
		require.InDelta(t, .5, h.gauge("troupe_limit_factor"), .001)
		h.gateway.Reload(Live{Limits: limit.Config{Messages: limit.Rule{Max: 8, Window: time.Minute}, Adapt: true}, Providers: p.types, DefaultProvider: "echo"})

		s.memory(10)
		pass(2 * time.Second) // questions are taken again, half as many of them
		require.Contains(t, status().Why, "loosen")
		c := h.open("s1")
		taken := 0
		for range 8 {
			if c.chat("", "q"); c.refused(protocol.RateLimitExceeded) {
				break
			}
			taken++
			job := h.accept("w1.r")
			h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1})
		}
		require.Equal(t, 4, taken)
		require.Contains(t, c.last().Message, "the limit is 4 messages per minute")
		pass(60 * time.Second)
		require.Equal(t, 1.0, status().Factor)
		h.empty()
	})
}

func TestLimitsStayWhereTheyShallNotAdapt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits = limit.Config{Messages: limit.Rule{Max: 10, Window: time.Minute}}
		h := build(t, p)
		s := h.watch()
		s.memory(82)
		pass(time.Minute)
		require.Equal(t, 1.0, h.gateway.Status().RateLimiter.Factor)
	})
}
