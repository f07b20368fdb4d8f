package limit

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// guest is an owner of tests.
type guest struct{ name, address, session string }

func (g guest) Place() (address, session string) { return g.address, g.session }

func TestLeases(t *testing.T) {
	l := NewLeases[guest](3, 2)
	acquire := func(name, address, session string, want Scope) guest {
		t.Helper()
		owner := guest{name, address, session}
		ok, scope := l.Acquire(owner)
		require.Equal(t, want == "", ok)
		require.Equal(t, want, scope)
		return owner
	}
	first := acquire("1", alice, "s", "")
	acquire("1", alice, "s", "") // once more: the same slot
	require.Equal(t, 1, l.Active())
	require.True(t, l.Connected(alice, "s"))
	require.False(t, l.Connected(bob, "t"))
	require.False(t, l.Connected(bob, "s"))

	second := acquire("2", alice, "s", "")
	acquire("3", alice, "s", ScopeAddress)
	fourth := acquire("4", bob, "", "")
	fifth := acquire("5", alice, "s", ScopeAll)
	require.False(t, l.Connected(bob, ""), "no session is never connected")
	require.ElementsMatch(t, []guest{first, second, fourth}, l.Owners())
	require.EqualValues(t, 2, l.Rejected())

	require.True(t, l.Release(first))
	require.False(t, l.Release(first))
	require.False(t, l.Release(fifth))
	require.True(t, l.Connected(alice, "s"), "by 2")
	require.True(t, l.Release(second))
	require.False(t, l.Connected(alice, "s"))
	require.Equal(t, []guest{fourth}, l.Owners())
	require.Equal(t, 3, l.Peak())
}

func TestLeaseBounds(t *testing.T) {
	l := NewLeases[guest](5, 0)
	x := guest{"x", alice, "s"}
	for i := range 5 {
		ok, _ := l.Acquire(guest{fmt.Sprint(i), alice, "s"})
		require.True(t, ok, "0 per address is no bound")
	}
	l.SetBounds(2, 1)
	require.Equal(t, 5, l.Active(), "nobody is thrown out")
	for i := range 4 {
		ok, scope := l.Acquire(x)
		require.False(t, ok)
		require.Equal(t, ScopeAll, scope)
		require.True(t, l.Release(guest{fmt.Sprint(i), alice, "s"}))
	}
	ok, scope := l.Acquire(x)
	require.False(t, ok)
	require.Equal(t, ScopeAddress, scope)
	ok, _ = l.Acquire(guest{"x", bob, "s"})
	require.True(t, ok)

	l.SetBounds(0, 0)
	ok, scope = l.Acquire(guest{"y", bob, "s"})
	require.False(t, ok)
	require.Equal(t, ScopeAll, scope)
}

// TestLeasesAgainstModel acquires and releases at random, also twice, also for
// owners that hold nothing, and with bounds that change on the way: 0 leaked, 0
// over-admitted.
func TestLeasesAgainstModel(t *testing.T) {
	var guests []guest
	for i := range 8 {
		guests = append(guests, guest{fmt.Sprint(i), []string{alice, bob, "203.0.113.9"}[i%3], []string{"s", "t"}[i%2]})
	}
	owners := rapid.SampledFrom(guests)
	rapid.Check(t, func(t *rapid.T) {
		slots, perAddress := 4, 2
		l, held, peak, rejected := NewLeases[guest](slots, perAddress), map[guest]bool{}, 0, uint64(0)
		at := func(address string) (n int) {
			for h := range held {
				n += btoi(h.address == address)
			}
			return n
		}
		acquire := func(t *rapid.T) {
			owner := owners.Draw(t, "owner")
			ok, scope := l.Acquire(owner)
			var want Scope
			if !held[owner] {
				switch {
				case len(held) >= slots:
					want = ScopeAll
				case perAddress > 0 && at(owner.address) >= perAddress:
					want = ScopeAddress
				default:
					held[owner] = true
					peak = max(peak, len(held))
				}
			}
			require.Equal(t, want == "", ok)
			require.Equal(t, want, scope)
			rejected += uint64(btoi(want != ""))
		}
		release := func(t *rapid.T) {
			owner := owners.Draw(t, "owner")
			want := held[owner]
			delete(held, owner)
			require.Equal(t, want, l.Release(owner))
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
				connected := map[guest]bool{}
				for _, owner := range l.Owners() {
					require.True(t, held[owner])
					connected[guest{"", owner.address, owner.session}] = true
				}
				for _, g := range guests {
					require.Equal(t, connected[guest{"", g.address, g.session}], l.Connected(g.address, g.session))
				}
			},
		})
		for _, owner := range l.Owners() {
			l.Release(owner)
		}
		require.Zero(t, l.Active())
		require.Empty(t, l.held)
	})
}
