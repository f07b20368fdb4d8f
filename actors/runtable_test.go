package actors

import (
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

func recordOf(n int) *runRecord {
	id := strconv.Itoa(n)
	return &runRecord{id: "w-" + id, pid: &actor.PID{Id: "p" + id}, job: &bus.Job{}}
}

// TestRunTableBudget: the oldest ended runs go first, the newest never.
func TestRunTableBudget(t *testing.T) {
	var gone []string
	table := newRunTable(100, func(pid *actor.PID) { gone = append(gone, pid.Id) })
	for n := range 4 {
		r := recordOf(n)
		table.add(r)
		table.keep(r, 40)
	}
	require.Equal(t, []string{"p0", "p1"}, gone)
	require.Equal(t, 80, table.bytes)

	large := recordOf(9)
	table.add(large)
	table.keep(large, 500)
	require.Equal(t, []string{"p0", "p1", "p2", "p3"}, gone)
	require.Equal(t, 500, table.bytes, "the newest stays, also above the budget")

	for n := range 4 {
		require.NotNil(t, table.take(recordOf(n).pid))
	}
	require.Equal(t, 500, table.bytes, "an expired run was charged back twice")
	require.Same(t, large, table.take(large.pid))
	require.Zero(t, table.bytes)
	require.Zero(t, table.kept.Len())
	require.Empty(t, table.live())
}

// TestRunTableTake removes in the middle, once.
func TestRunTableTake(t *testing.T) {
	table := newRunTable(1000, func(*actor.PID) { t.Error("expired within the budget") })
	for n := range 3 {
		r := recordOf(n)
		table.add(r)
		table.keep(r, 10)
	}
	require.NotNil(t, table.pid("w-1"))
	require.Equal(t, "w-1", table.take(&actor.PID{Id: "p1"}).id)
	require.Nil(t, table.take(&actor.PID{Id: "p1"}))
	require.Nil(t, table.pid("w-1"))
	require.Equal(t, 20, table.bytes)
	require.Len(t, table.live(), 2)
}

func TestRunTableRepeats(t *testing.T) {
	table := newRunTable(0, nil)
	require.False(t, table.seen("a", epoch()))
	require.True(t, table.seen("a", epoch().Add(time.Second)))
	table.sweep(epoch().Add(time.Second + jobsKept))
	require.True(t, table.seen("a", epoch().Add(2*time.Second)), "forgotten too early")
	table.sweep(epoch().Add(2*time.Second + jobsKept + 1))
	require.False(t, table.seen("a", epoch().Add(time.Minute)), "kept for ever")
}

// TestRunTableTooLate: a deadline counts by its sender's clock, as the fastest
// beat has shown it.
func TestRunTableTooLate(t *testing.T) {
	tests := []struct {
		name  string
		skews []time.Duration // of beats in their rhythm: our clock minus the gateway's
		after time.Duration   // our clock, behind the deadline as the job tells it
		late  bool
	}{
		{"never heard", nil, time.Hour, false},
		{"in time", []time.Duration{0}, -time.Millisecond, false},
		{"within the slack", []time.Duration{0}, lateness, false},
		{"late", []time.Duration{0}, lateness + time.Millisecond, true},
		{"our clock is ahead", []time.Duration{time.Minute}, time.Minute, false},
		{"our clock is ahead, and it is late", []time.Duration{time.Minute}, time.Minute + lateness + time.Millisecond, true},
		{"our clock is behind, and it is late", []time.Duration{-time.Minute}, lateness + time.Millisecond - time.Minute, true},
		{"the fastest beat is right", []time.Duration{time.Second, 0}, lateness + time.Millisecond, true},
		{"a clock that was set is learned", []time.Duration{0, time.Minute, time.Minute, time.Minute}, 52 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := newRunTable(0, nil)
			for i, skew := range tt.skews {
				sent := epoch().Add(time.Duration(i) * beatEvery)
				received := sent.Add(skew)
				if i > 0 { // a clock that was set moves both
					table.clocks["g"] = peerClock{skew: table.clocks["g"].skew, heard: received.Add(-beatEvery)}
				}
				table.learnClock("g", sent.UnixMilli(), received)
			}
			job := &bus.Job{Gateway: "g", Deadline: epoch().UnixMilli()}
			require.Equal(t, tt.late, table.tooLate(job, epoch().Add(tt.after)))
			require.Len(t, table.gateways(), min(len(tt.skews), 1))
			table.forgetClock("g")
			require.False(t, table.tooLate(job, epoch().Add(time.Hour)))
			require.Empty(t, table.gateways())
		})
	}
}

// TestRunTablePaused: beats that waited while this process was paused must not
// make the jobs that waited with them look fresh.
func TestRunTablePaused(t *testing.T) {
	table := newRunTable(0, nil)
	at := func(i int) time.Time { return epoch().Add(time.Duration(i) * beatEvery) }
	for i := range 10 {
		table.learnClock("g", at(i).UnixMilli(), at(i))
	}
	job := &bus.Job{Gateway: "g", Deadline: at(11).UnixMilli()}
	awake := at(70)
	for i := 10; i < 70; i++ {
		require.True(t, table.tooLate(job, awake), "beat %d that waited moved the clock", i)
		table.learnClock("g", at(i).UnixMilli(), awake)
	}
	require.True(t, table.tooLate(job, awake))
}
