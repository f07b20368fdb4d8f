package actors

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestWholeTurn: a question through gateway and worker and back.
func TestWholeTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("Hel", "lo")
		h := build(t, p)
		c := h.open("s")
		c.chat("", "hi")
		pass(time.Second)
		require.Equal(t, []string{
			`{"type":"chunk","content":"Hel"}`, `{"type":"chunk","content":"lo"}`, `{"type":"complete","full_response":"Hello"}`,
		}, c.take())
		require.Empty(t, h.worker.runs.live(), "an unnamed run that was acknowledged is gone")
		c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": secret("sk-1")}})
		pass(time.Second)
		require.Equal(t, protocol.TypeComplete, c.last().Type)
		require.Equal(t, "Hello", string(c.last().Text))
		run := c.last().RunID

		other := h.open("s")
		other.ask(&protocol.Resume{RunID: run, After: 1})
		pass(time.Second)
		require.Equal(t, "lo", string(other.seen()[0].Text))
		require.Equal(t, "1", other.seen()[0].ID, "the run's own name")
		require.Equal(t, "Hello", string(other.last().Text))
		h.empty()
	})
}

// TestWholeTurnLossy: whatever the bus loses, the text arrives whole, and a loss
// makes no storm.
func TestWholeTurnLossy(t *testing.T) {
	for seed := range uint64(12) {
		bubble(t, func(t *testing.T) {
			p := defaultPlan()
			p.talk = talker(strings.Split("the quick brown fox jumps over the lazy dog", "")...)
			h := build(t, p)
			dice := rand.New(rand.NewPCG(seed, 0))
			h.bus.locked(func() {
				h.bus.dropping = func(*bus.Event) bool { return dice.Float64() < 0.05*float64(seed) }
			})
			c := h.open("s")
			c.chat("1", "hi")
			pass(2 * time.Minute)
			ends := c.terminals("1")
			require.Len(t, ends, 1, "seed %d", seed)
			require.Less(t, len(h.bus.wordsOf(bus.ControlResume)), 60, "seed %d", seed)
			require.Equal(t, protocol.TypeComplete, ends[0].Type)
			shown := ""
			for _, f := range c.seen() {
				if f.Type == protocol.TypeChunk {
					shown += string(f.Text)
				}
			}
			require.Equal(t, "the quick brown fox jumps over the lazy dog", shown)
			require.Equal(t, shown, string(ends[0].Text))
			h.empty()
		})
	}
}
