package actors

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
)

// keyedRecord is a run of session s that was begun so many seconds ago.
func keyedRecord(id, session, key, name string, age int) *runRecord {
	r := &runRecord{id: id, pid: &actor.PID{Id: id}, begun: epoch().Add(-time.Duration(age) * time.Second), job: &bus.Job{
		Session: session, Name: name, Content: []byte("of " + id),
	}}
	if key != "" {
		k := keyOf(key)
		r.job.ClientKey = k[:]
	}
	return r
}

func TestRunTableFind(t *testing.T) {
	type entry struct {
		*runRecord
		over bool
	}
	table := newRunTable(1<<20, nil)
	for _, e := range []entry{
		{keyedRecord("old-over", "s", "k", "1", 50), true},
		{keyedRecord("old-live", "s", "k", "2", 40), false},
		{keyedRecord("live", "s", "k", "3", 30), false},
		{keyedRecord("over", "s", "k", "4", 20), true},
		{keyedRecord("other-session", "t", "k", "1", 5), false},
		{keyedRecord("other-key", "s", "l", "1", 5), true},
		{keyedRecord("other-key-twice", "s", "l", "1", 4), true},
		{keyedRecord("no-key", "s", "", "1", 1), false},
	} {
		table.add(e.runRecord)
		if e.over {
			table.keep(e.runRecord, 10)
		}
	}
	right, other, wrong := keyOf("k"), keyOf("l"), keyOf("x")
	tests := []struct {
		name, session string
		key           []byte
		id            string
		want          string // run, "" = nothing
		over          bool
		age           int64
	}{
		{"any: one that generates, the youngest", "s", right[:], "", "live", false, 30_000},
		{"by name, over", "s", right[:], "1", "old-over", true, 50_000},
		{"by name, live", "s", right[:], "2", "old-live", false, 40_000},
		{"unknown name", "s", right[:], "9", "", false, 0},
		{"another session", "t", right[:], "", "other-session", false, 5_000},
		{"session of nobody", "u", right[:], "", "", false, 0},
		{"another key: the youngest of those that are over", "s", other[:], "1", "other-key-twice", true, 4_000},
		{"wrong key", "s", wrong[:], "1", "", false, 0},
		{"no key", "s", nil, "1", "", false, 0},
		{"half a key", "s", right[:16], "1", "", false, 0},
		{"a key and more", "s", append(right[:len(right):len(right)], 0), "1", "", false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := table.find(tt.session, tt.key, tt.id, epoch())
			if tt.want == "" {
				require.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			require.Equal(t, bus.Reply{
				Type: bus.ReplyFound, Run: tt.want, Name: got.Name, Age: tt.age, Over: tt.over, Content: []byte("of " + tt.want),
			}, *got)
			if tt.id != "" {
				require.Equal(t, tt.id, got.Name)
			}
		})
	}
}

func TestBetter(t *testing.T) {
	live, old := &bus.Reply{Run: "live", Age: 10}, &bus.Reply{Run: "old", Age: 20}
	over, oldOver := &bus.Reply{Run: "over", Age: 1, Over: true}, &bus.Reply{Run: "oldOver", Age: 2, Over: true}
	tests := []struct{ a, b, want *bus.Reply }{
		{nil, nil, nil},
		{nil, over, over},
		{live, old, live},
		{live, over, live},
		{old, over, old},
		{over, oldOver, over},
	}
	for i, tt := range tests {
		require.Same(t, tt.want, better(tt.a, tt.b), "%d", i)
		require.Same(t, tt.want, better(tt.b, tt.a), "%d, the other way round", i)
	}
	twin := &bus.Reply{Run: "twin", Age: 10}
	require.Same(t, twin, better(live, twin), "of two that are as old, the one that was entered last")
}

