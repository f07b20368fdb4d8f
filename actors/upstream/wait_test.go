package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaitersAreServedAndToldTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keyless: true, Room: 1, Queue: 4}, nil)
		held := mustEnter(t, l, Ask{})
		a1 := arrive(t, l, Ask{Owner: "a"})
		a2 := arrive(t, l, Ask{Owner: "a"})
		a3 := arrive(t, l, Ask{Owner: "a"})
		b1 := arrive(t, l, Ask{Owner: "b"})
		require.ErrorIs(t, refused(t, l, Ask{Owner: "c"}), ErrFull)
		require.Equal(t, 4, l.Load().Queued)
		for _, next := range []*arrival{a1, b1, a2, a3} {
			require.False(t, next.over())
			held.Done(Outcome{Kind: Good})
			synctest.Wait()
			require.True(t, next.over())
			require.NoError(t, next.err)
			require.Equal(t, 1, l.Load().InFlight)
			held = next.call
		}
		held.Done(Outcome{})
		atRest(t, l)
		require.Equal(t, []int{1}, a1.positions)
		require.Equal(t, []int{2, 3, 2, 1}, a2.positions)
		require.Equal(t, []int{3, 4, 3, 2, 1}, a3.positions)
		require.Equal(t, []int{2, 1}, b1.positions)
	})
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keyless: true, Room: 1, Queue: 2, Patience: 3 * time.Second}, nil)
		held := mustEnter(t, l, Ask{})
		first := arrive(t, l, Ask{Owner: "a"})
		time.Sleep(time.Second)
		second := arrive(t, l, Ask{Owner: "b"})
		time.Sleep(2*time.Second - 1)
		synctest.Wait()
		require.False(t, first.over())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, first.err, ErrPatience)
		require.False(t, second.over())
		require.Equal(t, []int{2, 1}, second.positions)
		held.Done(Outcome{})
		synctest.Wait()
		require.NoError(t, second.err)
		second.call.Done(Outcome{})
		atRest(t, l)
	})
}

func TestWhoLeavesFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keyless: true, Room: 1, Queue: 2}, nil)
		held := mustEnter(t, l, Ask{})
		hungUp := errors.New("hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		var err error
		go func() { _, err = l.Enter(ctx, Ask{Owner: "a"}, nil) }()
		synctest.Wait()
		stays := arrive(t, l, Ask{Owner: "b"})
		cancel(hungUp)
		synctest.Wait()
		require.ErrorIs(t, err, hungUp)
		require.Equal(t, 1, l.Load().Queued)
		require.Equal(t, []int{2, 1}, stays.positions)
		held.Done(Outcome{})
		synctest.Wait()
		stays.call.Done(Outcome{})
		atRest(t, l)
	})
}

// TestToldMayPanic: what a caller holds goes back, whether it still waited or
// was let in meanwhile.
func TestToldMayPanic(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Settings{Keyless: true, Room: 1, Queue: 2}, nil)
			held := mustEnter(t, l, Ask{})
			require.PanicsWithValue(t, "told", func() {
				_, _ = l.Enter(t.Context(), Ask{}, func(int) {
					if late {
						held.Done(Outcome{})
					}
					panic("told")
				})
			})
			held.Done(Outcome{})
			atRest(t, l)
		})
	}
}

func TestAWaiterTakesTheKeyThatHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a", "b"), RoomPerKey: 1, Queue: 4}, nil)
		a, b := mustEnter(t, l, Ask{Model: "m"}), mustEnter(t, l, Ask{Model: "m"})
		forA := arrive(t, l, Ask{Owner: "x", Model: "m", Tried: []string{b.KeyID()}})
		forAny := arrive(t, l, Ask{Owner: "y", Model: "m"})
		b.Done(Outcome{})
		synctest.Wait()
		require.False(t, forA.over(), "it tried b")
		require.Equal(t, b.KeyID(), forAny.call.KeyID(), "whoever waits in front for another key does not matter")
		mustEnter(t, l, Ask{User: true}).Done(Outcome{})
		a.Done(Outcome{})
		synctest.Wait()
		require.Equal(t, a.KeyID(), forA.call.KeyID())
		forA.call.Done(Outcome{})
		forAny.call.Done(Outcome{})
		atRest(t, l)
	})
}

