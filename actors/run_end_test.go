package actors

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestRunLeft: what the last follower's end means to a generation.
func TestRunLeft(t *testing.T) {
	tests := []struct {
		policy string
		ended  time.Duration // 0 = not ended by it
	}{
		{protocol.OnDisconnectCancel, time.Millisecond},
		{protocol.OnDisconnectGrace, 30 * time.Second},
		{protocol.OnDisconnectContinue, 0},
	}
	for _, tt := range tests {
		t.Run(tt.policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ended := make(chan error, 1)
				b := newBench(t, untilStopped(ended), func(p *plan) { p.runs.StallTimeout, p.runs.Timeout = time.Hour, time.Hour })
				run := b.job(bus.Job{Name: "1"})
				b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 1, OnDisconnect: tt.policy})
				if tt.ended == 0 {
					pass(10 * time.Minute)
					require.Empty(t, ended)
					b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 9})
					require.ErrorIs(t, <-ended, errCancelled)
					return
				}
				pass(tt.ended - time.Millisecond)
				require.Equal(t, tt.ended == time.Millisecond, len(ended) == 1)
				pass(time.Millisecond)
				require.ErrorIs(t, <-ended, errCancelled)
				require.Zero(t, b.worker.Active())
			})
		})
	}
	t.Run("back within the grace", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan error, 1)
			b := newBench(t, untilStopped(ended), nil)
			run := b.job(bus.Job{Name: "1"})
			b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 1, OnDisconnect: protocol.OnDisconnectGrace})
			pass(20 * time.Second)
			b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 2})
			pass(20 * time.Second)
			require.Empty(t, ended, "the grace of the first departure ended the second stay")
			b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 2, OnDisconnect: protocol.OnDisconnectGrace})
			pass(31 * time.Second)
			require.Len(t, ended, 1)
		})
	})
	t.Run("not the last", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan error, 1)
			b := newBench(t, untilStopped(ended), nil)
			run := b.job(bus.Job{Name: "1"})
			b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 2})
			b.control(bus.Control{Type: bus.ControlGone, Run: run, To: 1, OnDisconnect: protocol.OnDisconnectCancel})
			require.Empty(t, ended)
			b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 2})
			require.Len(t, ended, 1)
		})
	})
	t.Run("released", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan error, 1)
			b := newBench(t, untilStopped(ended), nil)
			run := b.job(bus.Job{Name: "1", OnDisconnect: protocol.OnDisconnectContinue})
			b.control(bus.Control{Type: bus.ControlRelease, Run: run, To: 1})
			require.Len(t, ended, 1)
		})
	})
	t.Run("gateway lost", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan error, 1)
			b := newBench(t, untilStopped(ended), nil)
			b.worker.Heard(&bus.Beat{Role: bus.RoleGateway, ID: desk1, Sent: time.Now().UnixMilli()}, time.Now())
			b.job(bus.Job{OnDisconnect: protocol.OnDisconnectCancel})
			pass(beatsLost)
			require.Empty(t, ended)
			pass(2 * beatEvery)
			require.Len(t, ended, 1)
		})
	})
}

// TestRunResume: the snapshot, then live chunks, then the end, for one who comes
// in the middle, and for one who comes after it.
func TestRunResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a", "b", "c", "d"), nil)
		run := b.job(bus.Job{Name: "mine"})
		pass(2*pace + pace/2)
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 9, Cut: 1})
		pass(time.Second)
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 10})
		type said struct {
			kind      string
			from, seq uint64
			text      string
		}
		list := func(to uint64) (out []said) {
			for _, e := range b.heard(to) {
				out = append(out, said{e.Type, e.From, e.Seq, string(e.Text)})
			}
			return out
		}
		require.Equal(t, []said{
			{bus.EventSnapshot, 1, 1, "a"},
			{bus.EventSnapshot, 2, 2, "b"},
			{bus.EventChunk, 0, 3, "c"},
			{bus.EventChunk, 0, 4, "d"},
			{bus.EventComplete, 0, 5, ""},
		}, list(9)[:5])
		require.Equal(t, []said{{bus.EventSnapshot, 1, 4, "abcd"}, {bus.EventComplete, 0, 5, ""}}, list(10)[:2])
		for _, r := range b.bus.replies()[1:] {
			require.Equal(t, bus.ReplyFound, r.Type)
			require.Equal(t, "mine", r.Name)
		}

		n := len(b.bus.replies())
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 11, Cut: 6})
		b.control(bus.Control{Type: bus.ControlResume, Run: run, To: 12, Session: "somebody else"})
		b.control(bus.Control{Type: bus.ControlResume, Run: "w-unknown", To: 13})
		b.control(bus.Control{Type: bus.ControlCancel, Run: run, To: 14})
		var types []string
		for _, r := range b.bus.replies()[n:] {
			types = append(types, r.Type)
		}
		require.Equal(t, []string{bus.ReplyRefused, bus.ReplyMissing, bus.ReplyMissing, bus.ReplyMissing}, types)
	})
}

