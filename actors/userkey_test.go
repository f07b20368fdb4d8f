package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// vendor asks with the user's own key; the remote worker takes the job.
func (c *client) vendor(h *house, id string, key protocol.Secret) (to uint64) {
	c.ask(&protocol.Chat{ID: id, Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": key}})
	return h.accept(remote + "-a").To
}

// withKeys makes the remote worker publish a key, and returns its secret half.
func (h *house) withKeys() *bus.KeyPair {
	h.t.Helper()
	pair, err := bus.NewKeyPair()
	require.NoError(h.t, err)
	beat := remoteBeat(remote)
	beat.PublicKey = pair.PublicKey()
	h.bus.locked(func() { h.bus.beating = []*bus.Beat{beat} })
	h.gateway.Heard(beat, time.Now())
	pass(0)
	return pair
}

// keysSent counts the sealed keys that went out.
func (h *house) keysSent() int { return len(h.bus.wordsOf(bus.ControlKey)) }

// TestKeySaidAgain: a sealed key goes out again and again until its run shows
// that it has it, and never after that, not even when the bus comes back.
func TestKeySaidAgain(t *testing.T) {
	run := remote + "-a"
	shows := map[string]struct {
		event bus.Event
		stops bool
	}{
		"status streaming": {bus.Event{Type: bus.EventStatus, Run: run, State: protocol.StateStreaming}, true},
		"chunk":            {bus.Event{Type: bus.EventChunk, Seq: 1, Text: []byte("Hel")}, true},
		"snapshot":         {bus.Event{Type: bus.EventSnapshot, From: 1, Seq: 2, Text: []byte("Hello")}, true},
		"end":              {bus.Event{Type: bus.EventError, Run: run, Seq: 1, Code: string(protocol.ProviderUnauthorized)}, true},
		"status waiting":   {bus.Event{Type: bus.EventStatus, Run: run, State: protocol.StateWaiting}, false},
		"empty snapshot":   {bus.Event{Type: bus.EventSnapshot, From: 1}, false},
	}
	for name, tt := range shows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				pair := h.withKeys()
				c := h.open("s")
				to := c.vendor(h, "1", secret("sk-canary"))
				require.Equal(t, 1, h.keysSent(), "at once")
				pass(10*keyPause + tick)
				sent := h.keysSent()
				require.InDelta(t, 11, sent, 1, "it must not be said much faster than asked for, nor slower")
				for _, w := range h.bus.wordsOf(bus.ControlKey) {
					require.Equal(t, [3]any{remote, run, to}, [3]any{w.worker, w.Run, w.To})
					plain, err := pair.Open(w.Sealed, bus.SealInfo(run, "vendor"))
					require.NoError(t, err)
					require.Equal(t, "sk-canary", string(plain))
				}
				tt.event.To = to
				h.say(tt.event)
				pass(10 * keyPause)
				h.gateway.BusDown()
				h.gateway.BusUp()
				pass(10 * keyPause)
				if tt.stops {
					require.Equal(t, sent, h.keysSent(), "said to a run that has it")
				} else {
					require.Greater(t, h.keysSent(), sent+15, "a run that waits was left alone")
				}
				h.empty()
			})
		})
	}
}

// TestKeyAfterTheBus: a key that could not leave goes out when the bus is back.
func TestKeyAfterTheBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.withKeys()
		c := h.open("s")
		c.vendor(h, "1", secret("sk-canary"))
		sent := h.keysSent()
		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		pass(3 * time.Second)
		require.Equal(t, sent, h.keysSent())
		h.bus.locked(func() { h.bus.down = false })
		h.gateway.BusUp()
		pass(keyPause + tick)
		require.Greater(t, h.keysSent(), sent)
		require.Empty(t, c.terminals("1"))
		h.empty()
	})
}

// TestKeyOfNobody: while no run has the question there is nobody to send a key
// to, and the clock of the offer goes on, whatever the bus does.
func TestKeyOfNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.withKeys()
		h.full()
		c := h.open("s")
		c.ask(&protocol.Chat{
			ID: "1", Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": secret("sk-canary")},
		})
		for n := 1; n <= offersMax+1; n++ { // the last one after the turn was queued
			require.Equal(t, n, h.bus.jobCount(), "the turn stopped asking")
			h.gateway.BusDown()
			h.gateway.BusUp()
			pass(silentOffer)
			if n == offersMax {
				require.Equal(t, []string{"status 1 0 "}, c.tale())
				h.gateway.BusDown()
				h.gateway.BusUp()
				pass(600 * time.Millisecond)
			}
		}
		require.Zero(t, h.keysSent())
		h.empty()
	})
}

// TestKeyWiped: with the first text no second attempt can need the key any more,
// in whatever shape the text comes; before it one can.
func TestKeyWiped(t *testing.T) {
	for name, e := range map[string]bus.Event{
		"chunk":              {Type: bus.EventChunk, Seq: 1, Text: []byte("Hel")},
		"snapshot":           {Type: bus.EventSnapshot, From: 1, Seq: 2, Text: []byte("Hello")},
		"part of a snapshot": {Type: bus.EventSnapshot, From: 1, Seq: 2, More: true, Text: []byte("Hello")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				h.withKeys()
				c, key := h.open("s"), secret("sk-canary")
				to := c.vendor(h, "1", key)
				h.say(bus.Event{Type: bus.EventStatus, To: to, Run: remote + "-a", State: protocol.StateStreaming})
				h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 1})
				require.Equal(t, "sk-canary", string(key.Reveal()), "a second attempt would need it")
				e.To = to
				h.say(e)
				require.Equal(t, make([]byte, 9), key.Reveal())
				require.Empty(t, c.terminals("1"))
				h.empty()
			})
		})
	}
}

