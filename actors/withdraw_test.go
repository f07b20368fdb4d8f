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

// TestAcceptLost: a worker has the question and its gateway does not hear of it.
// It is asked, and says so again; nobody else gets the question.
func TestAcceptLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		p := defaultPlan()
		p.talk = fakeProvider(func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			calls++
			time.Sleep(10 * time.Second)
			return talker("a")(ctx, q, sink)
		})
		h := build(t, p)
		lost := 0
		h.bus.locked(func() {
			h.bus.losing = func(r *bus.Reply) bool {
				if r.Type != bus.ReplyAccepted || lost == 3 {
					return false
				}
				lost++
				return true
			}
			h.bus.dropping = func(e *bus.Event) bool { return e.Type == bus.EventStatus && lost < 3 } // its name, too
		})
		c := h.open("s")
		c.chat("1", "hi")
		pass(offerTimeout + 2*withdrawEvery + tick)
		require.Equal(t, 3, lost, "the accept and its repetitions")
		require.Equal(t, protocol.TypeAccepted, c.seen()[0].Type)
		pass(11 * time.Second)
		require.Equal(t, protocol.TypeComplete, c.last().Type)
		require.Equal(t, 1, h.bus.jobCount())
		require.Equal(t, 1, calls)
		h.empty()
	})
}

// TestNeverGivenBack: a worker that beats and does not say whether it has the
// question counts as lost at last: there is one more attempt, and never a third.
func TestNeverGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		h.bus.locked(func() { h.bus.keeping = true })
		c := h.open("s")
		c.chat("1", "hi")
		const patience = offerTimeout + withdrawTimes*withdrawEvery
		pass(patience - tick)
		require.Equal(t, 1, h.bus.jobCount())
		pass(2 * tick)
		require.Equal(t, 2, h.bus.jobCount())
		pass(patience)
		require.Equal(t, 2, h.bus.jobCount())
		require.Equal(t, protocol.WorkerLost, c.last().Code)
		require.Len(t, c.terminals("1"), 1)
		h.empty()
	})
}

// TestNeverGivenBackWithoutBus: a gateway that cannot ask does not judge.
func TestNeverGivenBackWithoutBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		c := h.open("s")
		c.chat("1", "hi")
		h.bus.locked(func() { h.bus.down = true })
		h.gateway.BusDown()
		pass(DefaultRuns().Grace / 2)
		require.Equal(t, 1, h.bus.jobCount())
		require.Empty(t, c.terminals("1"))
		h.bus.locked(func() { h.bus.down = false })
		h.gateway.BusUp()
		h.full()
		pass(2 * withdrawEvery)
		require.Equal(t, 2, h.bus.jobCount(), "given back, and offered again")
		h.accept(remote + "-a")
		require.Equal(t, protocol.TypeAccepted, c.last().Type)
	})
}

// TestLostWhileAskedBack: the worker that has the question is lost before it says
// so: the next attempt goes out at once.
func TestLostWhileAskedBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		h.bus.locked(func() { h.bus.keeping = true })
		c := h.open("s")
		c.chat("1", "hi")
		pass(offerTimeout + tick)
		require.Equal(t, 1, h.bus.jobCount())
		h.bus.locked(func() { h.bus.beating = nil })
		h.beat(bus.RoleWorker, remote, true)
		pass(withdrawEvery)
		require.NotEqual(t, 1, h.bus.jobCount(), "nobody is left to ask")
		require.LessOrEqual(t, len(c.terminals("1")), 1)
	})
}

// TestMissingOfAnother: that one worker has not the question says nothing of the
// run at another one.
func TestMissingOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		h.bus.locked(func() { h.bus.keeping = true })
		c := h.open("s")
		c.chat("1", "hi")
		pass(offerTimeout + tick)
		job := h.accept(remote + "-a")
		h.reply(job.To, bus.Reply{Type: bus.ReplyMissing, Worker: "W2"})
		require.Equal(t, 1, h.bus.jobCount())
		h.chunk(job.To, 1, "x")
		require.Equal(t, protocol.TypeChunk, c.last().Type)
	})
}

