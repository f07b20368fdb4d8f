package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// full makes the remote worker beat without room, so that no beat wakes a turn
// that waits for some.
func (h *house) full() {
	beat := remoteBeat(remote)
	beat.Active = beat.Capacity
	h.bus.locked(func() { h.bus.beating = []*bus.Beat{beat} })
	h.gateway.Heard(beat, time.Now())
	pass(0)
}

// jobsFrom lists the jobs that were asked after the first n.
func (b *fakeBus) jobsFrom(n int) (out []bus.Job) {
	b.locked(func() { out = append(out, b.jobs[n:]...) })
	return out
}

func turnedDown() bus.Reply { return bus.Reply{Type: bus.ReplyBusy, Worker: remote} }

// TestBusyAgain: a turn that waits for room goes on asking, however often and
// however late it is told that there is none, and ends when its time is over.
func TestBusyAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		late  time.Duration // after the job
		times int
	}{
		"said twice":              {0, 2},
		"said twenty times":       {0, 20},
		"after its 500 ms":        {offerTimeout + tick, 1},
		"twice, after its 500 ms": {offerTimeout + tick, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				h.full()
				c := h.open("s")
				began := time.Now()
				c.chat("1", "hi")
				answered := 0
				for len(c.terminals("1")) == 0 && time.Since(began) < 2*DefaultRuns().QueueTimeout {
					for _, job := range h.bus.jobsFrom(answered) {
						if time.Since(time.UnixMilli(job.Sent)) < tt.late {
							break
						}
						answered++
						for range tt.times {
							h.reply(job.To, turnedDown())
						}
					}
					pass(tick)
				}
				require.Len(t, c.terminals("1"), 1, "the turn waits for ever")
				require.Equal(t, protocol.Overloaded, c.last().Code)
				require.GreaterOrEqual(t, time.Since(began), DefaultRuns().QueueTimeout)
				require.Less(t, time.Since(began), DefaultRuns().QueueTimeout+3*offerTimeout+time.Second)
				h.neverRested(began)
				h.empty()
			})
		})
	}
}

// neverRested checks that a job was asked at least as often as a turn that finds
// no room must.
func (h *house) neverRested(last time.Time) {
	h.t.Helper()
	for _, job := range h.bus.jobsFrom(0) {
		sent := time.UnixMilli(job.Sent)
		require.LessOrEqual(h.t, sent.Sub(last), offerTimeout+600*time.Millisecond+3*tick, "the turn stopped asking")
		last = sent
	}
}

// queued is a turn that was told to wait for room.
func queued(t *testing.T, h *house) (c *client, to uint64) {
	t.Helper()
	h.full()
	c = h.open("s")
	c.chat("1", "hi")
	for range offersMax {
		h.reply(h.bus.lastJob(t).To, turnedDown())
	}
	require.Equal(t, []string{"status 1 0 "}, c.tale())
	require.Equal(t, offersMax, h.bus.jobCount())
	return c, h.bus.lastJob(t).To
}

// TestStrayWhileQueued: nobody was asked anything, so whatever is answered means
// nothing.
func TestStrayWhileQueued(t *testing.T) {
	for name, r := range map[string]bus.Reply{
		"busy":                  turnedDown(),
		"found":                 {Type: bus.ReplyFound, Run: remote + "-x", Worker: remote},
		"missing":               {Type: bus.ReplyMissing, Worker: remote},
		"refused":               {Type: bus.ReplyRefused, Worker: remote, Code: string(protocol.Internal)},
		"refused, with its run": {Type: bus.ReplyRefused, Worker: remote, Run: remote + "-x", Code: string(protocol.Internal)},
		"a word from tomorrow":  {Type: "tomorrow", Worker: remote},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c, to := queued(t, h)
				h.reply(to, r)
				require.Empty(t, c.tale())
				pass(700 * time.Millisecond)
				require.Greater(t, h.bus.jobCount(), offersMax, "the turn stopped asking")
				h.accept(remote + "-a")
				require.Equal(t, []string{"accepted 1"}, c.tale())
				h.empty()
			})
		})
	}
}