// TestRunRepeatsEnd: until it is acknowledged, doubling; then silence, and an
// unnamed run is gone.
func TestRunRepeatsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		run := b.job(bus.Job{})
		pass(pace)
		for i, at := range []time.Duration{0, 100, 300, 700, 1500} {
			if i > 0 {
				pass((at - []time.Duration{0, 0, 100, 300, 700}[i]) * time.Millisecond)
			}
			require.Len(t, b.ends(1), i+1)
		}
		require.NotNil(t, b.worker.runs.pid(run))
		b.control(bus.Control{Type: bus.ControlAck, Run: run, To: 1})
		require.Nil(t, b.worker.runs.pid(run), "nobody can name this run")
		pass(time.Minute)
		require.Len(t, b.ends(1), 5)
	})
}

// TestRunKept: a named run can be found for runs.keep, and no longer.
func TestRunKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), func(p *plan) { p.runs.Keep = time.Minute })
		run := b.job(bus.Job{Name: "1"})
		pass(pace)
		b.control(bus.Control{Type: bus.ControlAck, Run: run, To: 1})
		pass(time.Minute - time.Millisecond)
		require.NotNil(t, b.worker.runs.pid(run))
		pass(time.Millisecond)
		require.Nil(t, b.worker.runs.pid(run))
		require.Zero(t, b.worker.runs.bytes)
	})
}

// TestRunSaysSeq: a run says its name, and then, silent, its last seq every five
// seconds.
func TestRunSaysSeq(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		b := newBench(t, untilStopped(ended), nil)
		b.job(bus.Job{})
		pass(16 * time.Second)
		said := b.bus.eventsOf(bus.EventStatus)
		require.Len(t, said, 4)
		require.EqualValues(t, 0, said[0].Seq)
		require.EqualValues(t, 1, said[1].Seq)
	})
}

// TestRunNotAccepted: a job whose accept cannot be published calls no vendor and
// holds no slot.
func TestRunNotAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		b.bus.locked(func() { b.bus.down = true })
		require.Empty(t, b.job(bus.Job{}))
		pass(time.Second)
		require.Zero(t, b.worker.Active())
		require.Empty(t, b.worker.runs.live())
		require.Empty(t, b.bus.eventsOf(bus.EventChunk))
	})
}

// TestWorkerDrain: live runs may end; what still runs then is told, whether it
// streams or waits for its key.
func TestWorkerDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		var once sync.Once
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			talk := talker("a")
			once.Do(func() { talk = untilStopped(ended) })
			return talk(ctx, q, sink)
		}, nil)
		b.job(bus.Job{})
		b.job(bus.Job{})
		ctx, cancel := contextFor(2 * time.Second)
		defer cancel()
		began := time.Now()
		b.worker.Drain(ctx)
		require.LessOrEqual(t, time.Since(began), 3*time.Second)
		synctest.Wait()
		require.ErrorIs(t, <-ended, errShutdown)
		require.Equal(t, string(protocol.ShuttingDown), b.ends(1)[0].Code)
		require.Equal(t, bus.EventComplete, b.ends(2)[0].Type)
		require.Empty(t, b.job(bus.Job{}))
	})
}
