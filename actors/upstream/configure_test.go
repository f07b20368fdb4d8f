package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigureRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Settings{Keys: named("a"), Room: 2, Queue: 4}
		l := New(s, nil)
		calls := []*Call{mustEnter(t, l, Ask{}), mustEnter(t, l, Ask{})}
		first, second := arrive(t, l, Ask{}), arrive(t, l, Ask{})
		s.Room, s.Queue = 1, 1
		l.Configure(s)
		calls[0].Done(Outcome{})
		synctest.Wait()
		require.False(t, first.over(), "a shrunk room lets nobody in until enough have left")
		require.False(t, second.over(), "whoever waits stays, beyond a shorter queue, too")
		require.ErrorIs(t, refused(t, l, Ask{}), ErrFull)
		s.Room = 2
		l.Configure(s)
		synctest.Wait()
		require.True(t, first.over())
		require.False(t, second.over())
		s.Room, s.RoomPerKey = 0, 2
		l.Configure(s)
		synctest.Wait()
		require.False(t, second.over())
		s.Keys = named("a", "b")
		l.Configure(s)
		synctest.Wait()
		require.Equal(t, idOf("b"), second.call.KeyID())
		for _, c := range []*Call{calls[1], first.call, second.call} {
			c.Done(Outcome{})
		}
		atRest(t, l)
	})
}

func TestConfigurePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Settings{Keyless: true, Room: 1, Queue: 4}
		l := New(s, nil)
		held := mustEnter(t, l, Ask{})
		waits := arrive(t, l, Ask{})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.False(t, waits.over())
		s.Patience = time.Hour + time.Second
		l.Configure(s)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, waits.err, ErrPatience)

		waits = arrive(t, l, Ask{})
		s.Patience = 0
		l.Configure(s)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.False(t, waits.over())
		l.Configure(Settings{Room: 1})
		synctest.Wait()
		require.ErrorIs(t, waits.err, ErrNoKey)
		held.Done(Outcome{})
		atRest(t, l)
	})
}

func TestConfigureKeepsCountsAndLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		s := Settings{Keys: named("a", "b", "c"), RoomPerKey: 1}
		l := New(s, func() { told++ })
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Limited, RetryAfter: time.Hour})
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Refused})
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Spent})
		l.Heard("w", []Rest{{Key: idOf("b"), For: time.Hour, Why: WhyRefused}, {Key: idOf("a"), Model: "n", For: time.Hour, Why: WhyLimited}})
		require.Len(t, l.Own(), 3)
		require.Equal(t, 3, told)
		l.Configure(s)
		require.Equal(t, []Rest{{Key: idOf("a"), Model: "m", For: time.Hour, Why: WhyLimited}}, l.Own())
		require.Equal(t, 4, told)
		require.Equal(t, Load{Breaker: Closed, Ready: 2, Limited: 1}, l.Load())
		require.NotZero(t, l.heard.find(l.now(), mark{key: idOf("a"), model: "n"}))

		held := mustEnter(t, l, Ask{Model: "x", Tried: []string{idOf("b"), idOf("c")}})
		l.Configure(Settings{Keys: named("b")})
		require.Empty(t, l.Own(), "rests of keys that left are nobody's")
		require.Equal(t, 5, told)
		l.Configure(Settings{Keys: named("a"), RoomPerKey: 1})
		require.ErrorIs(t, refused(t, l, Ask{Model: "m"}), ErrFull, "its call from before is still under way")
		l.Configure(Settings{Keys: named("b")})
		held.Done(Outcome{Kind: Refused})
		require.Empty(t, l.Own(), "nobody needs to know")
		require.Equal(t, 5, told)
		atRest(t, l)
	})
}
