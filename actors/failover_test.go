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

const second = "w2" // a worker beside the remote one

// pairOf is a house with two workers that the test plays, and one client.
func pairOf(t *testing.T, change ...func(*plan)) (*house, *client) {
	t.Helper()
	p := defaultPlan()
	for _, c := range change {
		c(&p)
	}
	h := build(t, p)
	h.mute(second)
	return h, h.open("s")
}

// acceptAt plays a worker of choice that takes the newest job.
func (h *house) acceptAt(worker, run string) bus.Job {
	h.t.Helper()
	job := h.bus.lastJob(h.t)
	h.reply(job.To, bus.Reply{Type: bus.ReplyAccepted, Run: run, Worker: worker})
	return job
}

// unreachedBy plays a run that could not reach its vendor.
func (h *house) unreachedBy(to uint64, run string) {
	e := unreached(run, 1)
	e.To = to
	h.say(*e)
}

// TestElsewhere: a question whose worker cannot reach the vendor is answered by
// another one; its client sees a second accept and one end.
func TestElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		c.chat("1", "hi")
		first := h.accept("w1-a")
		require.True(t, first.Movable)
		require.Empty(t, first.Avoid)
		h.unreachedBy(first.To, "w1-a")

		acks := h.bus.wordsOf(bus.ControlAck)
		require.Len(t, acks, 1)
		require.Equal(t, []any{remote, "w1-a", first.To}, []any{acks[0].worker, acks[0].Run, acks[0].To})
		next := h.acceptAt(second, "w2-b")
		require.NotEqual(t, first.Job, next.Job)
		require.NotEqual(t, first.To, next.To, "what the first run still says must not be taken for the second's")
		require.Equal(t, []string{remote}, next.Avoid)
		require.False(t, next.Movable, "there is no third worker to ask")
		require.JSONEq(t, string(first.Messages), string(next.Messages))

		h.unreachedBy(first.To, "w1-a") // its end, once more
		h.chunk(first.To, 1, "stray")
		h.chunk(next.To, 1, "Hel")
		h.say(bus.Event{Type: bus.EventComplete, To: next.To, Seq: 2, Provider: "echo", Model: "m", Attempts: 1})
		require.Equal(t, []string{"w1-a", "w2-b"}, c.runs())
		require.Equal(t, 4, c.last().Attempts, "the calls of both")
		require.Equal(t, []string{"accepted 1", "accepted 1", "chunk 1 1 Hel", "complete 1 2 Hel"}, c.tale())
		require.Equal(t, 2, h.bus.jobCount())
		require.Empty(t, h.bus.wordsOf(bus.ControlGone))
		h.empty()
	})
}

// TestElsewhereUnnamed: the small frames show nothing of it.
func TestElsewhereUnnamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		c.chat("", "hi")
		h.unreachedBy(h.accept("w1-a").To, "w1-a")
		next := h.acceptAt(second, "w2-b")
		require.Equal(t, []string{remote}, next.Avoid)
		h.chunk(next.To, 1, "Hi")
		h.say(bus.Event{Type: bus.EventComplete, To: next.To, Seq: 2})
		require.Equal(t, []string{`{"type":"chunk","content":"Hi"}`, `{"type":"complete","full_response":"Hi"}`}, c.take())
		h.empty()
	})
}

// TestElsewhereKey: the second worker gets the user's key, sealed for it alone.
func TestElsewhereKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		pairs := map[string]*bus.KeyPair{}
		for _, id := range []string{remote, second} {
			pair, err := bus.NewKeyPair()
			require.NoError(t, err)
			pairs[id] = pair
			beat := remoteBeat(id)
			beat.PublicKey = pair.PublicKey()
			h.gateway.Heard(beat, time.Now())
		}
		pass(0)
		to := c.vendor(h, "1", secret("sk-canary"))
		h.unreachedBy(to, "w1-a")
		next := h.acceptAt(second, "w2-b")
		require.True(t, next.NeedsKey)
		sent := h.bus.wordsOf(bus.ControlKey)
		last := sent[len(sent)-1]
		require.Equal(t, []any{second, "w2-b", next.To}, []any{last.worker, last.Run, last.To})
		plain, err := pairs[second].Open(last.Sealed, bus.SealInfo("w2-b", "vendor"))
		require.NoError(t, err)
		require.Equal(t, "sk-canary", string(plain))
		h.empty()
	})
}

