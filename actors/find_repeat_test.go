package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// again asks a question that another socket may have asked already.
func (c *client) again(id, content, key string) {
	c.ask(&protocol.Chat{ID: id, Content: content, ClientKey: keyOf(key), Repeat: true})
}

// TestRepeatFollows: the same question from another socket is no second one. It
// hears what was said and the rest, and no window counts it.
func TestRepeatFollows(t *testing.T) {
	for when, want := range map[time.Duration][]string{
		pace / 2:        {"accepted 1", "snapshot 1 0 ", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"},
		2*pace + pace/2: {"accepted 1", "snapshot 1 2 ab", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"},
		time.Second:     {"accepted 1", "snapshot 1 4 abcd", "complete 1 5 abcd"},
	} {
		t.Run(when.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t, func(p *plan) { p.limits.Messages = limit.Rule{Max: 2, Window: time.Minute} })
				first, other := h.open("s"), h.open("s")
				first.keyed("1", "hi", "k")
				pass(when)
				other.again("1", "hi", "k")
				require.Equal(t, 2, other.wanted())
				pass(time.Second)
				require.Equal(t, 1, h.bus.jobCount())
				require.Equal(t, first.runs(), other.runs())
				require.Equal(t, want, other.tale())
				require.Len(t, first.terminals("1"), 1)
				require.EqualValues(t, 1, h.gateway.counts.completed.Load(), "one question was answered")

				other.again("1", "hi", "k")
				pass(time.Second)
				require.Equal(t, []string{"accepted 1", "snapshot 1 4 abcd", "complete 1 5 abcd"}, other.tale(), "a repeat on the same socket")
				other.again("2", "new", "k")
				pass(time.Second)
				require.Equal(t, "complete 2 5 abcd", other.tale()[5])
				other.again("3", "new", "k")
				require.Equal(t, []string{"error 3 RATE_LIMIT_EXCEEDED"}, other.tale(), "two questions were asked")
				require.Equal(t, 5, other.wanted())
				require.Equal(t, 2, h.bus.jobCount())
				h.empty()
			})
		})
	}
}

// TestRepeatOtherContent: other content under the name of a run that still
// generates ends that name, and nothing else; after its end it is a new question.
func TestRepeatOtherContent(t *testing.T) {
	t.Run("while it runs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			first, other := h.open("s"), h.open("s")
			first.keyed("1", "hi", "k")
			other.keyed("own", "hi", "o")
			pass(pace + pace/2)
			other.take()
			other.again("1", "something else", "k")
			require.Equal(t, []string{"error 1 INVALID_MESSAGE"}, other.tale())
			require.Equal(t, 3, other.wanted())
			pass(time.Second)
			require.Equal(t, []string{"chunk own 2 b", "chunk own 3 c", "chunk own 4 d", "complete own 5 abcd"}, other.tale())
			require.Equal(t, "complete 1 5 abcd", first.tale()[5])
			require.Equal(t, 2, h.bus.jobCount())
			h.empty()
		})
	})
	t.Run("after its end", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			first, other := h.open("s"), h.open("s")
			first.keyed("1", "hi", "k")
			pass(time.Second)
			other.again("1", "something else", "k")
			pass(time.Second)
			require.NotEqual(t, first.runs(), other.runs())
			require.Equal(t, []string{"accepted 1", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"}, other.tale())
			require.Equal(t, 2, h.bus.jobCount())
			require.Equal(t, 2, other.wanted())
			h.empty()
		})
	})
}

