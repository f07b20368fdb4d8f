package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// lose makes the bus lose exactly one message.
type lose struct {
	name  string
	event func(*bus.Event) bool
	reply func(*bus.Reply) bool
}

func losses() []lose {
	return []lose{
		{name: "the first chunk", event: func(e *bus.Event) bool { return e.Type == bus.EventChunk && e.Seq == 1 }},
		{name: "a chunk", event: func(e *bus.Event) bool { return e.Type == bus.EventChunk && e.Seq == 2 }},
		{name: "the last chunk", event: func(e *bus.Event) bool { return e.Type == bus.EventChunk && e.Seq == 4 }},
		{name: "the end", event: func(e *bus.Event) bool { return e.Type == bus.EventComplete }},
		{name: "the snapshot", event: func(e *bus.Event) bool { return e.Type == bus.EventSnapshot }},
		{name: "the accept", reply: func(r *bus.Reply) bool { return r.Type == bus.ReplyAccepted }},
		{name: "the first status", event: func(e *bus.Event) bool { return e.Type == bus.EventStatus }},
		{name: "found", reply: func(r *bus.Reply) bool { return r.Type == bus.ReplyFound }},
	}
}

// TestExactLoss: whichever one message the bus loses, the client reads the whole
// answer once, from one provider call.
func TestExactLoss(t *testing.T) {
	for _, slow := range []time.Duration{0, 2 * time.Second} { // before the first chunk
		for _, l := range losses() {
			bubble(t, func(t *testing.T) {
				calls, lost := 0, 0
				p := defaultPlan()
				p.talk = fakeProvider(func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
					calls++
					time.Sleep(slow)
					return talker("a", "b", "c", "d")(ctx, q, sink)
				})
				h := build(t, p)
				h.bus.locked(func() {
					h.bus.dropping = func(e *bus.Event) bool {
						hit := l.event != nil && lost == 0 && l.event(e)
						if hit {
							lost++
						}
						return hit
					}
					h.bus.losing = func(r *bus.Reply) bool {
						hit := l.reply != nil && lost == 0 && l.reply(r)
						if hit {
							lost++
						}
						return hit
					}
				})
				c := h.open("s")
				c.chat("1", "hi")
				pass(time.Minute)
				ends := c.terminals("1")
				require.Len(t, ends, 1, l.name)
				require.Equal(t, protocol.TypeComplete, ends[0].Type, l.name)
				shown := ""
				for _, f := range c.seen() {
					if f.Type == protocol.TypeChunk {
						shown += string(f.Text)
					}
				}
				require.Equal(t, []string{"abcd", "abcd"}, []string{shown, string(ends[0].Text)}, l.name)
				require.Equal(t, 1, calls, "%s: provider calls", l.name)

				other := h.open("s") // and a resume loses it too, the second time
				other.ask(&protocol.Resume{RunID: ends[0].RunID, After: 1, ID: "r"})
				pass(time.Minute)
				if l.name == "found" || l.name == "the snapshot" {
					require.Equal(t, 1, lost, l.name)
				}
				if l.name != "found" { // who hears nothing within 500 ms is told that, and asks again
					require.Equal(t, "abcd", string(other.last().Text), l.name)
				}
				h.empty()
			})
		}
	}
}
