package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// searchAll uses up what one address may look for in a window: by resume, by
// cancel and by repeat, found and not.
func searchAll(c *client) {
	for n := range searchesMax {
		var r protocol.Request = &protocol.Resume{ClientKey: keyOf("k")}
		switch {
		case n%10 == 3:
			r = &protocol.Chat{ID: fmt.Sprintf("again%d", n), Content: "hi", ClientKey: keyOf("new"), Repeat: true}
		case n%10 == 7:
			r = &protocol.Cancel{ClientKey: keyOf("x")}
		}
		c.slowly(r)
		require.NotEqual(c.t, protocol.RateLimitExceeded, c.last().Code, "search %d", n+1)
	}
}

// TestSearchesAreBounded: a search costs the bus a word for every worker. Who
// looks for too many runs by client_key, there or not, is refused for the rest
// of the minute, at no cost to the bus; what names its run is not, nor a
// question that looks for none, nor another address.
func TestSearchesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := talking(t)
		c := h.open("s")
		c.keyed("1", "hi", "k")
		pass(time.Second)
		over := c.runs()[0]
		began := time.Now()
		searchAll(c)
		pass(time.Second)

		said, jobs, wanted := h.bus.said(), h.bus.jobCount(), c.wanted()
		plain := []byte("sk-secret")
		refused := map[string]protocol.Request{
			"error for resume RATE_LIMIT_EXCEEDED": &protocol.Resume{ClientKey: keyOf("k")},
			"error for cancel RATE_LIMIT_EXCEEDED": &protocol.Cancel{ClientKey: keyOf("k"), ID: "1"},
			"error 2 RATE_LIMIT_EXCEEDED": &protocol.Chat{
				ID: "2", Content: "hi", Provider: "vendor", ClientKey: keyOf("k"), Repeat: true,
				Keys: map[string]protocol.Secret{"vendor": protocol.NewSecret(plain)},
			},
		}
		for want, r := range refused {
			c.take()
			left := time.Until(began.Add(missesWindow))
			c.slowly(r)
			require.Equal(t, seconds(left), c.last().RetryAfter)
			require.Equal(t, []string{want}, c.tale())
		}
		require.Equal(t, make([]byte, len(plain)), plain, "the key of a question that was refused")
		require.Equal(t, said, h.bus.said(), "what was refused cost the bus a word")
		require.Equal(t, jobs, h.bus.jobCount(), "what was refused was asked")
		require.Equal(t, wanted+len(refused), c.wanted())
		require.Zero(t, h.gateway.followers.count())

		second := h.open("t")
		second.slowly(&protocol.Resume{ClientKey: keyOf("k")})
		require.Equal(t, []string{"error for resume RATE_LIMIT_EXCEEDED"}, second.tale(), "another session of the address")
		elsewhere := h.knock(protocol.Client{Session: "s", Address: "198.51.100.7"})
		elsewhere.slowly(&protocol.Resume{ClientKey: keyOf("k")})
		require.Equal(t, []string{"snapshot 1 4 abcd", "complete 1 5 abcd"}, elsewhere.tale())
		c.slowly(&protocol.Resume{RunID: over})
		require.Equal(t, []string{"snapshot 1 4 abcd", "complete 1 5 abcd"}, c.tale(), "a run_id needs no search")
		c.keyed("3", "hi", "k")
		pass(time.Second)
		require.Equal(t, "complete 3 5 abcd", c.tale()[5], "a question that looks for nothing")

		time.Sleep(time.Until(began.Add(missesWindow)))
		c.slowly(&protocol.Resume{ClientKey: keyOf("k")})
		require.NotEqual(t, protocol.RateLimitExceeded, c.last().Code, "the minute is over")
		h.empty()
	})
}