// TestElsewhereNobody: where nobody else takes the job it is open to all, the
// first worker too; where nobody at all takes it, the first one's word is told.
func TestElsewhereNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		turnDown func(h *house, to uint64)
		avoiding int // offers
	}{
		"busy":   {func(h *house, to uint64) { h.reply(to, turnedDown()) }, offersAvoiding},
		"silent": {func(*house, uint64) { pass(silentOffer) }, offersMax},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h, c := pairOf(t)
				c.chat("1", "hi")
				h.unreachedBy(h.accept("w1-a").To, "w1-a")
				for n := range tt.avoiding + offersMax {
					require.Equal(t, n+2, h.bus.jobCount())
					job := h.bus.lastJob(t)
					require.Equal(t, n < tt.avoiding, len(job.Avoid) == 1, "offer %d avoids %v", n+1, job.Avoid)
					require.False(t, job.Movable)
					require.Empty(t, c.terminals("1"))
					tt.turnDown(h, job.To)
				}
				require.Equal(t, []string{
					`{"type":"accepted","id":"1","run_id":"w1-a"}`,
					`{"type":"error","id":"1","run_id":"w1-a","code":"PROVIDER_UNAVAILABLE","message":"Not reached.","retryable":true,"retry_after":7}`,
				}, c.take())
				pass(DefaultRuns().QueueTimeout)
				require.Equal(t, tt.avoiding+offersMax+1, h.bus.jobCount())
				h.empty()
			})
		})
	}
}

// TestElsewhereBack: the first worker takes it once more and now asks the next
// provider of its chain.
func TestElsewhereBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		c.chat("1", "hi")
		h.unreachedBy(h.accept("w1-a").To, "w1-a")
		for range offersAvoiding {
			h.reply(h.bus.lastJob(t).To, turnedDown())
		}
		job := h.accept("w1-c")
		require.Empty(t, job.Avoid)
		h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1, Provider: "other", Attempts: 2})
		require.Equal(t, []any{"other", 5}, []any{c.last().Provider, c.last().Attempts})
		require.Len(t, c.terminals("1"), 1)
		h.empty()
	})
}

// TestElsewhereNot: when a question stays where it is, and its error is told.
func TestElsewhereNot(t *testing.T) {
	tests := map[string]struct {
		change  func(*plan)
		before  func(h *house, c *client) // the question
		after   func(h *house, c *client, to uint64)
		seq     uint64
		movable bool
	}{
		"one attempt is all": {change: func(p *plan) { p.runs.Attempts = 1 }},
		"there is nobody else": {before: func(h *house, _ *client) {
			h.bus.locked(func() { h.bus.beating = h.bus.beating[:1] })
			h.beat(bus.RoleWorker, second, true)
		}},
		"all of them rest": {before: func(h *house, _ *client) {
			for i, id := range []string{remote, second} {
				beat := remoteBeat(id)
				beat.Providers[0].State = provider.StateResting
				h.bus.locked(func() { h.bus.beating[i] = beat })
				h.gateway.Heard(beat, time.Now())
			}
			pass(0)
		}},
		"one of them rests": {movable: true, seq: 1, before: func(h *house, _ *client) {
			beat := remoteBeat(remote) // it may be the one that is asked: the other one is not resting
			beat.Providers[0].State = provider.StateResting
			h.bus.locked(func() { h.bus.beating[0] = beat })
			h.gateway.Heard(beat, time.Now())
			pass(0)
		}, after: func(h *house, _ *client, to uint64) { h.chunk(to, 1, "Hel") }},
		"the other one drains": {before: func(h *house, _ *client) {
			beat := remoteBeat(second)
			beat.Draining = true
			h.bus.locked(func() { h.bus.beating[1] = beat })
			h.gateway.Heard(beat, time.Now())
			pass(0)
		}},
		"text was shown":  {movable: true, seq: 1, after: func(h *house, _ *client, to uint64) { h.chunk(to, 1, "Hel") }},
		"it is cancelled": {movable: true, after: func(_ *house, c *client, _ uint64) { c.ask(&protocol.Cancel{ID: "1"}) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h, c := pairOf(t, func(p *plan) {
					if tt.change != nil {
						tt.change(p)
					}
				})
				if tt.before != nil {
					tt.before(h, c)
				}
				c.chat("1", "hi")
				job := h.accept("w1-a")
				require.Equal(t, tt.movable, job.Movable)
				if tt.after != nil {
					tt.after(h, c, job.To)
				}
				e := unreached("w1-a", tt.seq+1)
				e.To = job.To
				h.say(*e)
				require.Equal(t, 1, h.bus.jobCount())
				ends := c.terminals("1")
				require.Len(t, ends, 1)
				require.Equal(t, protocol.ProviderUnavailable, ends[0].Code)
				require.Equal(t, "w1-a", ends[0].RunID)
				require.Equal(t, tt.seq > 0, string(ends[0].Text) == "Hel")
				require.Len(t, h.bus.wordsOf(bus.ControlAck), 1)
				h.empty()
			})
		})
	}
}

