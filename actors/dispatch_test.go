package actors

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestChatNoResponders: NO_WORKERS, OVERLOADED or queued, by what the roster
// knows.
func TestChatNoResponders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("", "hi")
		h.gateway.NoResponders(h.bus.lastJob(t).To)
		pass(0)
		require.Equal(t, protocol.Overloaded, c.last().Code)
		require.Equal(t, 1, c.last().RetryAfter)

		c.chat("1", "hi")
		h.gateway.NoResponders(h.bus.lastJob(t).To)
		pass(600 * time.Millisecond)
		require.Equal(t, protocol.StateQueued, c.last().State)
		require.Equal(t, 3, h.bus.jobCount(), "a queued turn asks again")
		for range 30 {
			h.gateway.NoResponders(h.bus.lastJob(t).To)
			pass(600 * time.Millisecond)
		}
		require.Equal(t, protocol.Overloaded, c.last().Code, "runs.queue_timeout has passed")
		require.Len(t, c.terminals("1"), 1)

		h.bus.locked(func() { h.bus.beating = nil })
		pass(3 * time.Second)
		c.chat("2", "hi")
		h.gateway.NoResponders(h.bus.lastJob(t).To)
		pass(0)
		require.Equal(t, protocol.NoWorkers, c.last().Code)
		h.empty()
	})
}

// silentOffer is what an offer takes that nobody answers and everybody gives back.
const silentOffer = offerTimeout + offerDead

// TestChatOfferTimeout: three offers of 500 ms each, and until they are dead; a late
// accept is released.
func TestChatOfferTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("", "hi")
		first := h.bus.lastJob(t)
		pass(3*silentOffer - time.Millisecond)
		require.Equal(t, 3, h.bus.jobCount())
		require.Empty(t, c.take())
		pass(time.Millisecond)
		require.Equal(t, protocol.Overloaded, c.last().Code)
		require.Equal(t, 3, h.bus.jobCount())
		names := map[string]bool{}
		h.bus.locked(func() {
			for _, j := range h.bus.jobs {
				names[j.Job] = true
				require.Equal(t, offerTimeout.Milliseconds(), j.Deadline-j.Sent)
			}
		})
		require.Len(t, names, 3, "each offer is an attempt of its own")

		h.reply(first.To, bus.Reply{Type: bus.ReplyAccepted, Run: "w1-late", Worker: remote})
		freed := h.bus.wordsOf(bus.ControlRelease)
		require.Len(t, freed, 1)
		require.Equal(t, "w1-late", freed[0].Run)
		require.Equal(t, first.To, freed[0].To)
		h.empty()
	})
}

// TestChatSecondAccept: a repeated accept changes nothing; the accept of another
// run is released, and our own run goes on.
func TestChatSecondAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept("w1-a").To
		h.accept("w1-a")
		require.Empty(t, h.bus.wordsOf(bus.ControlRelease), "our own run was let go")
		h.reply(to, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-b", Worker: "w2"})
		freed := h.bus.wordsOf(bus.ControlRelease)
		require.Len(t, freed, 1)
		require.Equal(t, "w2-b", freed[0].Run)
		require.Equal(t, "w2", freed[0].worker)
		require.Equal(t, []string{`{"type":"accepted","id":"1","run_id":"w1-a"}`}, c.take())
		c.leave(protocol.CauseGone)
		pass(0)
		require.Equal(t, "w1-a", h.bus.wordsOf(bus.ControlGone)[0].Run)
		h.empty()
	})
}

// TestChatGap: a lost chunk, a lost tail and a lost terminal are healed.
func TestChatGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept("w1-a").To
		h.chunk(to, 1, "a")
		h.chunk(to, 3, "c")
		heals := h.bus.wordsOf(bus.ControlResume)
		require.Len(t, heals, 1)
		require.EqualValues(t, 1, heals[0].After)
		h.chunk(to, 4, "d")
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 2, Seq: 4, Text: []byte("bcd")})
		h.chunk(to, 5, "e")
		h.say(bus.Event{Type: bus.EventStatus, To: to, Seq: 6})
		heals = h.bus.wordsOf(bus.ControlResume)
		require.Len(t, heals, 2)
		require.EqualValues(t, 5, heals[1].After)
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 6, Seq: 6, Text: []byte("f")})
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 8, Finish: "stop"})
		require.Len(t, h.bus.wordsOf(bus.ControlResume), 3, "a terminal that overtook its chunk")
		require.Empty(t, c.terminals("1"))
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 7, Seq: 7, Text: []byte("g")})
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 8, Finish: "stop"})
		require.Equal(t, []string{
			`{"type":"accepted","id":"1","run_id":"w1-a"}`,
			`{"type":"chunk","id":"1","seq":1,"content":"a"}`,
			`{"type":"chunk","id":"1","seq":4,"from":2,"content":"bcd"}`,
			`{"type":"chunk","id":"1","seq":5,"content":"e"}`,
			`{"type":"chunk","id":"1","seq":6,"content":"f"}`,
			`{"type":"chunk","id":"1","seq":7,"content":"g"}`,
			`{"type":"complete","id":"1","run_id":"w1-a","seq":8,"full_response":"abcdefg","finish_reason":"stop","provider":"","model":""}`,
		}, c.take())
		h.empty()
	})
}

