package actors

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// untilHeal lets time go by until the gateway has asked a run n times for what
// is missing.
func (h *house) untilHeal(n int) {
	h.t.Helper()
	for waited := time.Duration(0); len(h.bus.wordsOf(bus.ControlResume)) < n; waited += pace {
		require.Less(h.t, waited, runSilence+2*silenceCheck, "heal %d", n)
		pass(pace)
	}
}

// TestUnheardTwice: a worker that this gateway never heard beat took the job. No
// beat of it can be missed; when nobody listens where it should, twice in a row,
// its turn moves or ends.
func TestUnheardTwice(t *testing.T) {
	for name, tt := range map[string]struct {
		spoke, stopping bool
		want            []string
		jobs            int
	}{
		"accepted":           {false, false, []string{"accepted 1"}, 2},
		"accepted, stopping": {false, true, []string{"accepted 1", "cancelled 1 1 "}, 1},
		"streaming":          {true, false, []string{"accepted 1", "chunk 1 1 Hel", "error 1 WORKER_LOST"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.chat("1", "hi")
				to := h.bus.lastJob(t).To
				h.reply(to, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-x", Worker: "w2"})
				if tt.spoke {
					h.chunk(to, 1, "Hel")
				}
				want := tt.want
				if tt.stopping {
					c.ask(&protocol.Cancel{ID: "1"})
				}
				for n := 1; n <= 2; n++ {
					require.Empty(t, c.terminals("1"), "judged too early")
					require.Equal(t, 1, h.bus.jobCount(), "judged too early")
					h.untilHeal(n)
					h.gateway.NoResponders(to)
					pass(0)
				}
				require.Equal(t, want, withoutStatus(c.tale()))
				require.Equal(t, tt.jobs, h.bus.jobCount())
				h.empty()
			})
		})
	}
}

// withoutStatus leaves out what only says that a turn lives.
func withoutStatus(tale []string) (out []string) {
	for _, line := range tale {
		if !strings.HasPrefix(line, string(protocol.TypeStatus)) {
			out = append(out, line)
		}
	}
	return out
}

// TestUnheardInARow: a run that says something in between is there.
func TestUnheardInARow(t *testing.T) {
	for name, e := range map[string]bus.Event{
		"status": {Type: bus.EventStatus, Run: "w2-x", Seq: 1, State: protocol.StateStreaming},
		"chunk":  {Type: bus.EventChunk, Seq: 2, Text: []byte("lo")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.chat("1", "hi")
				to := h.bus.lastJob(t).To
				h.reply(to, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-x", Worker: "w2"})
				h.chunk(to, 1, "Hel")
				h.gateway.NoResponders(to)
				e.To = to
				h.say(e)
				h.gateway.NoResponders(to)
				pass(0)
				require.Empty(t, c.terminals("1"))
				h.gateway.NoResponders(to)
				pass(0)
				require.Len(t, c.terminals("1"), 1)
				h.empty()
			})
		})
	}
}

// TestUnheardKnown: of a worker that beats the roster judges: one that changes
// its server is away from its subject for a moment.
func TestUnheardKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for i, run := range []string{remote + "-a", remote + "-b"} {
			id := string(rune('1' + i))
			c.chat(id, "hi")
			to := h.accept(run).To
			if i == 1 {
				h.chunk(to, 1, "Hel")
			}
			for range 10 {
				h.gateway.NoResponders(to)
				pass(tick)
			}
			require.Empty(t, c.terminals(id))
			require.Equal(t, i+1, h.bus.jobCount())
		}
		h.empty()
	})
}
