package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := New(Settings{}, nil)
		require.ErrorIs(t, refused(t, none, Ask{}), ErrNoKey)
		require.ErrorIs(t, refused(t, none, Ask{Tried: []string{"x"}}), ErrNoKey)
		c := mustEnter(t, none, Ask{User: true, Tried: []string{""}})
		require.True(t, c.Key().Empty())
		require.Empty(t, c.KeyID())
		c.Done(Outcome{Kind: Good})
		_, _, resting := none.Resting()
		require.False(t, resting, "users bring theirs")
		atRest(t, none)

		local := New(Settings{Keyless: true, Room: 1}, nil)
		c = mustEnter(t, local, Ask{Tried: []string{""}})
		require.True(t, c.Key().Empty())
		require.Empty(t, c.KeyID())
		require.ErrorIs(t, refused(t, local, Ask{}), ErrFull, "without a queue nobody waits")
		require.ErrorIs(t, refused(t, local, Ask{User: true}), ErrFull, "room is for everybody")
		c.Done(Outcome{})
		c.Done(Outcome{Kind: Refused}) // only the first counts
		atRest(t, local)
		mustEnter(t, local, Ask{}).Done(Outcome{})

		two := New(Settings{Keys: named("a", "b"), RoomPerKey: 1}, nil)
		a := mustEnter(t, two, Ask{})
		b := mustEnter(t, two, Ask{})
		require.Equal(t, "a", string(a.Key().Reveal()))
		require.Equal(t, idOf("b"), b.KeyID())
		require.ErrorIs(t, refused(t, two, Ask{}), ErrFull)
		mustEnter(t, two, Ask{User: true}).Done(Outcome{}) // takes no key's room
		require.ErrorIs(t, refused(t, two, Ask{Tried: []string{a.KeyID(), b.KeyID()}}), ErrTriedAll)
		a.Done(Outcome{})
		require.ErrorIs(t, refused(t, two, Ask{Tried: []string{a.KeyID()}}), ErrFull)
		b.Done(Outcome{})
		atRest(t, two)

		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		_, err := two.Enter(ctx, Ask{}, nil)
		require.ErrorIs(t, err, gone)
	})
}

func TestLimitedIsPerModel(t *testing.T) {
	for _, c := range []struct {
		said, rests time.Duration
	}{
		{0, limitedRest}, {-1, limitedRest}, {20 * time.Second, 20 * time.Second}, {48 * time.Hour, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Settings{Keys: named("a", "b")}, nil)
			for range 2 {
				mustEnter(t, l, Ask{Model: "tiny"}).Done(Outcome{Kind: Limited, RetryAfter: c.said})
			}
			require.Equal(t, &Resting{After: c.rests, Why: WhyLimited}, refused(t, l, Ask{Model: "tiny"}))
			ends(t, l, Good, Good)
			mustEnter(t, l, Ask{Model: "tiny", User: true}).Done(Outcome{Kind: Limited})
			_, _, resting := l.Resting()
			require.False(t, resting)
			require.Equal(t, Load{Breaker: Closed, Limited: 2}, l.Load())

			time.Sleep(c.rests - 1)
			refused(t, l, Ask{Model: "tiny"})
			time.Sleep(time.Nanosecond)
			mustEnter(t, l, Ask{Model: "tiny"}).Done(Outcome{})
			require.Empty(t, l.Own())
		})
	}
}

func TestAKeyThatIsSpentOrRefusedRests(t *testing.T) {
	tests := map[Kind]struct {
		why  Reason
		rest time.Duration
	}{Spent: {WhySpent, spentRest}, Refused: {WhyRefused, refusedRest}}
	for kind, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			l := New(Settings{Keys: named("a", "b")}, nil)
			a := mustEnter(t, l, Ask{Model: "m"})
			a.Done(Outcome{Kind: kind, RetryAfter: time.Second})
			require.Equal(t, []Rest{{Key: a.KeyID(), For: tt.rest, Why: tt.why}}, l.Own())
			for range 4 {
				c := mustEnter(t, l, Ask{Model: "n"})
				require.Equal(t, idOf("b"), c.KeyID())
				c.Done(Outcome{Kind: Good})
			}
			require.Equal(t, 1, l.Load().Ready)
			time.Sleep(time.Second)
			mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: kind})
			after, reason, resting := l.Resting()
			require.True(t, resting)
			require.Equal(t, tt.rest-time.Second, after, "the first to be back counts")
			require.Equal(t, tt.why, reason)
			require.Equal(t, &Resting{After: after, Why: tt.why}, refused(t, l, Ask{Model: "m"}))
			load := l.Load()
			require.Equal(t, 2, load.Spent+load.Refused)
			require.Equal(t, kind == Refused, load.Refused == 2)

			mustEnter(t, l, Ask{User: true}).Done(Outcome{Kind: kind}) // never a key's
			time.Sleep(tt.rest)
			require.Equal(t, 2, l.Load().Ready)
		})
	}
}

