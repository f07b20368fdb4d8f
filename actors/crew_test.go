package actors

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func (c *crew) hired() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workers
}

// TestCrewRunsAll: every part runs once, whoever schedules it, from inside a part
// too, and nobody is left when nothing is.
func TestCrewRunsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		var ran atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for range 500 {
					c.Schedule(func() { c.Schedule(func() { ran.Add(1) }) })
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		require.EqualValues(t, 20*500, ran.Load())
		time.Sleep(2 * crewPatience)
		synctest.Wait() // the bubble ends only when the watch is over, too
		require.Zero(t, c.hired())
		require.False(t, c.watched)
		require.LessOrEqual(t, cap(c.queue), crewKept)
	})
}

// TestCrewNeverEmpty: a queue that is never empty does not grow with what went
// through it.
func TestCrewNeverEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		left, most := 100*crewKept, 0
		var next func()
		next = func() { // of one worker, each leaves its successor behind
			c.mu.Lock()
			most = max(most, cap(c.queue))
			c.mu.Unlock()
			if left--; left > 0 {
				c.Schedule(next)
			}
		}
		c.Schedule(func() {
			c.Schedule(next)
			c.Schedule(func() {})
		})
		for range 8 {
			c.Schedule(next)
		}
		synctest.Wait()
		require.LessOrEqual(t, left, 0)
		require.LessOrEqual(t, most, 4*crewKept)
		time.Sleep(2 * crewPatience) // the last worker goes home
	})
}

// TestCrewSharesAWorker: what is scheduled together runs on one goroutine, in
// its order, as long as that keeps up.
func TestCrewSharesAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		hold := make(chan struct{})
		var order []int // of one worker: the race detector would see two
		c.Schedule(func() { <-hold })
		synctest.Wait()
		for i := range crewQueue {
			c.Schedule(func() { order = append(order, i) })
		}
		require.Equal(t, 1, c.hired())
		c.Schedule(func() {}) // one too many
		synctest.Wait()
		require.Equal(t, 1, c.hired(), "the second has gone home")
		require.Len(t, order, crewQueue)
		require.IsIncreasing(t, order)
		close(hold)
		time.Sleep(2 * crewPatience)
	})
}

// TestCrewHang: a part that hangs holds up the others for crewPatience, and so
// does the next one; when they come back they are done.
func TestCrewHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		hold := make(chan struct{})
		began := time.Now()
		for range 3 {
			c.Schedule(func() { <-hold })
		}
		var ran time.Duration
		c.Schedule(func() { ran = time.Since(began) })
		time.Sleep(10 * crewPatience)
		synctest.Wait()
		require.NotZero(t, ran)
		require.LessOrEqual(t, ran, 3*2*crewPatience)
		time.Sleep(10 * crewPatience)
		c.Schedule(func() {}) // may wait once more: not all that hang were written off
		time.Sleep(2 * crewPatience)
		c.Schedule(func() { ran = 0 })
		synctest.Wait()
		require.Zero(t, ran, "three hang, and nobody waits for them any more")
		close(hold)
		synctest.Wait()
		require.Zero(t, c.hired())
		time.Sleep(2 * crewPatience)
	})
}

// TestCrewKeepsItsLastWorker: what comes soon is run by whoever ran what came
// before, without a new goroutine; what comes later finds nobody.
func TestCrewKeepsItsLastWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		run := func() {
			c.Schedule(func() {})
			synctest.Wait()
		}
		waits := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.waits
		}
		run()
		for range 10 { // of one shift, and nobody else is waiting
			require.True(t, waits())
			time.Sleep(crewPatience)
			run()
		}
		time.Sleep(2 * crewPatience)
		synctest.Wait()
		require.False(t, waits())
		require.False(t, c.watched)
		run()
		require.True(t, waits())
		time.Sleep(2 * crewPatience)
	})
}

// TestCrewManyHang: the more hang, the faster others come.
func TestCrewManyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		hold := make(chan struct{})
		for range 64 {
			c.Schedule(func() { <-hold })
		}
		began, ran := time.Now(), time.Duration(0)
		c.Schedule(func() { ran = time.Since(began) })
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotZero(t, ran)
		require.LessOrEqual(t, ran, 16*crewPatience)
		close(hold)
		time.Sleep(2 * crewPatience)
	})
}

// TestCrewHoldsNobodyUpWhoDecides: the limiter and the pool answer while all that
// the crew has hangs, without a moment's delay.
func TestCrewHoldsNobodyUpWhoDecides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		hold := make(chan struct{})
		h.sys.crew.Schedule(func() { <-hold })
		synctest.Wait()
		h.gateway.gate.away.Store(true)
		h.sys.root.Send(h.gateway.gate.limiter.Load(), &probe{})
		owner := &Session{gateway: h.gateway}
		require.True(t, func() bool { ok, _ := h.gateway.leases.Acquire(owner); return ok }())
		h.sys.root.Send(h.gateway.pool, &vacated{owner: owner})
		synctest.Wait() // no time goes by
		require.False(t, h.gateway.gate.away.Load(), "the limiter has heard")
		require.Zero(t, h.gateway.leases.Active(), "the pool has")
		close(hold)
	})
}
