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

// last is the newest control that was said about a run.
func (b *fakeBus) last(t *testing.T, run string) (out word) {
	t.Helper()
	b.locked(func() {
		for _, w := range b.words {
			if w.Run == run {
				out = w
			}
		}
	})
	require.NotEmpty(t, out.Type, "nothing was said about %s", run)
	return out
}

// moved is a turn that has moved from the remote worker, which fell silent, to
// another one; the first one is back.
func moved(t *testing.T, h *house, policy string) (c *client, first uint64) {
	t.Helper()
	h.mute("w2")
	c = h.open("s")
	c.ask(&protocol.Chat{ID: "1", Content: "hi", OnDisconnect: policy})
	first = h.accept(remote + "-a").To
	h.bus.locked(func() { h.bus.beating = []*bus.Beat{remoteBeat("w2")} })
	for waited := time.Duration(0); h.bus.jobCount() == 1; waited += tick {
		require.Less(t, waited, beatsLost+2*beatEvery, "the turn did not move")
		pass(tick)
	}
	h.reply(h.bus.lastJob(t).To, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-b", Worker: "w2"})
	h.mute(remote)
	require.Equal(t, []string{"accepted 1", "accepted 1"}, c.tale())
	return c, first
}

// TestMovedRunIsReleasedAgain: the worker that a turn was moved away from did
// not hear the release. When it is back and its run speaks it is released again,
// whatever the loss of a follower means to it, and as often as it asks.
func TestMovedRunIsReleasedAgain(t *testing.T) {
	for _, policy := range []string{protocol.OnDisconnectCancel, protocol.OnDisconnectGrace, protocol.OnDisconnectContinue} {
		for _, over := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c, first := moved(t, h, policy)
				if over {
					h.say(bus.Event{Type: bus.EventComplete, To: h.bus.lastJob(t).To, Run: "w2-b", Seq: 1})
					require.Len(t, c.terminals("1"), 1)
				}
				freed := h.bus.wordsOf(bus.ControlRelease)
				require.Len(t, freed, 1)
				for n := 2; n <= 4; n++ {
					h.say(bus.Event{Type: bus.EventStatus, To: first, Run: remote + "-a", State: protocol.StateStreaming})
					again := h.bus.wordsOf(bus.ControlRelease)
					require.Len(t, again, n, policy)
					require.Equal(t, freed[0], again[n-1], policy)
				}
				require.Empty(t, h.bus.wordsOf(bus.ControlGone), "a policy of %s would decide about a run that nobody knows", policy)
				h.empty()
			})
		}
	}
}

// TestGoodbyeIsRepeated: a run that missed a goodbye hears the same one again,
// not one that leaves the decision to its own policy.
func TestGoodbyeIsRepeated(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		end    func(h *house, c *client)
		want   string
	}{
		"the client left": {protocol.OnDisconnectCancel, func(_ *house, c *client) {
			c.leave(protocol.CauseGone)
		}, protocol.OnDisconnectCancel},
		"the client left, continue": {protocol.OnDisconnectContinue, func(_ *house, c *client) {
			c.leave(protocol.CauseGone)
		}, protocol.OnDisconnectContinue},
		"the server closed": {protocol.OnDisconnectCancel, func(_ *house, c *client) {
			c.leave(protocol.CauseSlowConsumer)
		}, protocol.OnDisconnectGrace},
		"stopped, and no bus for too long": {protocol.OnDisconnectContinue, func(h *house, c *client) {
			c.ask(&protocol.Cancel{ID: "1"})
			h.away(DefaultRuns().Grace + beatEvery)
		}, protocol.OnDisconnectCancel},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.ask(&protocol.Chat{ID: "1", Content: "hi", OnDisconnect: tt.policy})
				to := h.accept(remote + "-a").To
				h.chunk(to, 1, "Hel")
				tt.end(h, c)
				pass(0)
				said := h.bus.last(t, remote+"-a")
				require.Equal(t, word{worker: remote, Control: bus.Control{
					Type: bus.ControlGone, Run: remote + "-a", Gateway: h.gateway.id, To: to, Session: "s", OnDisconnect: tt.want,
				}}, said)
				before := h.bus.said()
				h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-a", Seq: 1, State: protocol.StateStreaming})
				require.Equal(t, before+1, h.bus.said())
				require.Equal(t, said, h.bus.last(t, remote+"-a"))

				h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-other", Seq: 1, State: protocol.StateStreaming})
				require.Empty(t, h.bus.last(t, remote+"-other").OnDisconnect, "that was said of another run")
				h.empty()
			})
		})
	}
}

// away takes the bus from the gateway for a while.
func (h *house) away(d time.Duration) {
	h.bus.locked(func() { h.bus.down = true })
	h.gateway.BusDown()
	pass(d)
	h.bus.locked(func() { h.bus.down = false })
	h.gateway.BusUp()
	pass(0)
}

