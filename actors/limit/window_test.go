package limit

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func stampsOf(w *window) []int64 {
	var all []int64
	for i := range w.len() {
		all = append(all, w.at(i))
	}
	return all
}

func TestEntryBytes(t *testing.T) {
	require.EqualValues(t, entryBytes, unsafe.Sizeof(entry{}))
	require.EqualValues(t, ringHeader, unsafe.Sizeof(ring{}))
}

func TestWindowCostsWhatItHolds(t *testing.T) {
	w := window{one: none}
	w.push(1)
	require.Zero(t, w.bytes(), "one event needs no ring")
	w.push(2)
	require.Equal(t, ringHeader+4*stampBytes, w.bytes())
	for i := range int64(3) {
		w.push(3 + i)
	}
	require.Equal(t, ringHeader+8*stampBytes, w.bytes())

	w.expire(104, 100)
	require.Equal(t, []int64{5}, stampsOf(&w))
	w.trim()
	require.Zero(t, w.bytes())
	require.Equal(t, []int64{5}, stampsOf(&w))
	w.expire(105, 100)
	w.trim()
	require.Empty(t, stampsOf(&w))
}

// A window does what a sorted list of stamps does.
func TestWindowAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{one: none}
		var list []int64
		var now int64
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				now += rapid.Int64Range(0, 3).Draw(t, "later")
				w.push(now)
				list = append(list, now)
			},
			"remove": func(t *rapid.T) {
				at := rapid.Int64Range(now-10, now+1).Draw(t, "at")
				w.remove(at)
				for i := len(list) - 1; i >= 0; i-- {
					if list[i] <= at {
						list = slices.Delete(list, i, i+1)
						break
					}
				}
			},
			"expire": func(t *rapid.T) {
				now += rapid.Int64Range(-4, 4).Draw(t, "later")
				keep := rapid.Int64Range(1, 20).Draw(t, "keep")
				w.expire(now, keep)
				for i := range list {
					list[i] = min(list[i], now)
				}
				list = slices.DeleteFunc(list, func(s int64) bool { return now-s >= keep })
			},
			"trim": func(*rapid.T) { w.trim() },
			"pop": func(t *rapid.T) {
				if len(list) == 0 {
					t.Skip("nothing to pop")
				}
				w.popOldest()
				list = list[1:]
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(list), w.len())
				if len(list) > 0 {
					require.Equal(t, list, stampsOf(&w))
				}
				if len(list) > 0 { // pushes of the next step are not before the newest
					now = max(now, list[len(list)-1])
				}
			},
		})
	})
}