// TestChatWorkerLost: one more attempt before the first chunk, an honest error
// with the partial text after it.
func TestChatWorkerLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.gateway.Heard(remoteBeat("w2"), time.Now())
		c := h.open("s")
		c.chat("1", "hi")
		first := h.accept("w1-a")
		h.bus.locked(func() { h.bus.beating = []*bus.Beat{remoteBeat("w2")} })
		for waited := time.Duration(0); h.bus.jobCount() == 1; waited += pace {
			require.Less(t, waited, beatsLost+2*beatEvery, "the loss was not noticed")
			pass(pace)
		}
		second := h.bus.lastJob(t)
		require.NotEqual(t, first.Job, second.Job)
		h.reply(second.To, bus.Reply{Type: bus.ReplyAccepted, Run: "w2-b", Worker: "w2"})
		h.chunk(first.To, 1, "from the dead")
		h.chunk(second.To, 1, "Hel")
		h.bus.locked(func() { h.bus.beating = nil })
		pass(beatsLost + 2*beatEvery)
		require.Equal(t, []string{
			`{"type":"accepted","id":"1","run_id":"w1-a"}`,
			`{"type":"accepted","id":"1","run_id":"w2-b"}`,
			`{"type":"chunk","id":"1","seq":1,"content":"Hel"}`,
			`{"type":"error","id":"1","run_id":"w2-b","code":"WORKER_LOST","message":"The worker that was answering is gone.","retryable":true,"partial":"Hel"}`,
		}, c.take())
		require.Equal(t, 2, h.bus.jobCount())
		h.empty()
	})
}

// TestChatWorkerLeft: an orderly goodbye is heard at once.
func TestChatWorkerLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.chunk(h.accept("w1-a").To, 1, "Hel")
		h.gateway.Heard(&bus.Beat{Role: bus.RoleWorker, ID: remote, Leaving: true}, time.Now())
		pass(0)
		require.Equal(t, protocol.WorkerLost, c.last().Code)
		h.empty()
	})
}

// TestChatBusDown: new questions fail at once; live ones wait runs.grace.
func TestChatBusDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept("w1-a").To
		h.chunk(to, 1, "Hel")
		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		c.chat("2", "hi")
		require.Equal(t, protocol.BusUnavailable, c.last().Code)
		require.Equal(t, "2", c.last().ID)
		pass(10 * time.Second)
		require.Empty(t, c.terminals("1"), "no live worker is declared lost without a bus")
		h.bus.locked(func() { h.bus.down = false })
		h.gateway.BusUp()
		pass(0)
		require.EqualValues(t, 1, h.bus.wordsOf(bus.ControlResume)[0].After, "what was missed is asked for")
		h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: 2, Seq: 2, Text: []byte("lo")})

		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		pass(DefaultRuns().Grace + beatEvery)
		last := c.terminals("1")
		require.Len(t, last, 1)
		require.Equal(t, protocol.BusUnavailable, last[0].Code)
		require.Equal(t, "Hello", string(last[0].Text))
		ready, why := h.gateway.Ready()
		require.False(t, ready)
		require.Contains(t, why, "bus")
		require.Equal(t, "down", h.gateway.Health().Bus)
		h.empty()
	})
}

// TestChatAfterAPause: a gateway that stood still for so long that workers gave it
// up asks for what it missed as soon as it goes on.
func TestChatAfterAPause(t *testing.T) {
	for _, c := range []struct {
		paused time.Duration
		asks   int
	}{{beatsLost - time.Millisecond, 0}, {beatsLost, 1}} {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			k := h.open("s")
			k.chat("1", "hi")
			h.chunk(h.accept("w1-a").To, 1, "Hel")
			h.gateway.stopTick()
			synctest.Wait()
			h.gateway.tick(time.Now())
			h.gateway.tick(time.Now().Add(c.paused))
			synctest.Wait()
			asked := h.bus.wordsOf(bus.ControlResume)
			require.Len(t, asked, c.asks)
			for _, a := range asked {
				require.EqualValues(t, 1, a.After)
			}
		})
	}
}

// TestChatPublishErrors: what the bus says about a job reaches the client.
func TestChatPublishErrors(t *testing.T) {
	for err, code := range map[error]protocol.Code{bus.ErrTooLarge: protocol.InvalidMessage, bus.ErrDisconnected: protocol.BusUnavailable} {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			h.bus.locked(func() { h.bus.askErr = err })
			c.chat("1", "hi")
			require.Equal(t, code, c.last().Code)
			require.Len(t, c.terminals("1"), 1)
			require.Equal(t, 2, c.wanted())
			h.empty()
		})
	}
}