// cancels starts n cancels of another socket's runs and holds them: their runs are
// found and do not end.
func (c *client) cancels(h *house, n int) (tos []uint64) {
	for range n {
		run := fmt.Sprintf("%s-other%d", remote, h.bus.said())
		c.slowly(&protocol.Cancel{RunID: run})
		to := h.bus.last(c.t, run).To
		h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: run, Worker: remote})
		tos = append(tos, to)
	}
	require.Empty(c.t, c.tale())
	return tos
}

// TestCancelsAreNoTurns: who stops other sockets' runs can still ask as many
// questions as ever; how many can be under way is bounded by itself.
func TestCancelsAreNoTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		tos := c.cancels(h, cancelsMax)
		for n := range DefaultRuns().PerConnection - 1 {
			c.chat(fmt.Sprintf("q%d", n), "hi")
			h.accept(fmt.Sprintf("%s-q%d", remote, n))
			require.Equal(t, []string{fmt.Sprintf("accepted q%d", n)}, c.tale())
		}
		c.ask(&protocol.Resume{RunID: remote + "-r"})
		h.reply(h.bus.last(t, remote+"-r").To, bus.Reply{Type: bus.ReplyFound, Run: remote + "-r", Worker: remote})
		require.Empty(t, c.tale())
		c.chat("more", "hi")
		require.Equal(t, []string{"error more RUN_IN_PROGRESS"}, c.tale(), "questions and resumes count as before")

		pass(2 * time.Second)
		said, wanted := h.bus.said(), c.wanted()
		for what, r := range map[string]protocol.Request{
			"run_id": &protocol.Cancel{RunID: remote + "-z"}, "client_key": &protocol.Cancel{ClientKey: keyOf("k")},
		} {
			c.ask(r)
			require.Positive(t, c.last().RetryAfter)
			require.Equal(t, []string{"error for cancel RATE_LIMIT_EXCEEDED"}, c.tale(), what)
		}
		require.Equal(t, said, h.bus.said(), "what was refused cost the bus a word")
		require.Equal(t, wanted+2, c.wanted())
		c.ask(&protocol.Cancel{ID: "q0"})
		require.Equal(t, remote+"-q0", h.bus.wordsOf(bus.ControlCancel)[cancelsMax].Run, "its own turns it may always stop")

		h.say(bus.Event{Type: bus.EventSnapshot, To: tos[0], From: 1})
		h.say(bus.Event{Type: bus.EventCancelled, To: tos[0], Seq: 1})
		require.Len(t, c.tale(), 1)
		c.cancels(h, 1)
		h.empty()
	})
}

// TestCancelsDoNotWaitForTurns: a socket that is busy up to its bound can stop
// another one's run.
func TestCancelsDoNotWaitForTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		for n := range DefaultRuns().PerConnection {
			c.chat(fmt.Sprintf("q%d", n), "hi")
			h.accept(fmt.Sprintf("%s-q%d", remote, n))
		}
		c.take()
		c.cancels(h, 2)
		h.empty()
	})
}

// TestCancelByKeyAlone: a key means the run of that key, also where the socket
// has turns of its own.
func TestCancelByKeyAlone(t *testing.T) {
	rest := []string{"chunk own 2 b", "chunk own 3 c", "chunk own 4 d", "complete own 5 abcd"}
	for name, tt := range map[string]struct {
		key   string
		want  []string
		ended bool // the first socket's run
		own   []string
	}{
		"of another socket's run": {"k", []string{"cancelled 1 2 a"}, true, rest},
		"of its own":              {"o", []string{"cancelled own 2 a"}, false, nil},
		"of nothing":              {"x", []string{"error for cancel RUN_NOT_FOUND"}, false, rest},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := talking(t)
				first, c := h.open("s"), h.open("s")
				first.keyed("1", "hi", "k")
				c.keyed("own", "hi", "o")
				pass(pace + pace/2)
				c.take()
				c.ask(&protocol.Cancel{ClientKey: keyOf(tt.key)})
				require.Equal(t, tt.want, c.tale())
				pass(time.Second)
				require.Equal(t, tt.own, c.tale())
				last := protocol.TypeComplete
				if tt.ended {
					last = protocol.TypeCancelled
				}
				require.Equal(t, last, first.terminals("1")[0].Type)
				h.empty()
			})
		})
	}
}

