package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// slowly asks at a rate that no other bound minds.
func (c *client) slowly(r protocol.Request) {
	c.ask(r)
	pass(time.Second / requestRate)
}

// said counts the controls that went over the bus.
func (b *fakeBus) said() (n int) {
	b.locked(func() { n = len(b.words) })
	return n
}

// TestMissesAreBounded: who names too many runs that are not there is refused
// for the rest of the minute, at no cost to the bus. What is found counts
// nothing, and nobody else is refused.
func TestMissesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		c := h.open("s")
		c.keyed("1", "hi", "k")
		pass(time.Second)
		over := c.runs()[0]
		c.take()
		hits := []protocol.Request{
			&protocol.Resume{RunID: over}, &protocol.Resume{ClientKey: keyOf("k")}, &protocol.Resume{ID: "1", ClientKey: keyOf("k")},
		}
		for i := range 3 * missesMax {
			c.slowly(hits[i%len(hits)])
			require.Equal(t, protocol.TypeComplete, c.last().Type)
		}
		misses := []protocol.Request{
			&protocol.Resume{RunID: "w9-x"}, &protocol.Resume{RunID: h.worker.ID() + "-x"}, &protocol.Resume{ClientKey: keyOf("x")},
			&protocol.Cancel{RunID: over}, &protocol.Cancel{ClientKey: keyOf("x")}, &protocol.Cancel{ID: "1", ClientKey: keyOf("k")},
		}
		began := time.Now()
		for i := range missesMax {
			c.slowly(misses[i%len(misses)])
			require.Equal(t, protocol.RunNotFound, c.last().Code, "miss %d", i+1)
		}
		said, wanted := h.bus.said(), c.wanted()
		for _, r := range append(misses, hits...) {
			c.take()
			left := time.Until(began.Add(missesWindow))
			c.slowly(r)
			require.Len(t, c.seen(), 1)
			f := c.last()
			require.Equal(t, protocol.RateLimitExceeded, f.Code)
			require.Equal(t, seconds(left), f.RetryAfter)
			what := protocol.ForResume
			if _, cancel := r.(*protocol.Cancel); cancel {
				what = protocol.ForCancel
			}
			require.Equal(t, what, f.For)
			require.Empty(t, f.ID)
		}
		require.Equal(t, said, h.bus.said(), "what was refused cost the bus a word")
		require.Equal(t, wanted+len(misses)+len(hits), c.wanted())

		second := h.open("s")
		second.slowly(misses[0])
		require.Equal(t, protocol.RateLimitExceeded, second.last().Code, "another socket of the address")
		web := h.knock(protocol.Client{Session: "s", Address: "192.0.2.1", Kind: protocol.HTTP})
		web.ask(misses[3])
		require.Equal(t, protocol.RateLimitExceeded, web.last().Code)
		require.NotEmpty(t, web.closed(), "one exchange")
		elsewhere := h.knock(protocol.Client{Session: "s", Address: "198.51.100.7"})
		elsewhere.slowly(misses[0])
		require.Equal(t, protocol.RunNotFound, elsewhere.last().Code)
		second.chat("2", "hi")
		pass(time.Second)
		require.Len(t, second.terminals("2"), 1, "chat goes on")

		time.Sleep(time.Until(began.Add(missesWindow)))
		c.slowly(misses[0])
		require.Equal(t, protocol.RunNotFound, c.last().Code, "the minute is over")
		h.empty()
	})
}

// TestMissesOfARepeat: a repeat that finds nothing is a question and no miss.
func TestMissesOfARepeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		c := h.open("s")
		for i := range missesMax {
			c.again(string(rune('a'+i)), "hi", "k")
			pass(time.Second)
		}
		require.Equal(t, missesMax, h.bus.jobCount())
		require.Zero(t, h.gateway.misses.Len())
		c.take()
		c.ask(&protocol.Resume{RunID: "w9-x"})
		require.Equal(t, protocol.RunNotFound, c.last().Code)
		h.empty()
	})
}