// TestAKeylessProviderRests: a local server that says 429 is obeyed, too, and a
// user's own key has nothing to do with it.
func TestAKeylessProviderRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, other := New(Settings{Keyless: true}, nil), New(Settings{Keyless: true}, nil)
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Refused})
		require.Equal(t, &Resting{After: refusedRest, Why: WhyRefused}, refused(t, l, Ask{Model: "m"}))
		other.Heard("l", l.Own())
		refused(t, other, Ask{Model: "m"})
		mustEnter(t, l, Ask{User: true}).Done(Outcome{})
		mustEnter(t, other, Ask{User: true}).Done(Outcome{})
	})
}

func TestTheBreakerOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := still(Settings{Keys: named("a")}, nil)
		for range tripFailures {
			mustEnter(t, l, Ask{User: true}).Done(Outcome{Kind: Failed})
		}
		for _, a := range []Ask{{}, {User: true}} {
			require.Equal(t, &Resting{After: firstRest, Why: WhyFailing}, refused(t, l, a))
		}
		after, why, resting := l.Resting()
		require.Equal(t, firstRest, after)
		require.Equal(t, WhyFailing, why)
		require.True(t, resting)

		time.Sleep(firstRest)
		require.Equal(t, HalfOpen, l.Load().Breaker)
		for _, kind := range []Kind{Neutral, Limited, Spent} {
			probe := mustEnter(t, l, Ask{User: true})
			refused(t, l, Ask{})
			probe.Done(Outcome{Kind: kind})
		}
		mustEnter(t, l, Ask{}).Done(Outcome{Kind: Failed})
		require.Equal(t, &Resting{After: 2 * firstRest, Why: WhyFailing}, refused(t, l, Ask{}))
		time.Sleep(2 * firstRest)
		ends(t, l, Good, Failed, Failed, Failed, Failed, Good)
		require.Equal(t, Closed, l.Load().Breaker)
	})
}

func TestAnsweredLetsOthersInBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := still(Settings{Keys: named("a")}, nil)
		trip(t, l)
		time.Sleep(firstRest)
		probe := mustEnter(t, l, Ask{})
		refused(t, l, Ask{})
		probe.Answered()
		probe.Answered()
		ends(t, l, Good)
		require.Equal(t, 1, l.Load().InFlight)
		probe.Done(Outcome{Kind: Failed})
		probe.Answered()
		require.Equal(t, Closed, l.Load().Breaker)
		atRest(t, l)
	})
}

func TestRetriesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keyless: true}, nil)
		for range 50 {
			ends(t, l, Good)
		}
		for range 5 {
			require.True(t, l.Retry())
		}
		require.False(t, l.Retry())
		time.Sleep(span + slot)
		for range retriesAlways {
			require.True(t, l.Retry())
		}
		require.False(t, l.Retry())
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		"upstream: the provider rests (failing): ask again in 2s":                            &Resting{After: 2 * time.Second, Why: WhyFailing},
		"upstream: every key that may be used rests (limited): ask again in 1m0s":            &Resting{After: time.Minute, Why: WhyLimited},
		"upstream: the provider has no key: configure one, or bring your own":                ErrNoKey,
		"upstream: left before there was room: context canceled":                             leftNow(t),
		"upstream: every key of the provider failed for this question: try another provider": ErrTriedAll,
	} {
		require.EqualError(t, err, want)
	}
}

func leftNow(t *testing.T) error {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return left(ctx)
}

// A key that was refused is tried by one call before all others may have it.
func TestAKeyThatRestedIsTriedByOneFirst(t *testing.T) {
	for name, good := range map[string]func(*Call){
		"its first word": func(c *Call) { c.Answered() },
		"its end":        func(c *Call) { c.Done(Outcome{Kind: Good}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Settings{Keys: named("a")}, nil)
				mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Refused})
				time.Sleep(refusedRest)
				probe := mustEnter(t, l, Ask{Model: "m"})
				require.Equal(t, &Resting{After: probePause, Why: WhyRefused}, refused(t, l, Ask{Model: "n"}))
				mustEnter(t, l, Ask{User: true}).Done(Outcome{Kind: Good}) // says nothing of the key
				refused(t, l, Ask{Model: "n"})
				probe.Done(Outcome{Kind: Neutral})
				probe = mustEnter(t, l, Ask{Model: "m"})
				refused(t, l, Ask{Model: "m"})
				good(probe)
				for range 3 {
					mustEnter(t, l, Ask{Model: "m"})
				}
			})
		})
	}
}

// The same after a rest that was only heard of, and never after a reload.
func TestAKeyThatOthersSawRefusedIsTriedByOneFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a")}, nil)
		l.Heard("w", []Rest{{Key: idOf("a"), For: time.Second, Why: WhyRefused}})
		time.Sleep(time.Second + margin)
		mustEnter(t, l, Ask{Model: "m"})
		refused(t, l, Ask{Model: "m"})
		l.Configure(Settings{Keys: named("a")})
		mustEnter(t, l, Ask{Model: "m"})
	})
}
