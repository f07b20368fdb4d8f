package actors

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestSnapshotPartsFitAMessage: no part of a long answer is longer than what
// travels as one event.
func TestSnapshotPartsFitAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const pieces = 1000
		word := bytes.Repeat([]byte("w"), 700)
		b := newBench(t, func(_ context.Context, _ *provider.Question, sink provider.Sink) (provider.Result, error) {
			for range pieces {
				sink.Text(word)
			}
			return provider.Result{Finish: protocol.FinishStop}, nil
		}, nil)
		run := b.job(bus.Job{Name: "1"})
		pass(time.Second)
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 9})
		parts := b.heard(9)
		var text int
		var last uint64
		for _, e := range parts {
			if e.Type != bus.EventSnapshot {
				continue
			}
			require.LessOrEqual(t, len(e.Text), bus.MaxText(b.bus.MaxPayload()))
			require.Equal(t, last+1, e.From)
			last = e.Seq
			text += len(e.Text)
		}
		require.EqualValues(t, pieces, last)
		require.Equal(t, pieces*len(word), text)
		b.empty()
	})
}

// TestViewerLeavesEarly: a socket that asked to follow a run, and went before
// the run answered, is let go there; so is one that the run answered too late.
func TestViewerLeavesEarly(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"gone": func(c *client) { c.leave(protocol.CauseGone); synctest.Wait() },
		"late": func(*client) { pass(offerTimeout) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := build(t, defaultPlan())
				c := h.open("s")
				c.ask(&protocol.Resume{ID: "v", RunID: remote + "-x"})
				to := h.bus.wordsOf(bus.ControlResume)[0].To
				leave(c)
				gone := h.bus.wordsOf(bus.ControlGone)
				require.Len(t, gone, 1)
				require.Equal(t, remote, gone[0].worker)
				require.Equal(t, remote+"-x", gone[0].Run)
				require.Equal(t, to, gone[0].To)
				h.empty()
			})
		})
	}
}

// TestEndedRunIsSmall: what is kept of an ended run is its answer, which the
// ledger counts: not the question, and no follower that has the end.
func TestEndedRunIsSmall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		run := b.job(bus.Job{Name: "1", To: 1, System: "Be short."})
		pass(time.Second)
		b.control(bus.Control{Type: bus.ControlAck, Run: run, To: 1})
		for to := uint64(2); to < 100; to++ {
			b.control(bus.Control{Type: bus.ControlResume, Run: run, To: to})
			b.control(bus.Control{Type: bus.ControlAck, Run: run, To: to})
			require.Len(t, b.ends(to), 1)
		}
		r := b.worker.runs.byID[run]
		require.Empty(t, r.followers)
		require.Empty(t, r.job.Messages)
		require.Empty(t, r.job.System)
		said := len(b.bus.eventsOf(bus.EventComplete))
		pass(time.Minute)
		require.Len(t, b.bus.eventsOf(bus.EventComplete), said, "everybody has the end")
		b.empty()
	})
}

// TestCrashAtTheEnd: figures that a counter refuses cost the run, not its
// client's terminal.
func TestCrashAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, func(context.Context, *provider.Question, provider.Sink) (provider.Result, error) {
			return provider.Result{Usage: &protocol.Usage{InputTokens: -1}}, nil
		}, nil)
		b.job(bus.Job{Name: "1", To: 1})
		pass(time.Second)
		ends := b.ends(1)
		require.Len(t, ends, 1)
		require.Equal(t, string(protocol.Internal), ends[0].Code)
		b.empty()
	})
}

// TestContradictingWorker: a worker whose end never fits is asked a bounded
// number of times, then the turn ends and the run is let go.
func TestContradictingWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		job := h.accept(remote + "-x")
		h.chunk(job.To, 1, "a")
		for range 2 * healsMax {
			h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1})
		}
		require.Len(t, h.bus.wordsOf(bus.ControlResume), healsMax)
		ends := c.terminals("1")
		require.Len(t, ends, 1)
		require.Equal(t, protocol.Internal, ends[0].Code)
		require.Equal(t, "a", string(ends[0].Text))
		require.Len(t, h.bus.wordsOf(bus.ControlGone), 1)
		h.empty()
	})
}