// TestElsewhereRefused: the second worker may be configured in another way, and
// refuse what the first one took. That is not the answer to the question: the
// first one gets it again, and where it does not take it its own error is told.
func TestElsewhereRefused(t *testing.T) {
	refusal := bus.Reply{
		Type: bus.ReplyRefused, Worker: second, Code: string(protocol.ProviderUnauthorized), Message: "Provider echo needs your own key here: send it as api_keys.echo.",
	}
	for name, tt := range map[string]struct {
		then func(h *house)
		code protocol.Code
		run  string
	}{
		"the first one goes on": {func(h *house) {
			job := h.accept("w1-c")
			h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1, Provider: "other", Attempts: 1})
		}, "", "w1-c"},
		"refused once more": {func(h *house) { h.reply(h.bus.lastJob(h.t).To, refusal) }, protocol.ProviderUnavailable, "w1-a"},
		"nobody is there":   {func(h *house) { pass(DefaultRuns().QueueTimeout + time.Second) }, protocol.ProviderUnavailable, "w1-a"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h, c := pairOf(t)
				c.chat("1", "hi")
				h.unreachedBy(h.accept("w1-a").To, "w1-a")
				h.reply(h.bus.lastJob(t).To, refusal)
				require.Empty(t, c.terminals("1"))
				require.Equal(t, 3, h.bus.jobCount())
				require.Empty(t, h.bus.lastJob(t).Avoid, "the first one may take it")
				tt.then(h)
				require.Len(t, c.terminals("1"), 1)
				require.Equal(t, []any{tt.code, tt.run}, []any{c.last().Code, c.last().RunID})
				require.Empty(t, h.bus.wordsOf(bus.ControlKey))
				h.empty()
			})
		})
	}
}

// TestElsewhereViewer: who only watches a run asks nothing anew.
func TestElsewhereViewer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		run := newToken()[:tokenShort] + runSeparator + newToken()
		h.mute(run[:tokenShort])
		c.ask(&protocol.Resume{ID: "1", RunID: run})
		sent := h.bus.wordsOf(bus.ControlResume)
		require.Len(t, sent, 1)
		to := sent[0].To
		h.reply(to, bus.Reply{Type: bus.ReplyFound, Run: run, Worker: run[:tokenShort], Name: "1"})
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 1})
		e := unreached(run, 1)
		e.To = to
		h.say(*e)
		require.Equal(t, []string{"snapshot 1 0 ", "error 1 PROVIDER_UNAVAILABLE"}, c.tale())
		require.Zero(t, h.bus.jobCount())
		h.empty()
	})
}

// TestElsewhereOnce: two workers that cannot reach the vendor are the end of it.
func TestElsewhereOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, c := pairOf(t)
		h.mute("w3")
		c.chat("1", "hi")
		h.unreachedBy(h.accept("w1-a").To, "w1-a")
		h.unreachedBy(h.acceptAt(second, "w2-b").To, "w2-b")
		require.Equal(t, 2, h.bus.jobCount())
		require.Len(t, c.terminals("1"), 1)
		require.Equal(t, []any{"w2-b", 6}, []any{c.last().RunID, c.last().Attempts})
		h.empty()
	})
}

