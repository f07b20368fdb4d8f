package actors

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// strain is a source that reads what a test wants.
type strain struct {
	reading   atomic.Pointer[pressure.Reading]
	freshened atomic.Int64
}

func (s *strain) Read() pressure.Reading {
	if r := s.reading.Load(); r != nil {
		return *r
	}
	return pressure.Reading{}
}

func (s *strain) Freshen() { s.freshened.Add(1) }

func (s *strain) memory(percent uint64) {
	s.reading.Store(&pressure.Reading{Memory: percent << 20, Limit: 100 << 20})
}

func (s *strain) lag(d time.Duration) { s.reading.Store(&pressure.Reading{Lag: d}) }

// watch has a house look at a strain.
func (h *house) watch() *strain {
	s := &strain{}
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	h.sys.WatchPressure(ctx, pressure.Default(), s)
	h.unwatch = cancel
	return s
}

// count reads one series of a counter.
func (h *house) count(name, label string) float64 {
	h.t.Helper()
	families, err := h.gather.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.Fail(h.t, "no such series", "%s %s", name, label)
	return 0
}

// refused tells whether the client was told so last.
func (c *client) refused(code protocol.Code) bool {
	seen := c.seen()
	return len(seen) > 0 && seen[len(seen)-1].Code == code
}

// settle gives the house's watch time to believe what it reads.
func (h *house) settle(s *strain, percent uint64) {
	s.memory(percent)
	pass(time.Second)
}

func TestStageOneRefusesQuestionsAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		s := h.watch()
		c := h.open("s1")
		c.chat("1", "runs already")
		job := h.accept("w1.run")
		h.chunk(job.To, 1, "one ")
		c.take()

		h.settle(s, 81)
		require.Equal(t, 1, h.gateway.Status().Pressure.Stage)
		require.Equal(t, "degraded", h.gateway.Health().Status)
		require.Equal(t, 1, h.gateway.Health().Pressure)
		jobs := h.bus.jobCount()
		c.chat("2", "too late")
		last := c.last()
		require.Equal(t, protocol.Overloaded, last.Code)
		require.Equal(t, "2", last.ID)
		require.Positive(t, last.RetryAfter)
		require.Empty(t, c.closed(), "the socket stays open")
		require.Equal(t, jobs, h.bus.jobCount())
		c.ask(&protocol.Chat{ID: "3", Content: "with a key of its own", ClientKey: protocol.ClientKey{1}})
		require.Equal(t, protocol.Overloaded, c.last().Code)

		c.take()
		h.chunk(job.To, 2, "two")
		c.ask(&protocol.Ping{})
		c.chat("1", "runs already") // a repeat begins nothing
		require.Equal(t, []string{
			`{"type":"chunk","id":"1","seq":2,"content":"two"}`, `{"type":"pong"}`,
			`{"type":"accepted","id":"1","run_id":"w1.run"}`,
		}, c.take())
		h.open("s2") // connections are taken

		x := h.knock(protocol.Client{Address: "192.0.2.9", Session: "h", Kind: protocol.HTTP, Asks: true})
		require.Equal(t, protocol.Overloaded, x.last().Code)
		require.Positive(t, x.last().RetryAfter)
		require.Equal(t, []protocol.Code{protocol.Overloaded}, x.closed())
		require.Equal(t, 1, h.knock(protocol.Client{Address: "192.0.2.9", Session: "h", Kind: protocol.HTTP}).wanted(), "a cancel is welcome")
		require.EqualValues(t, 3, h.count("troupe_shed_total", shedQuestion))

		s.memory(10)
		pass(1500 * time.Millisecond)
		c.chat("4", "later")
		require.Equal(t, jobs+1, h.bus.jobCount(), "taken again, without help")
		require.Equal(t, "ok", h.gateway.Health().Status)
		h.empty()
	})
}

// A repeat that finds its run begins nothing and is answered; one that finds none
// is a question like any other.
func TestARepeatUnderPressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		s := h.watch()
		c := h.open("s1")
		h.settle(s, 85)
		wanted := c.wanted()
		c.ask(&protocol.Chat{ID: "1", Content: "again", ClientKey: protocol.ClientKey{7}, Repeat: true})
		pass(searchPatience)
		require.Equal(t, protocol.Overloaded, c.last().Code)
		require.Equal(t, "1", c.last().ID)
		require.Equal(t, wanted+1, c.wanted(), "and the next request is read, once")
		require.Zero(t, h.bus.jobCount())
		h.empty()
	})
}