// TestEndlessAnswer: a worker that does not know runs.max_output_bytes cannot
// fill a gateway, neither with chunks nor with a snapshot.
func TestEndlessAnswer(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 32<<10)
	for name, say := range map[string]func(h *house, to, seq uint64){
		"chunks": func(h *house, to, seq uint64) { h.chunk(to, seq, string(text)) },
		"snapshot": func(h *house, to, seq uint64) {
			h.say(bus.Event{Type: bus.EventSnapshot, To: to, From: seq, Seq: seq, More: true, Text: text})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := defaultPlan()
				p.runs.MaxOutputBytes = 1 << 10
				h := build(t, p)
				c := h.open("s")
				c.chat("1", "hi")
				job := h.accept(remote + "-x")
				for seq := uint64(1); seq <= 10; seq++ {
					say(h, job.To, seq)
				}
				ends := c.terminals("1")
				require.Len(t, ends, 1)
				require.Equal(t, protocol.Internal, ends[0].Code)
				require.LessOrEqual(t, len(ends[0].Text), h.gateway.answerRoom())
				require.Len(t, h.bus.wordsOf(bus.ControlGone), 1)
				h.empty()
			})
		})
	}
}

// TestForeignCode: a code outside of the closed list is INTERNAL.
func TestForeignCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		job := h.accept(remote + "-x")
		h.say(bus.Event{Type: bus.EventError, To: job.To, Seq: 1, Code: "MY_OWN"})
		require.Equal(t, protocol.Internal, c.last().Code)
		c.chat("2", "hi")
		h.reply(h.bus.lastJob(t).To, bus.Reply{Type: bus.ReplyRefused, Code: "MY_OWN"})
		require.Equal(t, protocol.Internal, c.last().Code)
		h.empty()
	})
}

// TestOutageForgetsNothing: a cancel and an acknowledgement that the bus did not
// take are said when it is back.
func TestOutageForgetsNothing(t *testing.T) {
	outage := func(h *house, during func()) {
		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		during()
		h.bus.locked(func() { h.bus.down = false })
		h.gateway.BusUp()
		synctest.Wait()
	}
	t.Run("cancel", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			c.chat("1", "hi")
			h.accept(remote + "-x")
			outage(h, func() { c.ask(&protocol.Cancel{ID: "1"}) })
			require.Len(t, h.bus.wordsOf(bus.ControlCancel), 1)
			h.empty()
		})
	})
	t.Run("ack", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := build(t, defaultPlan())
			c := h.open("s")
			c.chat("1", "hi")
			job := h.accept(remote + "-x")
			outage(h, func() { h.say(bus.Event{Type: bus.EventComplete, To: job.To, Seq: 1}) })
			require.Len(t, c.terminals("1"), 1)
			require.Len(t, h.bus.wordsOf(bus.ControlAck), 1)
			h.empty()
		})
	})
}

// TestMovedTurnReleasesItsRun: a worker that was only deaf does not go on with
// a question that moved.
func TestMovedTurnReleasesItsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("1", "hi")
		h.accept(remote + "-x")
		h.gateway.Heard(&bus.Beat{Role: bus.RoleWorker, ID: remote, Leaving: true}, time.Now())
		synctest.Wait()
		require.Equal(t, 2, h.bus.jobCount())
		released := h.bus.wordsOf(bus.ControlRelease)
		require.Len(t, released, 1)
		require.Equal(t, remote+"-x", released[0].Run)
		h.empty()
	})
}