// TestChatMemory: earlier turns of this socket, and of no other, reach the job.
func TestChatMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c, other := h.open("s"), h.open("s")
		c.chat("", `a "question"`)
		to := h.accept("w1-a").To
		h.chunk(to, 1, `an\nanswer`)
		h.say(bus.Event{Type: bus.EventComplete, To: to, Seq: 2})
		c.chat("", "and now?")
		var messages []protocol.Message
		require.NoError(t, json.Unmarshal(h.bus.lastJob(t).Messages, &messages))
		require.Equal(t, []protocol.Message{
			{Role: protocol.RoleUser, Content: `a "question"`},
			{Role: protocol.RoleAssistant, Content: "an\nanswer"},
			{Role: protocol.RoleUser, Content: "and now?"},
		}, messages)
		other.chat("", "who am I?")
		require.JSONEq(t, `[{"role":"user","content":"who am I?"}]`, string(h.bus.lastJob(t).Messages))
		h.empty()
	})
}

func TestChatRateLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits.Messages = limit.Rule{Max: 2, Window: time.Minute}
		h := build(t, p)
		c := h.open("s")
		for _, id := range []string{"1", "2", "3"} {
			c.chat(id, "hi")
			h.accept("w1-" + id)
		}
		lines := c.take()
		require.Equal(t, []string{`{"type":"error","id":"3","code":"RATE_LIMIT_EXCEEDED","message":"Too many messages: the limit is 2 messages per minute. Try again in 60 s.","retryable":true,"retry_after":60}`}, lines[2:])
		require.Empty(t, c.closed())
		require.Equal(t, 4, c.wanted())
		pass(time.Minute)
		c.chat("3", "hi")
		require.Equal(t, 3, h.bus.jobCount())
		require.Positive(t, h.gateway.ResetLimits())
		h.empty()
	})
}

// TestChatSilence: a named turn hears something every 15 s.
func TestChatSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.chunk(h.accept("w1-a").To, 1, "a")
		c.chat("", "hi")
		h.accept("w1-b")
		c.take()
		pass(61 * time.Second)
		lines := c.take()
		require.GreaterOrEqual(t, len(lines), 3)
		for _, line := range lines {
			require.Equal(t, `{"type":"status","id":"1","state":"streaming"}`, line)
		}
		h.empty()
	})
}

// TestChatKey: the key travels sealed to the worker that accepted, once it is
// known, and its bytes are gone after the first chunk.
func TestChatKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		pair, err := bus.NewKeyPair()
		require.NoError(t, err)
		key := secret("sk-canary")
		c := h.open("s")
		c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": key}})
		require.True(t, h.bus.lastJob(t).NeedsKey)
		to := h.accept("w1-a").To
		pass(250 * time.Millisecond)
		require.Empty(t, h.bus.wordsOf(bus.ControlKey), "the worker's public key is not known yet")
		beat := remoteBeat(remote)
		beat.PublicKey = pair.PublicKey()
		h.bus.locked(func() { h.bus.beating = []*bus.Beat{beat} })
		pass(beatEvery + keyPause)
		sent := h.bus.wordsOf(bus.ControlKey)
		require.NotEmpty(t, sent)
		plain, err := pair.Open(sent[0].Sealed, bus.SealInfo("w1-a", "vendor"))
		require.NoError(t, err)
		require.Equal(t, "sk-canary", string(plain))
		require.Equal(t, "sk-canary", string(key.Reveal()), "a second attempt would need it")
		h.chunk(to, 1, "a")
		require.Equal(t, make([]byte, 9), key.Reveal())
		h.empty()
	})
}

// TestGoodbyesWaitForTheBus: a run whose follower went while the bus was away
// hears of it when the bus is back, and does not go on for nobody.
func TestGoodbyesWaitForTheBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		gone, late := h.open("a"), h.open("b")
		gone.chat("", "hi")
		h.chunk(h.accept("w1-a").To, 1, "Hel")
		late.chat("", "hi")
		h.chunk(h.accept("w1-b").To, 1, "Hel")
		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		gone.leave(protocol.CauseGone)
		pass(DefaultRuns().Grace + beatEvery)
		require.Equal(t, protocol.BusUnavailable, late.terminals("")[0].Code)
		before := len(h.bus.wordsOf(bus.ControlGone))

		h.bus.locked(func() { h.bus.down = false })
		h.gateway.BusUp()
		pass(0)
		var runs []string
		for _, w := range h.bus.wordsOf(bus.ControlGone)[before:] {
			runs = append(runs, w.Run)
			require.Equal(t, protocol.OnDisconnectCancel, w.OnDisconnect)
		}
		require.ElementsMatch(t, []string{"w1-a", "w1-b"}, runs)
		h.empty()
	})
}

// TestSilentRunIsAsked: a run says something every 5 s. One that does not may
// have crashed with its last word lost: it is asked, and its absence told.
func TestSilentRunIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		to := h.accept("w1-a").To
		h.chunk(to, 1, "Hel")
		pass(runSilence - silenceCheck)
		require.Empty(t, h.bus.wordsOf(bus.ControlResume))
		pass(3 * silenceCheck)
		require.NotEmpty(t, h.bus.wordsOf(bus.ControlResume))
		h.reply(to, bus.Reply{Type: bus.ReplyMissing})
		pass(0)
		require.Equal(t, protocol.WorkerLost, c.last().Code)
		require.Equal(t, "Hel", string(c.last().Text))
		h.empty()
	})
}
