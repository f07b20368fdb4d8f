package limit

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLeases(t *testing.T) {
	l := NewLeases(3, 2)
	acquire := func(owner, address, session string, want Scope) {
		t.Helper()
		ok, scope := l.Acquire(owner, address, session)
		require.Equal(t, want == "", ok)
		require.Equal(t, want, scope)
	}
	acquire("1", alice, "s", "")
	acquire("1", alice, "s", "") // once more: the same slot
	acquire("1", bob, "t", "")   // and for whom it was first
	require.Equal(t, 1, l.Active())
	require.True(t, l.Connected(alice, "s"))
	require.False(t, l.Connected(bob, "t"))
	require.False(t, l.Connected(bob, "s"))

	acquire("2", alice, "s", "")
	acquire("3", alice, "s", ScopeAddress)
	acquire("4", bob, "", "")
	acquire("5", alice, "s", ScopeAll)
	require.False(t, l.Connected(bob, ""), "no session is never connected")
	require.ElementsMatch(t, []string{"1", "2", "4"}, l.Owners())
	require.EqualValues(t, 2, l.Rejected())

	require.True(t, released(l, "1"))
	require.False(t, released(l, "1"))
	require.False(t, released(l, "5"))
	require.True(t, l.Connected(alice, "s"), "by 2")
	require.True(t, released(l, "2"))
	require.False(t, l.Connected(alice, "s"))
	require.Equal(t, []string{"4"}, l.Owners())
	require.Equal(t, 3, l.Peak())
}

func TestLeaseBounds(t *testing.T) {
	l := NewLeases(5, 0)
	for i := range 5 {
		ok, _ := l.Acquire(fmt.Sprint(i), alice, "s")
		require.True(t, ok, "0 per address is no bound")
	}
	l.SetBounds(2, 1)
	require.Equal(t, 5, l.Active(), "nobody is thrown out")
	for i := range 4 {
		ok, scope := l.Acquire("x", alice, "s")
		require.False(t, ok)
		require.Equal(t, ScopeAll, scope)
		require.True(t, released(l, fmt.Sprint(i)))
	}
	ok, scope := l.Acquire("x", alice, "s")
	require.False(t, ok)
	require.Equal(t, ScopeAddress, scope)
	ok, _ = l.Acquire("x", bob, "s")
	require.True(t, ok)

	l.SetBounds(0, 0)
	ok, scope = l.Acquire("y", bob, "s")
	require.False(t, ok)
	require.Equal(t, ScopeAll, scope)
}

// TestLeasesAgainstModel acquires and releases at random, also twice, also for
// owners that hold nothing, and with bounds that change on the way: 0 leaked, 0
// over-admitted.
func TestLeasesAgainstModel(t *testing.T) {
	owners := rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6", "7", "8"})
	addresses := rapid.SampledFrom([]string{alice, bob, "203.0.113.9"})
	sessions := rapid.SampledFrom([]string{"s", "t"})
	rapid.Check(t, func(t *rapid.T) {
		slots, perAddress := 4, 2
		l, held, peak, rejected := NewLeases(slots, perAddress), map[string]visitor{}, 0, uint64(0)
		count := func(match func(visitor) bool) (n int) {
			for _, v := range held {
				n += btoi(match(v))
			}
			return n
		}
		acquire := func(t *rapid.T) {
			owner, v := owners.Draw(t, "owner"), visitor{addresses.Draw(t, "address"), sessions.Draw(t, "session")}
			ok, scope := l.Acquire(owner, v.address, v.session)
			var want Scope
			if _, again := held[owner]; !again {
				switch {
				case len(held) >= slots:
					want = ScopeAll
				case perAddress > 0 && count(func(h visitor) bool { return h.address == v.address }) >= perAddress:
					want = ScopeAddress
				default:
					held[owner] = v
					peak = max(peak, len(held))
				}
			}
			require.Equal(t, want == "", ok)
			require.Equal(t, want, scope)
			rejected += uint64(btoi(want != ""))
		}
		release := func(t *rapid.T) {
			owner := owners.Draw(t, "owner")
			_, want := held[owner]
			delete(held, owner)
			require.Equal(t, want, released(l, owner))
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": acquire, "acquire too": acquire, "release": release,
			"bounds": func(t *rapid.T) {
				slots = rapid.IntRange(0, 6).Draw(t, "slots")
				perAddress = rapid.IntRange(0, 3).Draw(t, "per address")
				l.SetBounds(slots, perAddress)
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(held), l.Active())
				require.Equal(t, peak, l.Peak())
				require.Equal(t, rejected, l.Rejected())
				require.Len(t, l.Owners(), len(held))
				for _, owner := range l.Owners() {
					require.True(t, l.Connected(held[owner].address, held[owner].session))
				}
			},
		})
		for _, owner := range l.Owners() {
			l.Release(owner)
		}
		require.Zero(t, l.Active())
		require.Empty(t, l.addresses)
		require.Empty(t, l.sessions)
	})
}

func released(l *Leases, owner string) bool {
	_, _, ok := l.Release(owner)
	return ok
}