// TestCrashWipesKeys: a connection that panics takes its users' keys along.
func TestCrashWipesKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.inject = func(kind string, m any) {
			if _, ok := m.(*busBack); ok && kind == kindConnection {
				panic("crash")
			}
		}
		h := build(t, p)
		c := h.open("s")
		plain := []byte("sk-secret")
		c.ask(&protocol.Chat{ID: "1", Content: "hi", Provider: "vendor", Keys: map[string]protocol.Secret{"vendor": protocol.NewSecret(plain)}})
		require.Equal(t, "sk-secret", string(plain), "a second attempt may need it")
		h.gateway.BusDown()
		h.gateway.BusUp()
		synctest.Wait()
		require.Equal(t, make([]byte, len(plain)), plain)
		h.empty()
	})
}

// eagerBus delivers a job while the worker is still joining its queues.
type eagerBus struct {
	*fakeBus
	told chan struct{}
}

func (b *eagerBus) Work(name string, h func(*bus.Job, string)) (*bus.JobQueue, error) {
	go func() {
		h(&bus.Job{Job: "job-" + name, Gateway: desk1, To: 1, Provider: name, Messages: []byte(`[{"role":"user","content":"hi"}]`)}, "r")
		b.told <- struct{}{}
	}()
	return b.fakeBus.Work(name, h)
}

// TestJobsWhileJoining: a worker that is full before it has joined its last
// queue neither crashes nor leaks the slot.
func TestJobsWhileJoining(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		eager := &eagerBus{fakeBus: newFakeBus(), told: make(chan struct{}, 2)}
		setup := ProviderSetup{Provider: talker("a"), State: stateReady}
		w, err := NewWorker(h.sys, eager, eager, h.sys.log, WorkerOptions{
			Worker: WorkerConfig{MaxRuns: 1}, Runs: DefaultRuns(), Providers: map[string]ProviderSetup{"a": setup, "b": setup},
		})
		require.NoError(t, err)
		require.NoError(t, w.Start())
		<-eager.told
		<-eager.told
		pass(time.Second)
		require.Zero(t, w.Active())
		ctx, cancel := contextFor(time.Second)
		defer cancel()
		w.Stop(ctx)
	})
}

// set is a time after somebody set the machine's clock: the wall reading moves,
// the monotonic one does not.
func set(now time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&now)) // 1 bit: has a monotonic reading, 33 bits of seconds, 30 of nanoseconds
	*wall += uint64(by/time.Second) << 30
	return now
}

// TestClockIsSet: nobody is idle, no vendor silent and no bus away for longer
// because the clock of the machine was set.
func TestClockIsSet(t *testing.T) {
	const jump = 24 * time.Hour
	sys := NewSystem(SystemOptions{Metrics: NewMetrics(prometheus.NewRegistry())})
	now := time.Now()
	later := set(now, jump)
	require.Equal(t, jump, later.Round(0).Sub(now.Round(0)), "the clock was not set")

	g := &Gateway{sys: sys}
	s := &Session{gateway: g}
	s.idle(now)
	require.Zero(t, s.idleFor(later))
	require.Equal(t, time.Hour, s.idleFor(now.Add(time.Hour)))

	g.BusDown()
	away, since := g.busAway()
	require.True(t, away)
	require.Less(t, later.Sub(since), time.Minute)

	r := &run{guard: guard{sys: sys}, clocks: clocks{first: time.Minute}}
	r.alive.Store(int64(sys.moment(now)))
	require.True(t, later.Before(r.silenceDue()))
	require.False(t, now.Add(time.Minute).Before(r.silenceDue()))
}

// TestRefusedChatsSlowDown: a client that floods with chats which come to
// nothing is answered each time, and read more slowly.
func TestRefusedChatsSlowDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		c := h.open("s")
		c.chat("", "hi")
		h.accept(remote + "-x")
		before := c.wanted()
		const flood = requestBurst + 5
		for range flood {
			c.chat("", "again")
			require.Equal(t, protocol.RunInProgress, c.last().Code)
		}
		require.Equal(t, before+requestBurst, c.wanted())
		pass(time.Second / requestRate)
		require.Equal(t, before+flood, c.wanted(), "nobody is forgotten")
		h.empty()
	})
}