// keyless is a bus that loses the first sealed keys.
type keyless struct {
	*fakeBus
	lose int
	lost []word
}

func (b *keyless) Control(worker string, c *bus.Control) error {
	if c.Type == bus.ControlKey && len(b.lost) < b.lose {
		b.lost = append(b.lost, word{worker: worker, Control: *c})
		return nil
	}
	return b.fakeBus.Control(worker, c)
}

// TestKeyLost: however many times the bus loses the key, its run gets it, opens
// one and calls the vendor once; those that come late after all change nothing.
func TestKeyLost(t *testing.T) {
	for _, lose := range []int{0, 1, 10, 24} { // 24: an outage of six seconds
		t.Run(fmt.Sprintf("%d times", lose), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var calls []string
				h := talking(t, func(p *plan) {
					p.talk = fakeProvider(func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
						calls = append(calls, string(q.Key.Reveal()))
						select {
						case <-time.After(2 * time.Second): // slow to its first word
						case <-ctx.Done():
						}
						return talker("a", "b")(ctx, q, sink)
					})
				})
				jobs := &keyless{fakeBus: h.bus, lose: lose}
				h.restart(0, jobs)
				pass(2 * settleTime)
				c := h.open("s")
				c.ask(&protocol.Chat{
					ID: "1", Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": secret("sk-canary")},
				})
				pass(time.Duration(lose)*keyPause + tick)
				require.Equal(t, []string{"sk-canary"}, calls)
				require.Len(t, jobs.lost, lose)
				for _, w := range jobs.lost {
					h.worker.OnControl(&w.Control, subjectOf(w.To))
				}
				pass(time.Second)
				require.Equal(t, 1, h.keysSent(), "said to a run that has it")
				pass(3 * time.Second)
				require.Equal(t, []string{"accepted 1", "chunk 1 1 a", "chunk 1 2 b", "complete 1 3 ab"}, c.tale())
				require.Len(t, calls, 1)
				h.empty()
			})
		})
	}
}

// TestRunSaysThatItWaits: a run without its key says so, and the opposite as
// soon as it has it.
func TestRunSaysThatItWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			select {
			case <-time.After(7 * time.Second):
			case <-ctx.Done():
			}
			return talker("a")(ctx, q, sink)
		}, nil)
		run := b.job(bus.Job{Name: "1", NeedsKey: true, Provider: "vendor"})
		states := func() (out []string) {
			for _, e := range b.heard(1) {
				if e.Type == bus.EventStatus {
					require.Equal(t, run, e.Run)
					out = append(out, e.State)
				}
			}
			return out
		}
		pass(nameAgain)
		require.Equal(t, []string{protocol.StateWaiting}, states())
		b.worker.speakUp()
		pass(0)
		require.Equal(t, []string{protocol.StateWaiting, protocol.StateWaiting}, states())

		sealed, err := bus.Seal(b.worker.keys.PublicKey(), []byte("sk-canary"), bus.SealInfo(run, "vendor"))
		require.NoError(t, err)
		for range 3 {
			b.control(bus.Control{Type: bus.ControlKey, Run: run, To: 1, Sealed: sealed})
		}
		require.Equal(t, []string{protocol.StateWaiting, protocol.StateWaiting, protocol.StateStreaming}, states(), "at once, and once")
		pass(saySeqEvery)
		require.Equal(t, protocol.StateStreaming, states()[3])
		pass(5 * time.Second)
		require.Equal(t, bus.EventComplete, b.ends(1)[0].Type)
	})
}

// TestKeySaidSoLong: a run does not wait for its key for ever, so nor is it said
// for ever to one that shows nothing; a bus that was away begins anew.
func TestKeySaidSoLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const most = int(keyPatience / keyPause)
		h := build(t, defaultPlan())
		h.withKeys()
		c := h.open("s")
		c.vendor(h, "1", secret("sk-canary"))
		for n := 1; n <= 2; n++ {
			pass(2 * keyPatience)
			require.InDelta(t, n*most, h.keysSent(), float64(n))
			h.gateway.BusDown()
			h.gateway.BusUp()
		}
		require.Empty(t, c.terminals("1"))
		h.empty()
	})
}

// TestKeyNobodyElseHas: a run that waits for its key and whose follower has gone
// ends at once, whatever the policy: nobody else has that key.
func TestKeyNobodyElseHas(t *testing.T) {
	for _, policy := range []string{protocol.OnDisconnectCancel, protocol.OnDisconnectGrace, protocol.OnDisconnectContinue} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, talker("a"), nil)
			run := b.job(bus.Job{Name: "1", NeedsKey: true, OnDisconnect: policy})
			require.Equal(t, 1, b.worker.Active())
			b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 1, OnDisconnect: policy})
			pass(0)
			require.Zero(t, b.worker.Active(), policy)
		})
	}
}

// TestRunGoesOnSayingThatItWaits: its accept and its first words can be lost with
// the bus together. Whoever hears it later, and does not want it, lets it go.
func TestRunGoesOnSayingThatItWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		run := b.job(bus.Job{Name: "1", NeedsKey: true})
		said := func() (n int) {
			for _, e := range b.heard(1) {
				if e.Type == bus.EventStatus && e.State == protocol.StateWaiting && e.Run == run {
					n++
				}
			}
			return n
		}
		for n := 1; n <= 5; n++ {
			pass(nameAgain)
			require.Equal(t, n, said())
			pass(keyWanted - nameAgain)
		}
		b.control(bus.Control{Type: bus.ControlRelease, Run: run, To: 1})
		pass(0)
		require.Zero(t, b.worker.Active())
		before := said()
		pass(10 * keyWanted)
		require.Equal(t, before, said(), "a run that is over waits for nothing")
	})
}
