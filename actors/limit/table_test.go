package limit

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// order lists the keys from the one touched longest ago, checking on the way
// that the table agrees with itself.
func order(t require.TestingT, tb *table) []key {
	var keys []key
	rings, cells, used := 0, 0, 0
	older := nowhere
	for slot := tb.oldest; slot != nowhere; slot = tb.entries.at(slot).newer {
		e := tb.entries.at(slot)
		require.Equal(t, older, e.older)
		require.Equal(t, slot, tb.index.find(&tb.entries, e.key))
		require.Less(t, len(keys), tb.len(), "the order is a loop")
		keys = append(keys, e.key)
		rings += e.window.bytes()
		older = slot
	}
	for _, s := range tb.index.shards {
		cells += len(s.cells)
		used += s.used
	}
	require.Equal(t, older, tb.newest)
	require.Len(t, keys, tb.len())
	require.Equal(t, rings, tb.rings)
	require.Equal(t, cells, tb.index.cells)
	require.Equal(t, tb.len(), used)
	require.LessOrEqual(t, len(tb.entries.chunks)*chunkSize, tb.len()+2*chunkSize)
	return keys
}

// A table does what a list of keys in the order of touching does. The keys
// collide in every bit that the index looks at first.
func TestTableAgainstList(t *testing.T) {
	const maxKeys = 40
	rapid.Check(t, func(t *rapid.T) {
		tb := newTable(maxKeys, 1<<20)
		var list []key
		draw := func(t *rapid.T) key {
			n := rapid.Uint64Range(0, 60).Draw(t, "key")
			return key{n / 4 * 7, n % 4 * indexShards}
		}
		add := func(t *rapid.T) {
			k := draw(t)
			e := tb.find(k)
			if at := slices.Index(list, k); at >= 0 {
				require.NotNil(t, e)
				list = slices.Delete(list, at, at+1)
			} else {
				require.Nil(t, e)
				e = tb.insert(k, asks)
			}
			tb.push(e, 0)
			list = append(list, k)
			list = list[max(0, len(list)-maxKeys):]
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": add, "add too": add, "and add": add,
			"forget": func(t *rapid.T) {
				k := draw(t)
				tb.forget(k)
				list = slices.DeleteFunc(list, func(l key) bool { return l == k })
			},
			"sweep": func(t *rapid.T) {
				tb.cursor = rapid.Uint32Range(0, tb.entries.n).Draw(t, "cursor")
				tb.sweep(0, rapid.IntRange(0, 10).Draw(t, "steps"), func(kind) int64 { return 1 })
			},
			"": func(t *rapid.T) {
				if keys := order(t, &tb); len(list) > 0 {
					require.Equal(t, list, keys)
				} else {
					require.Empty(t, keys)
				}
			},
		})
	})
}

func TestTableGivesMemoryBack(t *testing.T) {
	tb := newTable(100_000, 1<<30)
	const keys = 20_000
	for i := range uint64(keys) {
		e := tb.insert(tb.hasher.key(asks, "192.0.2.1", string(rune(i))), asks)
		tb.push(e, 0)
		tb.push(e, int64(i%2))
	}
	require.Equal(t, keys, tb.len())
	full := tb.bytes()

	sweep := func(now int64) {
		for range keys/sweepSteps + 1 {
			tb.sweep(now, sweepSteps, func(kind) int64 { return 10 })
		}
	}
	sweep(10)
	require.Equal(t, keys/2, tb.len(), "those with a later stamp stay")
	require.Zero(t, tb.rings, "with one stamp and no ring")
	order(t, &tb)
	sweep(11)
	require.Zero(t, tb.len())
	require.Less(t, tb.bytes(), full/100)
	require.Len(t, tb.entries.chunks, 1)
	order(t, &tb)
}

func TestTableBoundOfBytes(t *testing.T) {
	const bound = 64 << 10
	tb := newTable(1_000_000, bound)
	for i := range 10_000 {
		k := tb.hasher.key(asks, "192.0.2.1", string(rune(i%500)))
		e := tb.find(k)
		if e == nil {
			e = tb.insert(k, asks)
		}
		tb.push(e, int64(i))
		tb.fit()
		require.LessOrEqual(t, tb.bytes(), bound)
	}
	require.Greater(t, tb.bytes(), bound/2)
	order(t, &tb)
}

func TestKeysAreUnambiguous(t *testing.T) {
	h := newHasher()
	seen := map[key]identity{}
	for _, n := range []identity{
		{"a", "bc", asks},
		{"ab", "c", asks},
		{"abc", "", asks},
		{"", "abc", asks},
		{"abc", "", connects},
		{"abc", "", opens},
		{"abc", "", visits},
		{"a\x00b", "c", asks},
		{"a", "\x00bc", asks},
	} {
		k := h.key(n.kind, n.address, n.session)
		require.NotContains(t, seen, k, "%+v and %+v", n, seen[k])
		require.Equal(t, k, h.key(n.kind, n.address, n.session))
		require.NotEqual(t, k[0], k[1])
		seen[k] = n
	}
	other := newHasher()
	require.NotEqual(t, h.key(asks, "a", "b"), other.key(asks, "a", "b"), "every table has seeds of its own")
}