// TestBetterIsAnOrder: in whatever order workers answer, the same run is meant.
func TestBetterIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ages := rapid.SliceOfNDistinct(rapid.Int64Range(0, 100), 1, 6, rapid.ID).Draw(t, "ages")
		var all []*bus.Reply
		for _, age := range ages {
			all = append(all, &bus.Reply{Age: age, Over: rapid.Bool().Draw(t, "over")})
		}
		best := func(list []*bus.Reply) (b *bus.Reply) {
			for _, r := range list {
				b = better(b, r)
			}
			return b
		}
		want := best(all)
		require.Same(t, want, best(rapid.Permutation(all).Draw(t, "order")))
		for _, r := range all {
			require.False(t, want.Over && !r.Over, "one that generates was passed over")
			require.False(t, want.Over == r.Over && r.Age < want.Age, "a younger one was passed over")
		}
	})
}

// TestRunTableForgetsKeys: nothing is left of ten thousand runs, in whatever
// order they end, and those that are left are still found.
func TestRunTableForgetsKeys(t *testing.T) {
	const runs, owners = 10_000, 100
	table := newRunTable(1<<30, nil)
	var records []*runRecord
	for n := range runs {
		r := keyedRecord("w-"+strconv.Itoa(n), "s", strconv.Itoa(n%owners), strconv.Itoa(n), runs-n)
		table.add(r)
		if n%3 == 0 {
			table.keep(r, 10)
		}
		records = append(records, r)
	}
	require.Len(t, table.byKey, owners)
	for n, r := range records {
		i := (n * 7919) % runs // each once: 7919 is prime
		r = records[i]
		require.Same(t, r, table.take(r.pid))
		require.Nil(t, table.find("s", r.job.ClientKey, r.job.Name, epoch()), "a run that is gone was found")
		if n < runs/2 {
			next := records[((n+1)*7919)%runs]
			require.Equal(t, next.id, table.find("s", next.job.ClientKey, next.job.Name, epoch()).Run)
		}
	}
	require.Empty(t, table.byKey)
	require.Empty(t, table.byID)
	require.Zero(t, table.bytes)
}

// TestWorkerFind: what a worker answers to a find.
func TestWorkerFind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, talker("a"), nil)
		k, x := keyOf("k"), keyOf("x")
		run := b.job(bus.Job{Name: "1", ClientKey: k[:], Content: []byte("hash")})
		find := func(key []byte, name string) bus.Reply {
			b.control(bus.Control{Type: bus.ControlFind, To: 9, ClientKey: key, Name: name})
			replies := b.bus.replies()
			last := replies[len(replies)-1]
			require.EqualValues(t, 9, toOf(last.subject))
			return last.Reply
		}
		missing := bus.Reply{Type: bus.ReplyMissing, Worker: b.worker.ID()}
		pass(pace / 2)
		found := bus.Reply{Type: bus.ReplyFound, Run: run, Worker: b.worker.ID(), Name: "1", Age: 50, Content: []byte("hash")}
		require.Equal(t, found, find(k[:], ""))
		require.Equal(t, found, find(k[:], "1"))
		require.Equal(t, missing, find(k[:], "2"))
		require.Equal(t, missing, find(x[:], "1"))
		for _, key := range [][]byte{nil, {}, k[:31], append(k[:32:32], 0)} {
			require.Equal(t, missing, find(key, "1"), "a key of %d bytes", len(key))
		}
		pass(time.Second)
		found.Over, found.Age = true, 1050
		require.Equal(t, found, find(k[:], "1"))
		require.Empty(t, b.heard(9), "who finds does not follow")
		pass(b.worker.cfg.Runs.Keep)
		require.Equal(t, missing, find(k[:], "1"))
		require.Empty(t, b.worker.runs.byKey)
	})
}