// TestRepeatNobody: a question that nobody has is asked as soon as all workers
// have said so, and 250 ms later where one says nothing.
func TestRepeatNobody(t *testing.T) {
	asked := func(t *testing.T, h *house, other *client) {
		t.Helper()
		require.Equal(t, 1, h.bus.jobCount())
		require.Equal(t, 2, other.wanted())
		pass(time.Second)
		require.Equal(t, []string{"accepted 1", "chunk 1 1 a", "chunk 1 2 b", "chunk 1 3 c", "chunk 1 4 d", "complete 1 5 abcd"}, other.tale())
		require.Equal(t, 1, h.bus.jobCount())
		h.empty()
	}
	t.Run("all answer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			other := h.open("s")
			other.again("1", "hi", "k")
			asked(t, h, other)
		})
	})
	t.Run("one is mute", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			h.mute("w2")
			other := h.open("s")
			other.again("1", "hi", "k")
			pass(searchPatience - time.Millisecond)
			require.Zero(t, h.bus.jobCount())
			require.Equal(t, 1, other.wanted(), "nothing is read while a repeat seeks")
			pass(time.Millisecond)
			asked(t, h, other)
		})
	})
	t.Run("one is gone", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			h.mute("w2")
			other := h.open("s")
			other.again("1", "hi", "k")
			unheard := func(n int) {
				t.Helper()
				finds := h.bus.wordsOf(bus.ControlFind)
				require.Len(t, finds, n)
				h.gateway.NoResponders(finds[n-1].To)
			}
			unheard(2) // one to each worker
			pass(searchPatience)
			require.Zero(t, h.bus.jobCount(), "it may only be on its way to another server, and have the run")
			unheard(3)
			h.bus.locked(func() { h.bus.beating = nil })
			h.beat(bus.RoleWorker, "w2", true)
			pass(searchPatience)
			asked(t, h, other)
		})
	})
	t.Run("the bus repeats an answer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			h.mute("w2")
			other := h.open("s")
			other.again("1", "hi", "k")
			for range 3 {
				h.reply(h.bus.wordsOf(bus.ControlFind)[0].To, bus.Reply{Type: bus.ReplyMissing, Worker: h.worker.ID()})
			}
			require.Zero(t, h.bus.jobCount(), "one worker counted for two")
			pass(searchPatience)
			asked(t, h, other)
		})
	})
	t.Run("an answer comes too late", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := talking(t)
			h.mute("w2")
			other := h.open("s")
			other.again("1", "hi", "k")
			to := h.bus.wordsOf(bus.ControlFind)[0].To
			pass(searchPatience)
			h.reply(to, bus.Reply{Type: bus.ReplyFound, Worker: "w2", Run: "w2-x"})
			require.Empty(t, h.bus.wordsOf(bus.ControlResume))
			asked(t, h, other)
		})
	})
	t.Run("no worker lives", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			h.bus.locked(func() { h.bus.beating = nil })
			h.gateway.Heard(&bus.Beat{Role: bus.RoleWorker, ID: remote, Leaving: true}, time.Now())
			other := h.open("s")
			other.again("1", "hi", "k")
			require.Equal(t, 1, h.bus.jobCount(), "it is a question like any other")
			require.Equal(t, 2, other.wanted())
			h.empty()
		})
	})
}

// TestRepeatFoundBesideMute: a run that generates needs no second opinion; of one
// that is over another worker may know better.
func TestRepeatFoundBesideMute(t *testing.T) {
	for _, over := range []bool{false, true} {
		t.Run(fmt.Sprintf("over %t", over), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				first, other := h.open("s"), h.open("s")
				first.keyed("1", "hi", "k")
				pass(pace + pace/2)
				if over {
					pass(time.Second)
				}
				h.mute("w2")
				other.again("1", "hi", "k")
				require.Equal(t, over, len(other.seen()) == 0)
				pass(searchPatience)
				require.Equal(t, "accepted 1", other.tale()[0])
				require.Equal(t, 1, h.bus.jobCount())
				require.Equal(t, 2, other.wanted())
				h.empty()
			})
		})
	}
}

// TestRepeatKeys: the user's own key goes to the run that it starts, once; the
// key of a question that is followed, refused or abandoned is wiped.
func TestRepeatKeys(t *testing.T) {
	ask := func(c *client, content string) (plain []byte) {
		plain = []byte("sk-secret")
		c.ask(&protocol.Chat{
			ID: "1", Content: content, Provider: "vendor", ClientKey: keyOf("k"), Repeat: true,
			Keys: map[string]protocol.Secret{"vendor": protocol.NewSecret(plain)},
		})
		return plain
	}
	wiped := make([]byte, len("sk-secret"))
	bubble(t, func(t *testing.T) {
		h := talking(t)
		first, other, third := h.open("s"), h.open("s"), h.open("s")
		firstKey := ask(first, "hi")
		require.Len(t, h.bus.wordsOf(bus.ControlKey), 1)
		require.Equal(t, "sk-secret", string(firstKey), "a second attempt may need it")
		require.Equal(t, wiped, ask(other, "hi"), "of a question that is followed")
		require.Equal(t, wiped, ask(third, "something else"), "of a question that is refused")
		require.Equal(t, "error 1 INVALID_MESSAGE", third.tale()[0])
		pass(time.Second)
		require.Equal(t, wiped, firstKey)
		require.Equal(t, "complete 1 5 abcd", other.tale()[6])
		require.Len(t, h.bus.wordsOf(bus.ControlKey), 1)
		require.Equal(t, 1, h.bus.jobCount())

		h.mute("w2")
		last := h.open("s")
		lastKey := ask(last, "new")
		require.Equal(t, "sk-secret", string(lastKey))
		last.leave(protocol.CauseGone)
		pass(0)
		require.Equal(t, wiped, lastKey, "of a socket that is gone")
		h.empty()
	})
}