// TestStrayWhileOffered: a job is accepted, turned down or refused; another
// answer leaves the clock of the offer alone.
func TestStrayWhileOffered(t *testing.T) {
	for name, r := range map[string]bus.Reply{
		"found":                {Type: bus.ReplyFound, Run: remote + "-x", Worker: remote},
		"missing":              {Type: bus.ReplyMissing, Worker: remote},
		"a word from tomorrow": {Type: "tomorrow", Worker: remote},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.chat("1", "hi")
				h.reply(h.bus.lastJob(t).To, r)
				require.Empty(t, c.tale())
				pass(offerTimeout + offerDead - time.Millisecond)
				require.Equal(t, 1, h.bus.jobCount())
				pass(time.Millisecond)
				require.Equal(t, 2, h.bus.jobCount(), "the offer's clock was stopped")
				h.accept(remote + "-a")
				require.Equal(t, []string{"accepted 1"}, c.tale())
				h.empty()
			})
		})
	}
}

// TestStrayWhileFinding: a run that was asked for is found, missing or refused.
func TestStrayWhileFinding(t *testing.T) {
	for what, ask := range map[string]protocol.Request{
		protocol.ForResume: &protocol.Resume{RunID: remote + "-x"},
		protocol.ForCancel: &protocol.Cancel{RunID: remote + "-x"},
	} {
		for name, r := range map[string]bus.Reply{
			"busy":                 turnedDown(),
			"accepted":             {Type: bus.ReplyAccepted, Run: "w2-y", Worker: "w2"},
			"a word from tomorrow": {Type: "tomorrow", Worker: remote},
		} {
			t.Run(what+", "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					h := build(t, defaultPlan())
					c := h.open("s")
					c.ask(ask)
					var to uint64
					h.bus.locked(func() { to = h.bus.words[len(h.bus.words)-1].To })
					h.reply(to, r)
					pass(offerTimeout - time.Millisecond)
					require.Empty(t, c.tale())
					pass(time.Millisecond)
					require.Equal(t, []string{"error for " + what + " RUN_NOT_FOUND"}, c.tale(), "its clock was stopped")
					h.empty()
				})
			})
		}
	}
}

// TestStrayWhileAnswered: a run has the question. What another worker says about
// it, or its own says that was not asked, changes nothing; its own refusal does.
func TestStrayWhileAnswered(t *testing.T) {
	refused := func(worker, run string) bus.Reply {
		return bus.Reply{Type: bus.ReplyRefused, Worker: worker, Run: run, Code: string(protocol.InvalidMessage), Message: "no"}
	}
	strays := []bus.Reply{
		refused("w2", ""), refused("w2", "w2-y"), turnedDown(),
		{Type: bus.ReplyFound, Worker: remote, Run: remote + "-a"},
		{Type: bus.ReplyFound, Worker: "w2", Run: "w2-y"},
		{Type: bus.ReplyAccepted, Worker: remote, Run: remote + "-a"},
		{Type: "tomorrow", Worker: remote},
	}
	for _, spoke := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			h.mute("w2")
			c := h.open("s")
			c.chat("1", "hi")
			to := h.accept(remote + "-a").To
			seq, want := uint64(1), []string{"accepted 1", "chunk 1 1 Hel"}
			if spoke {
				h.chunk(to, seq, "Hel")
				seq, want = 2, append(want, "chunk 1 2 Hel")
			}
			said := h.bus.said()
			for _, r := range strays {
				h.reply(to, r)
				require.Empty(t, c.terminals("1"), "spoke %t: ended by %+v", spoke, r)
			}
			require.Equal(t, said, h.bus.said(), "a stray word was answered")
			h.chunk(to, seq, "Hel")
			require.Equal(t, want, c.tale())
			h.reply(to, refused(remote, remote+"-a"))
			require.Equal(t, []string{"error 1 INVALID_MESSAGE"}, c.tale())
			h.empty()
		})
	}
}

// TestStrayWhileKeyWaits: nothing but the run's own word stops the key that
// waits for the worker's public one.
func TestStrayWhileKeyWaits(t *testing.T) {
	for name, r := range map[string]bus.Reply{
		"busy":     turnedDown(),
		"found":    {Type: bus.ReplyFound, Worker: remote, Run: remote + "-a"},
		"refused":  {Type: bus.ReplyRefused, Worker: "w2", Code: string(protocol.Internal)},
		"accepted": {Type: bus.ReplyAccepted, Worker: remote, Run: remote + "-a"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				to := c.vendor(h, "1", secret("sk-canary"))
				h.reply(to, r)
				pass(2 * keyPause)
				require.Empty(t, h.bus.wordsOf(bus.ControlKey), "the worker's public key is not known yet")
				h.withKeys()
				pass(2 * keyPause)
				require.NotEmpty(t, h.bus.wordsOf(bus.ControlKey), "the key was never sent")
				require.Equal(t, []string{"accepted 1"}, c.tale())
				h.empty()
			})
		})
	}
}