// TestGoodbyesAreForgotten: what a gateway remembers of followers that are gone
// is bounded, and the newest are remembered.
func TestGoodbyesAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		say := func(to uint64) {
			h.gateway.say(leaving{worker: remote, control: &bus.Control{
				Type: bus.ControlRelease, Run: remote + "-a", Gateway: h.gateway.id, To: to,
			}})
		}
		const first, more = 1 << 20, 1000
		for n := range uint64(wordsKept + more) {
			say(first + n)
		}
		require.Len(t, h.gateway.words.kept, wordsKept)
		for to, want := range map[uint64]string{
			first: bus.ControlGone, first + more - 1: bus.ControlGone,
			first + more: bus.ControlRelease, first + wordsKept + more - 1: bus.ControlRelease,
		} {
			h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-a", State: protocol.StateStreaming})
			require.Equal(t, want, h.bus.last(t, remote+"-a").Type, "follower %d", to-first)
		}
		h.empty()
	})
}

// TestReleasedRunIsNotFound: the owner of a released run has another one. While
// its vendor's call still ends it is found by nobody, a run beside it is.
func TestReleasedRunIsNotFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(ctx context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			sink.Text([]byte("word"))
			<-ctx.Done()
			time.Sleep(time.Second) // the vendor takes its time
			return provider.Result{}, context.Cause(ctx)
		}, nil)
		k := keyOf("k")
		find := func(name string) bus.Reply {
			b.control(bus.Control{Type: bus.ControlFind, To: 9, ClientKey: k[:], Name: name})
			replies := b.bus.replies()
			return replies[len(replies)-1].Reply
		}
		other := b.job(bus.Job{Name: "2", ClientKey: k[:], OnDisconnect: protocol.OnDisconnectContinue})
		pass(time.Second)
		run := b.job(bus.Job{Name: "1", ClientKey: k[:], OnDisconnect: protocol.OnDisconnectContinue})
		require.Equal(t, run, find("").Run, "the younger one")
		require.Equal(t, run, find("1").Run)
		b.control(bus.Control{Type: bus.ControlRelease, Run: run, To: 2})
		for _, wait := range []time.Duration{0, 500 * time.Millisecond, time.Second, time.Minute} {
			pass(wait)
			require.Equal(t, other, find("").Run, "after %s", wait)
			require.Equal(t, bus.ReplyMissing, find("1").Type, "after %s", wait)
		}
		b.control(bus.Control{Type: bus.ControlRelease, Run: other, To: 1})
		require.Equal(t, bus.ReplyMissing, find("").Type)
		require.Empty(t, b.worker.runs.byKey)
		pass(2 * time.Second)
		require.Zero(t, b.worker.Active())
	})
}

// TestOwedGoodbye: what a run hears of a turn that ended because the bus was away
// for too long. The server ended it, so a client that can come back may; what
// was to go on goes on.
func TestOwedGoodbye(t *testing.T) {
	for name, tt := range map[string]struct {
		id, policy string
		stopping   bool
		want       string
	}{
		"continue":           {"1", protocol.OnDisconnectContinue, false, protocol.OnDisconnectContinue},
		"grace":              {"1", protocol.OnDisconnectGrace, false, protocol.OnDisconnectGrace},
		"cancel":             {"1", protocol.OnDisconnectCancel, false, protocol.OnDisconnectGrace},
		"unnamed":            {"", "", false, protocol.OnDisconnectCancel},
		"stopping":           {"1", protocol.OnDisconnectContinue, true, protocol.OnDisconnectCancel},
		"stopping, grace":    {"1", protocol.OnDisconnectGrace, true, protocol.OnDisconnectCancel},
		"stopping, unnamed":  {"", "", true, protocol.OnDisconnectCancel},
		"unnamed, continued": {"", protocol.OnDisconnectContinue, false, protocol.OnDisconnectCancel},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.ask(&protocol.Chat{ID: tt.id, Content: "hi", OnDisconnect: tt.policy})
				to := h.accept(remote + "-a").To
				h.chunk(to, 1, "Hel")
				if tt.stopping {
					c.ask(&protocol.Cancel{ID: tt.id})
				}
				h.bus.locked(func() { h.bus.down = true })
				h.gateway.BusDown()
				pass(DefaultRuns().Grace + beatEvery)
				require.Equal(t, protocol.BusUnavailable, c.terminals(tt.id)[0].Code)
				require.Empty(t, h.bus.wordsOf(bus.ControlGone))
				h.bus.locked(func() { h.bus.down = false })
				h.gateway.BusUp()
				pass(0)
				gone := h.bus.wordsOf(bus.ControlGone)
				require.Len(t, gone, 1)
				require.Equal(t, [3]any{remote + "-a", to, tt.want}, [3]any{gone[0].Run, gone[0].To, gone[0].OnDisconnect})
				h.empty()
			})
		})
	}
}
