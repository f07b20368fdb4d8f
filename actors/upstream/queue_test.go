package upstream

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// waiting makes a waiter; its model is its name, its owner the first letter.
func waiting(name string) *waiter {
	return newWaiter(Ask{Owner: name[:1], Model: name}, 0, false)
}

func shown(ws []*waiter) string {
	var names []string
	for _, w := range ws {
		names = append(names, w.ask.Model)
	}
	return strings.Join(names, " ")
}

func TestOwnersAreServedInTurn(t *testing.T) {
	for _, c := range []struct{ come, served string }{
		{"", ""},
		{"a1 a2 a3", "a1 a2 a3"},
		{"a1 b1 c1", "a1 b1 c1"},
		{"a1 a2 a3 b1", "a1 b1 a2 a3"},
		{"a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3"},
		{"b1 a1 a2 b2 a3 c1", "b1 a1 c1 b2 a2 a3"},
	} {
		var q queue
		for _, name := range strings.Fields(c.come) {
			q.push(waiting(name))
		}
		require.Equal(t, c.served, shown(q.order()), c.come)
		var served []*waiter
		for q.len > 0 {
			w := q.order()[0]
			q.serve(w)
			served = append(served, w)
		}
		require.Equal(t, c.served, shown(served), "order tells the truth")
		require.Empty(t, q.owners)
	}
}

func TestLateOwnersDoNotStarveOthers(t *testing.T) {
	var q queue
	for _, name := range []string{"a1", "a2", "b1"} {
		q.push(waiting(name))
	}
	q.serve(q.order()[0])
	q.push(waiting("c1"))
	require.Equal(t, "b1 a2 c1", shown(q.order()), "a2 is a's first now")
	q.serve(q.order()[0])
	q.push(waiting("d1"))
	require.Equal(t, "a2 c1 d1", shown(q.order()))
}

func TestWhoLeavesTakesNoTurn(t *testing.T) {
	var q queue
	ws := map[string]*waiter{}
	for _, name := range []string{"a1", "a2", "b1", "b2"} {
		ws[name] = waiting(name)
		q.push(ws[name])
	}
	q.remove(ws["a1"])
	require.Equal(t, "a2 b1 b2", shown(q.order()))
	q.remove(ws["a2"])
	require.Equal(t, "b1 b2", shown(q.order()))
	q.serve(ws["b2"])
	require.Equal(t, "b1", shown(q.order()))
	q.remove(ws["b1"])
	require.Zero(t, q.len)
	require.Empty(t, q.owners)
}

// TestQueueAgainstModel compares with the plain rule: the one with the fewest of
// its own in front of it goes first, within equals whose owner's turn is first.
func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var turns []string // owners, whose turn is next
		all := map[string][]*waiter{}
		simulate := func() (out []*waiter) {
			turns, left := slices.Clone(turns), map[string]int{}
			for len(turns) > 0 {
				o := turns[0]
				out = append(out, all[o][left[o]])
				left[o]++
				turns = turns[1:]
				if left[o] < len(all[o]) {
					turns = append(turns, o)
				}
			}
			return out
		}
		drop := func(w *waiter) {
			o := w.ask.Owner
			all[o] = slices.DeleteFunc(slices.Clone(all[o]), func(x *waiter) bool { return x == w })
			if len(all[o]) == 0 {
				turns = slices.DeleteFunc(turns, func(x string) bool { return x == o })
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			order := simulate()
			step := rapid.IntRange(0, 4).Draw(t, "step")
			switch {
			case step <= 2 || len(order) == 0:
				w := waiting(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "owner"))
				if len(all[w.ask.Owner]) == 0 {
					turns = append(turns, w.ask.Owner)
				}
				all[w.ask.Owner] = append(all[w.ask.Owner], w)
				q.push(w)
			case step == 3:
				w := rapid.SampledFrom(order).Draw(t, "leaves")
				drop(w)
				q.remove(w)
			default:
				w := rapid.SampledFrom(order).Draw(t, "served")
				drop(w)
				q.serve(w)
				if i := slices.Index(turns, w.ask.Owner); i >= 0 {
					turns = append(slices.Delete(turns, i, i+1), w.ask.Owner)
				}
			}
			want := simulate()
			got := q.order()
			require.Equal(t, len(want), q.len)
			require.Len(t, got, len(want))
			for i := range want {
				require.Same(t, want[i], got[i])
			}
		}
	})
}