func TestStageTwoRefusesConnectionsAtTheDoor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.limits.Connections = limit.Rule{Max: 2, Window: time.Minute}
		h := build(t, p)
		s := h.watch()
		c := h.open("s1")
		h.settle(s, 91)
		for range 50 {
			no := h.knock(protocol.Client{Address: "192.0.2.1", Session: "s2"})
			require.Equal(t, protocol.Overloaded, no.last().Code)
			require.GreaterOrEqual(t, no.last().RetryAfter, 3)
			require.Equal(t, []protocol.Code{protocol.Overloaded}, no.closed())
			require.Zero(t, no.wanted())
		}
		require.EqualValues(t, 1, h.gateway.counts.active.Load(), "no actor was made")
		require.EqualValues(t, 50, h.count("troupe_shed_total", shedConnection))
		require.Equal(t, uint64(50), h.gateway.Status().WebSocketManager.RejectedTotal)
		c.ask(&protocol.Ping{})
		require.Equal(t, protocol.TypePong, c.last().Type, "who is in stays in")
		require.Zero(t, h.gateway.offenders.Len(), "and nobody is to blame")

		s.memory(1)
		pass(5 * time.Second)
		h.open("s3") // no window was used up
		h.empty()
	})
}

func TestStageThreeCutsSlowReadersOnceASecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		var log bytes.Buffer
		p.log = &log
		h := build(t, p)
		var rounds atomic.Int64
		h.sys.OnRelief(func() int { rounds.Add(1); return 8 })
		s := h.watch()
		h.settle(s, 91)
		require.Zero(t, rounds.Load())
		s.memory(96)
		pass(5 * time.Second)
		require.InDelta(t, 5, rounds.Load(), 1)
		require.EqualValues(t, 8*rounds.Load(), h.count("troupe_shed_total", shedReader))
		require.EqualValues(t, 3, h.gauge("troupe_pressure_stage"))
		require.InDelta(t, .96, h.gauge("troupe_pressure_memory_ratio"), .001)
		require.Positive(t, s.freshened.Load(), "memory that presses is measured anew")
		s.memory(50)
		pass(5 * time.Second)
		n := rounds.Load()
		pass(5 * time.Second)
		require.Equal(t, n, rounds.Load())
		require.Zero(t, h.gauge("troupe_pressure_stage"))
		h.unwatch()
		synctest.Wait()
		for _, line := range []string{
			`"stage":2,"why":"memory","memory":95420416,"memory_limit":104857600,"lag":"0s","remedy":"more memory and a higher GOMEMLIMIT`,
			`"readers":8,"message":"Under pressure: the slowest readers are cut; they can resume"`,
			`"message":"Pressure is over: everything is taken again"`,
		} {
			require.Contains(t, log.String(), line)
		}
	})
}

func TestLagPressesToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		s := h.watch()
		s.lag(120 * time.Millisecond)
		pass(time.Second)
		require.Zero(t, h.gateway.Status().Pressure.Stage, "it has to last")
		pass(time.Second)
		st := h.gateway.Status().Pressure
		require.Equal(t, protocol.PressureStatus{Stage: 2, Why: "lag", Since: st.Since, LagMS: 120}, st)
		require.InDelta(t, .12, h.gauge("troupe_pressure_lag_seconds"), .001)
		require.Zero(t, s.freshened.Load())
		h.sys.SetPressure(pressure.Config{Enabled: true})
		pass(3 * time.Second)
		require.Zero(t, h.gateway.Status().Pressure.Stage, "thresholds follow a reload")
	})
}

// What waits for the crew waits, though no goroutine does.
func TestTheCrewsQueueIsLag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		hold := make(chan struct{})
		h.sys.crew.mu.Lock()
		h.sys.crew.queue = append(h.sys.crew.queue, loose(func() { <-hold }))
		h.sys.crew.watched = true // nobody writes off who hangs: a crew that is slow altogether
		h.sys.crew.mu.Unlock()
		h.watch()
		h.sys.crew.Schedule(func() {})
		pass(3 * time.Second)
		require.Equal(t, 3, h.gateway.Status().Pressure.Stage)
		close(hold)
		h.sys.crew.mu.Lock()
		h.sys.crew.watched = false
		h.sys.crew.mu.Unlock()
		pass(6 * time.Second)
		require.Zero(t, h.gateway.Status().Pressure.Stage)
	})
}

func TestAPressedWorkerTakesNoJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("one", "two")
		h := build(t, p)
		s := h.watch()
		h.settle(s, 81)
		require.True(t, h.worker.isSpared())
		require.Equal(t, 1, h.worker.Health().Pressure)
		require.Equal(t, "degraded", h.worker.Health().Status)
		job := &bus.Job{Job: "j1", Provider: "echo", Gateway: h.gateway.ID(), To: 1, Deadline: time.Now().Add(time.Second).UnixMilli()}
		h.worker.onJob(job, subjectOf(1))
		synctest.Wait()
		replies := h.bus.replies()
		require.Equal(t, bus.ReplyBusy, replies[len(replies)-1].Type)
		require.Zero(t, h.worker.Active())
		require.EqualValues(t, 1, h.count("troupe_shed_total", shedJob))

		s.memory(10)
		pass(2 * time.Second)
		require.False(t, h.worker.isSpared())
		require.Zero(t, h.worker.Health().Pressure)
		c := h.open("s1")
		c.chat("1", "hello")
		pass(time.Second)
		require.Equal(t, protocol.TypeComplete, c.last().Type)
		h.empty()
	})
}

func (w *Worker) isSpared() bool {
	w.queues.Lock()
	defer w.queues.Unlock()
	return w.spared
}