// TestCancelOfNothing: a cancel that names nothing stops the newest turn of the
// socket that is one: not one that only stops another socket's run.
func TestCancelOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.cancels(h, 1)
		c.ask(&protocol.Cancel{RunID: remote + "-silent"})
		stopped := func() (runs []string) {
			for _, w := range h.bus.wordsOf(bus.ControlCancel)[2:] {
				runs = append(runs, w.Run)
			}
			return runs
		}
		c.ask(&protocol.Cancel{})
		require.Equal(t, []string{"error for cancel NO_ACTIVE_RUN"}, c.tale())
		require.Empty(t, stopped())

		c.chat("old", "hi")
		h.accept(remote + "-old")
		c.chat("new", "hi")
		h.accept(remote + "-new")
		c.take()
		c.cancels(h, 1)
		c.ask(&protocol.Cancel{})
		require.Equal(t, remote+"-new", stopped()[1], "the newest that is a turn")
		require.Len(t, stopped(), 2)

		c.ask(&protocol.Resume{RunID: remote + "-r", ID: "r"})
		h.reply(h.bus.last(t, remote+"-r").To, bus.Reply{Type: bus.ReplyFound, Run: remote + "-r", Worker: remote})
		c.ask(&protocol.Cancel{})
		require.Equal(t, remote+"-r", stopped()[2], "what it resumed is its own")
		h.empty()
	})
}

// TestMisses: which runs that are not there count against who names them. Who
// was told of a run by this gateway does not guess when its worker is gone, nor
// when it is slow.
func TestMisses(t *testing.T) {
	gone := func(h *house) {
		h.bus.locked(func() { h.bus.beating = nil })
		h.gateway.Heard(&bus.Beat{Role: bus.RoleWorker, ID: remote, Leaving: true}, time.Now())
		pass(0)
	}
	nothing := func(*house, uint64) {}
	for name, tt := range map[string]struct {
		before func(h *house)
		run    string
		then   func(h *house, to uint64)
		miss   bool
	}{
		"of a worker that left": {gone, remote + "-x", nothing, false},
		"of a worker that was lost": {func(h *house) {
			h.silence()
			pass(beatsLost + beatEvery)
		}, remote + "-x", nothing, false},
		"a live worker says nothing": {func(*house) {}, remote + "-x", func(*house, uint64) { pass(offerTimeout) }, false},
		"a live worker has no such run": {func(*house) {}, remote + "-x", func(h *house, to uint64) {
			h.reply(to, bus.Reply{Type: bus.ReplyMissing, Worker: remote})
		}, true},
		"of a worker that never lived":                       {func(*house) {}, "w9-x", nothing, true},
		"of a worker that never lived, beside one that left": {gone, "w9-x", nothing, true},
		"no run_id of ours":                                  {func(*house) {}, remote, nothing, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				tt.before(h)
				asks := []protocol.Request{&protocol.Resume{RunID: tt.run}, &protocol.Cancel{RunID: tt.run}}
				for n := range missesMax + 5 {
					c.take()
					c.slowly(asks[n%2])
					var to uint64
					h.bus.locked(func() {
						if len(h.bus.words) > 0 {
							to = h.bus.words[len(h.bus.words)-1].To
						}
					})
					want := protocol.RunNotFound
					if tt.miss && n >= missesMax {
						want = protocol.RateLimitExceeded
					} else {
						tt.then(h, to)
					}
					require.Len(t, c.seen(), 1)
					require.Equal(t, want, c.last().Code, "request %d", n+1)
				}
				h.empty()
			})
		})
	}
}