// TestARestThatEndsEndsAWait: nobody waits for a rest, but who waits for room of
// one key takes the other one when its rest is over.
func TestARestThatEndsEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a", "b"), RoomPerKey: 1, Queue: 4, Patience: time.Minute}, nil)
		a, b := mustEnter(t, l, Ask{Model: "m"}), mustEnter(t, l, Ask{Model: "m"})
		waits := arrive(t, l, Ask{Model: "m"})
		b.Done(Outcome{Kind: Limited, RetryAfter: 7 * time.Second})
		synctest.Wait()
		require.False(t, waits.over())
		begun := time.Now()
		for !waits.over() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		require.Equal(t, 7*time.Second, time.Since(begun))
		require.Equal(t, b.KeyID(), waits.call.KeyID())
		a.Done(Outcome{})
		waits.call.Done(Outcome{})
		atRest(t, l)
	})
}

func TestWaitersAreToldOfARest(t *testing.T) {
	full := Settings{Keys: named("a"), Room: 2, Queue: 8}
	for _, c := range []struct {
		name string
		rest func(t *testing.T, l *Line, held *Call)
		why  Reason
		user bool // refused, too
	}{
		{"the key is limited", func(_ *testing.T, _ *Line, held *Call) { held.Done(Outcome{Kind: Limited}) }, WhyLimited, false},
		{"the key is refused", func(_ *testing.T, _ *Line, held *Call) { held.Done(Outcome{Kind: Refused}) }, WhyRefused, false},
		{"another worker says so", func(_ *testing.T, l *Line, _ *Call) {
			l.Heard("w", []Rest{{For: time.Second, Why: WhyFailing}})
		}, WhyFailing, true},
		{"another worker says so of the key", func(_ *testing.T, l *Line, _ *Call) {
			l.Heard("w", []Rest{{Key: idOf("a"), For: time.Second, Why: WhySpent}})
		}, WhySpent, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(full, nil)
			held, other := mustEnter(t, l, Ask{Model: "m"}), mustEnter(t, l, Ask{Model: "m"})
			waits := arrive(t, l, Ask{Owner: "a", Model: "m"})
			user := arrive(t, l, Ask{Owner: "b", User: true})
			c.rest(t, l, held)
			synctest.Wait()
			var resting *Resting
			require.ErrorAs(t, waits.err, &resting, c.name)
			require.Equal(t, c.why, resting.Why, c.name)
			require.Positive(t, resting.After, c.name)
			if c.user {
				require.ErrorAs(t, user.err, &resting, c.name)
			}
			held.Done(Outcome{})
			other.Done(Outcome{})
			synctest.Wait()
			if !c.user {
				require.NoError(t, user.err, c.name)
				user.call.Done(Outcome{})
			}
			atRest(t, l)
		})
	}
}

// TestTheBreakerEmptiesTheQueue: at opening, and when the first of those who
// wait at a half-open one becomes the probe.
func TestTheBreakerEmptiesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := still(Settings{Keyless: true, Room: 6, Queue: 8}, nil)
		var calls []*Call
		for range 6 {
			calls = append(calls, mustEnter(t, l, Ask{}))
		}
		waits := arrive(t, l, Ask{})
		// A smaller room keeps the waiter out while the others end.
		l.Configure(Settings{Keyless: true, Room: 1, Queue: 8})
		for _, c := range calls[:5] {
			c.Done(Outcome{Kind: Failed})
		}
		synctest.Wait()
		require.Equal(t, &Resting{After: firstRest, Why: WhyFailing}, waits.err)

		time.Sleep(firstRest)
		first, second := arrive(t, l, Ask{}), arrive(t, l, Ask{})
		require.False(t, first.over())
		calls[5].Done(Outcome{Kind: Good})
		synctest.Wait()
		require.NoError(t, first.err)
		require.Equal(t, &Resting{After: probePause, Why: WhyFailing}, second.err)
		first.call.Done(Outcome{Kind: Good})
		require.Equal(t, Closed, l.Load().Breaker)
		atRest(t, l)
	})
}

// TestNobodyOvertakesAtTheEndOfARest: whoever comes first after it finds that
// those who waited have gone, though none of them woke up yet.
func TestNobodyOvertakesAtTheEndOfARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a", "b"), RoomPerKey: 1, Queue: 2}, nil)
		a, b := mustEnter(t, l, Ask{Model: "m"}), mustEnter(t, l, Ask{Model: "m"})
		_, asleep, err := l.enter(Ask{Model: "m"}, false)
		require.NoError(t, err)
		b.Done(Outcome{Kind: Limited, RetryAfter: time.Second})
		require.False(t, asleep.over())
		time.Sleep(time.Second)
		_, newcomer, err := l.enter(Ask{Model: "m"}, false)
		require.NoError(t, err)
		require.True(t, asleep.over())
		require.Equal(t, b.KeyID(), asleep.call.KeyID())
		require.False(t, newcomer.over())
		a.Done(Outcome{})
		require.Equal(t, a.KeyID(), newcomer.call.KeyID())
	})
}