// TestWorkerSpeaksUp: a worker whose own beat was late says of every run, once,
// where it is: its last seq and its name, or its end where that was not
// acknowledged yet.
func TestWorkerSpeaksUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		calls := 0
		b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
			if calls++; calls == 1 {
				return untilStopped(ended)(ctx, q, sink)
			}
			return talker("a", "b")(ctx, q, sink)
		}, nil)
		live := b.job(bus.Job{Name: "1", To: 1})
		b.control(bus.Control{Type: bus.ControlResume, Run: live, To: 11})
		acked, deaf := b.job(bus.Job{Name: "2", To: 2}), b.job(bus.Job{Name: "3", To: 3})
		pass(3 * pace)
		b.control(bus.Control{Type: bus.ControlAck, Run: acked, To: 2})
		own := func() {
			b.worker.Heard(&bus.Beat{Role: bus.RoleWorker, ID: b.worker.ID()}, time.Now())
			pass(0)
		}
		heard := func() (out []bus.Event) {
			for _, to := range []uint64{1, 11, 2, 3} {
				out = append(out, b.heard(to)...)
			}
			return out
		}
		before := len(heard())
		own()
		require.Len(t, heard(), before, "the beat was in time")

		b.bus.locked(func() { b.bus.down = true })
		pass(ownLate + ownLate/2)
		count := map[uint64]int{}
		for _, to := range []uint64{1, 11, 2, 3} {
			count[to] = len(b.heard(to))
		}
		own()
		for _, to := range []uint64{1, 11} {
			said := b.heard(to)[count[to]:]
			require.Len(t, said, 1)
			require.Equal(t, [2]string{bus.EventStatus, live}, [2]string{said[0].Type, said[0].Run})
			require.EqualValues(t, 1, said[0].Seq)
		}
		require.Len(t, b.heard(2), count[2], "an end that was acknowledged")
		said := b.heard(3)[count[3]:]
		require.Len(t, said, 1)
		require.Equal(t, [2]string{bus.EventComplete, deaf}, [2]string{said[0].Type, said[0].Run})
		require.EqualValues(t, 3, said[0].Seq)
		before = len(heard())
		own()
		require.Len(t, heard(), before, "once")
		b.bus.locked(func() { b.bus.down = false })
		b.control(bus.Control{Type: bus.ControlCancel, Run: live, To: 1})
		require.ErrorIs(t, <-ended, errCancelled)
	})
}

// TestStartTooLate: a job that waited in the worker, because the process was
// paused, until its gateway had offered it elsewhere is neither accepted nor
// asked of the vendor, and its slot is free again.
func TestStartTooLate(t *testing.T) {
	for _, wait := range []time.Duration{offerTimeout + lateness, offerTimeout + lateness + time.Millisecond, 10 * time.Second} {
		late := wait > offerTimeout+lateness
		t.Run(fmt.Sprintf("%s, late %t", wait, late), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				door := &gateOf{kind: kindProvider}
				calls := 0
				b := newBench(t, func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
					calls++
					return talker("a")(ctx, q, sink)
				}, func(p *plan) { p.inject = door.inject })
				beat := func() {
					b.worker.Heard(&bus.Beat{Role: bus.RoleGateway, ID: desk1, Sent: time.Now().UnixMilli()}, time.Now())
					pass(0)
				}
				beat()
				door.close()
				k := keyOf("k")
				require.Empty(t, b.job(bus.Job{Name: "1", ClientKey: k[:]}))
				require.Equal(t, 1, b.worker.Active())
				for left := wait; left > 0; left -= beatEvery {
					pass(min(left, beatEvery))
					beat()
				}
				door.open()
				pass(time.Second)
				require.Zero(t, b.worker.Active(), "the slot leaked")
				if !late {
					require.Equal(t, 1, calls)
					require.Equal(t, bus.ReplyAccepted, b.bus.replies()[0].Type)
					return
				}
				require.Zero(t, calls)
				require.Empty(t, b.bus.replies())
				require.Empty(t, b.heard(1))
				require.Empty(t, b.worker.runs.live())
				require.Empty(t, b.worker.runs.byKey)
				require.NotEmpty(t, b.job(bus.Job{Name: "1"}), "the worker takes the next one")
			})
		})
	}
}