// TestGiveBack: what a worker says of a job that is asked back, and that it does
// not take one later that it has given back.
func TestGiveBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		over := make(chan struct{})
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			<-over
			return talker("a")(ctx, q, sink)
		}, nil)
		said := func() (out []string) {
			for _, r := range b.bus.replies() {
				out = append(out, r.Type)
			}
			return out
		}
		offer := func(name string, to uint64) {
			b.worker.onJob(&bus.Job{
				Job: name, To: to, Gateway: desk1, Session: "s", Provider: "echo", OnDisconnect: protocol.OnDisconnectGrace,
				Messages: []byte(`[{"role":"user","content":"hi"}]`), Deadline: time.Now().Add(offerTimeout).UnixMilli(),
			}, subjectOf(to))
			pass(tick)
		}
		offer("job-1", 1)
		b.control(bus.Control{Type: bus.ControlWithdraw, Job: "job-1", To: 1})
		require.Equal(t, []string{bus.ReplyAccepted, bus.ReplyAccepted}, said())
		require.Equal(t, b.bus.replies()[0].Run, b.bus.replies()[1].Run)

		b.control(bus.Control{Type: bus.ControlWithdraw, Job: "job-2", To: 2})
		require.Equal(t, []string{bus.ReplyAccepted, bus.ReplyAccepted, bus.ReplyMissing}, said())
		offer("job-2", 2)
		require.Len(t, said(), 3, "it was given back")
		require.Equal(t, 1, b.worker.Active())
		close(over)
		pass(time.Second)
	})
}

// TestGiveBackLongAgo: a worker that has forgotten the name of a job and still has
// its run does not give it back.
func TestGiveBackLongAgo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		over := make(chan struct{})
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			<-over
			return talker("a")(ctx, q, sink)
		}, nil)
		b.worker.onJob(&bus.Job{
			Job: "job-1", To: 1, Gateway: desk1, Session: "s", Provider: "echo", OnDisconnect: protocol.OnDisconnectGrace,
			Messages: []byte(`[{"role":"user","content":"hi"}]`), Deadline: time.Now().Add(offerTimeout).UnixMilli(),
		}, subjectOf(1))
		pass(3 * jobsKept)
		b.control(bus.Control{Type: bus.ControlWithdraw, Job: "job-1", To: 1})
		said := b.bus.replies()
		require.Equal(t, bus.ReplyAccepted, said[len(said)-1].Type)
		require.Equal(t, said[0].Run, said[len(said)-1].Run)
		close(over)
		pass(time.Second)
	})
}

// TestRunTableWithdraw: a job between two chairs is neither given back nor told.
func TestRunTableWithdraw(t *testing.T) {
	now := epoch()
	table := newRunTable(100, nil)
	withdraw := func(job, gateway string) [2]any {
		run, given := table.withdraw(job, gateway, now)
		return [2]any{run, given}
	}
	require.False(t, table.seen("j", now))
	require.Equal(t, [2]any{"", false}, withdraw("j", "g"), "it is about to become a run")
	table.dropped("j")
	require.Equal(t, [2]any{"", true}, withdraw("j", "g"))
	require.True(t, table.seen("j", now))

	r := recordOf(1)
	r.job.Job, r.job.Gateway = "k", "g"
	require.False(t, table.seen("k", now))
	table.add(r)
	table.dropped("k")
	require.Equal(t, [2]any{"", false}, withdraw("k", "g"), "its accept comes by itself")
	table.accepted(r)
	require.Equal(t, [2]any{"w-1", false}, withdraw("k", "g"))
	require.Equal(t, [2]any{"", false}, withdraw("k", "another"), "is told nothing")
	table.take(r.pid)
	require.Equal(t, [2]any{"", false}, withdraw("k", "g"), "a vendor was asked: it is not given back")

	require.Equal(t, [2]any{"", true}, withdraw("never seen", "g"))
	require.True(t, table.seen("never seen", now), "it would be taken after all")
}

func TestRation(t *testing.T) {
	var r ration
	now := epoch()
	require.True(t, r.take(now, withdrawals-1))
	require.False(t, r.take(now, 2))
	require.True(t, r.take(now, 1))
	require.False(t, r.take(now.Add(withdrawEvery-1), 1))
	require.True(t, r.take(now.Add(withdrawEvery), 2*withdrawals), "in a round of its own")
	require.False(t, r.take(now.Add(withdrawEvery), 1))
	require.True(t, r.take(now.Add(2*withdrawEvery), 1))
}

// TestAskedBackInTurn: a question for which there is no room in this round is asked
// back in the next, and has lost none of its patience.
func TestAskedBackInTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		h.full()
		c := h.open("s")
		c.chat("1", "hi")
		pass(offerTimeout - tick)
		h.gateway.asks.take(time.Now(), withdrawals)
		pass(2 * tick)
		require.Zero(t, len(h.bus.wordsOf(bus.ControlWithdraw)))
		pass(withdrawEvery)
		require.Len(t, h.bus.wordsOf(bus.ControlWithdraw), 1)
		pass(offerDead)
		require.Equal(t, 2, h.bus.jobCount())
	})
}