// TestElsewhereCancelled: a cancel while the second worker is looked for.
func TestElsewhereCancelled(t *testing.T) {
	for name, then := range map[string]func(h *house){
		"nobody takes it": func(h *house) { h.reply(h.bus.lastJob(h.t).To, turnedDown()) },
		"somebody does": func(h *house) {
			to := h.acceptAt(second, "w2-b").To
			sent := h.bus.wordsOf(bus.ControlCancel)
			require.Len(h.t, sent, 1)
			require.Equal(h.t, []string{second, "w2-b"}, []string{sent[0].worker, sent[0].Run})
			h.say(bus.Event{Type: bus.EventCancelled, To: to, Seq: 1, Attempts: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h, c := pairOf(t)
				c.chat("1", "hi")
				h.unreachedBy(h.accept("w1-a").To, "w1-a")
				c.ask(&protocol.Cancel{ID: "1"})
				then(h)
				require.Len(t, c.terminals("1"), 1)
				require.Equal(t, protocol.TypeCancelled, c.last().Type)
				require.Equal(t, 2, h.bus.jobCount())
				h.empty()
			})
		})
	}
}

// newOffice is a gateway with a worker of providers of its own. No other worker
// lives in it.
func newOffice(t *testing.T, providers map[string]ProviderSetup, change ...func(*plan)) *house {
	t.Helper()
	p := defaultPlan()
	p.types = map[string]string{}
	for name := range providers {
		p.types[name] = provider.TypeOpenAI
	}
	for _, c := range change {
		c(&p)
	}
	h := build(t, p)
	h.worker = h.hire(h.bus, p.runs, providers)
	h.bus.locked(func() { h.bus.beating = nil })
	h.beat(bus.RoleWorker, remote, true)
	return h
}

// wants asks one provider.
func (c *client) wants(id, name string) {
	c.ask(&protocol.Chat{ID: id, Content: "hi", Provider: name})
}

// TestFailoverWithinAWorker: a real run moves away, comes back where nobody else
// takes it, and is answered by the next provider.
func TestFailoverWithinAWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, map[string]ProviderSetup{
			"echo": serves(m.vendor("echo", fails(provider.FaultKeyRefused, 0)), provider.Config{APIKeys: secrets("k1"), Fallback: []string{"b/big"}}),
			"b":    serves(m.vendor("b", replies("Hel", "lo")), provider.Config{}),
		})
		h.mute(second) // beats, and takes nothing
		c := h.open("s")
		c.wants("1", "echo")
		pass(5 * time.Second)
		require.Equal(t, []string{"echo k1", "b"}, m.order(), "a refused key rests when the job comes back")
		ends := c.terminals("1")
		require.Len(t, ends, 1)
		require.Equal(t, protocol.TypeComplete, ends[0].Type)
		require.Equal(t, []any{"b", "big", 2, "Hello"}, []any{ends[0].Provider, ends[0].Model, ends[0].Attempts, string(ends[0].Text)})
		require.Len(t, c.runs(), 2)
		avoided := 0
		for _, job := range h.bus.jobsFrom(1) {
			if len(job.Avoid) > 0 {
				require.Equal(t, []string{h.worker.ID()}, job.Avoid)
				avoided++
			}
		}
		require.Equal(t, offersAvoiding, avoided, "the worker says busy to what avoids it")
		h.empty()
	})
}

// TestFailoverPartial: what was said before the vendor broke off is shown, and
// nobody else is asked.
func TestFailoverPartial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var m market
		h := newOffice(t, map[string]ProviderSetup{
			"a": serves(m.vendor("a", func(ctx context.Context, q *provider.Question, s provider.Sink) (provider.Result, error) {
				s.Text([]byte("Hel"))
				return fails(provider.FaultVendor, 0)(ctx, q, s)
			}), provider.Config{Fallback: []string{"b"}}),
			"b": serves(m.vendor("b", replies("never")), provider.Config{}),
		})
		h.mute(second)
		c := h.open("s")
		c.wants("1", "a")
		pass(5 * time.Second)
		require.Equal(t, []string{"a"}, m.order())
		lines := c.take()
		require.Contains(t, lines[len(lines)-1], `"partial":"Hel"`)
		h.empty()
	})
}