// TestRepeatSocketLost: who leaves while seeking leaves nothing behind.
func TestRepeatSocketLost(t *testing.T) {
	for name, r := range map[string]protocol.Request{
		"repeat": &protocol.Chat{ID: "1", Content: "hi", ClientKey: keyOf("k"), Repeat: true},
		"resume": &protocol.Resume{ClientKey: keyOf("k")},
		"cancel": &protocol.Cancel{ClientKey: keyOf("k")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				h.mute("w2")
				c := h.open("s")
				c.ask(r)
				require.Equal(t, 1, h.gateway.followers.count())
				c.leave(protocol.CauseGone)
				pass(0)
				require.Zero(t, h.gateway.followers.count())
				pass(time.Second)
				require.Zero(t, h.bus.jobCount())
				require.Empty(t, h.bus.wordsOf(bus.ControlGone), "no run was followed")
				require.Empty(t, c.tale())
				h.empty()
			})
		})
	}
}

// TestRepeatWhileDraining: a drain that begins meanwhile starts nothing new, and
// what was found is still followed to its end.
func TestRepeatWhileDraining(t *testing.T) {
	for _, found := range []bool{false, true} {
		t.Run(fmt.Sprintf("found %t", found), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				first := h.open("s")
				if found {
					first.keyed("1", "hi", "k")
					pass(time.Second)
				}
				h.mute("w2")
				c := h.open("s")
				c.again("1", "hi", "k")
				jobs := h.bus.jobCount()
				h.sys.root.Send(h.gateway.children, &drainAll{until: time.Now().Add(10 * time.Second)})
				pass(searchPatience)
				tale := c.tale()
				require.Contains(t, tale[0], "reconnect")
				if found {
					require.Equal(t, []string{"accepted 1", "snapshot 1 4 abcd", "complete 1 5 abcd"}, tale[1:])
				} else {
					require.Equal(t, []string{"error 1 SHUTTING_DOWN"}, tale[1:])
				}
				require.Equal(t, []protocol.Code{protocol.ShuttingDown}, c.closed())
				require.Equal(t, jobs, h.bus.jobCount())
				require.Equal(t, 2, c.wanted())
				h.empty()
			})
		})
	}
}

// TestRepeatWhileBusLost: a bus that goes meanwhile is said, and the socket is
// read on; also where no turn waits for it.
func TestRepeatWhileBusLost(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(grace.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t, func(p *plan) { p.runs.Grace = grace })
				h.mute("w2")
				c := h.open("s")
				plain := []byte("sk-secret")
				c.ask(&protocol.Chat{
					ID: "1", Content: "hi", Provider: "vendor", ClientKey: keyOf("k"), Repeat: true,
					Keys: map[string]protocol.Secret{"vendor": protocol.NewSecret(plain)},
				})
				h.bus.locked(func() { h.bus.down = true })
				h.gateway.BusDown()
				pass(time.Nanosecond)
				h.gateway.watchBus(time.Now())
				pass(searchPatience)
				require.Equal(t, []string{"error 1 BUS_UNAVAILABLE"}, c.tale())
				require.Equal(t, make([]byte, len(plain)), plain)
				require.Zero(t, h.bus.jobCount())
				require.Equal(t, 2, c.wanted(), "a request without a Next behind it: the socket is never read again")
				h.empty()
			})
		})
	}
}

// TestRepeatTooFast: a repeat beyond the bound of requests is refused, and not
// asked all the same.
func TestRepeatTooFast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		c := h.open("s")
		for range requestBurst {
			c.ask(&protocol.Ping{})
		}
		c.take()
		plain := []byte("sk-secret")
		c.ask(&protocol.Chat{
			ID: "1", Content: "hi", Provider: "vendor", ClientKey: keyOf("k"), Repeat: true,
			Keys: map[string]protocol.Secret{"vendor": protocol.NewSecret(plain)},
		})
		pass(time.Second)
		require.Equal(t, []string{"error 1 RATE_LIMIT_EXCEEDED"}, c.tale())
		require.Zero(t, h.bus.jobCount(), "the question that was refused was asked")
		require.Equal(t, make([]byte, len(plain)), plain)
		require.Equal(t, 2+requestBurst, c.wanted())
		h.empty()
	})
}
