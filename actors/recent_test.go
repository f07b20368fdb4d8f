package actors

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecent(t *testing.T) {
	r := newRecent[int, string](3)
	for i, v := range []string{"a", "b", "c"} {
		r.put(i, v)
	}
	r.put(1, "B")
	for k, want := range []string{"a", "B", "c"} {
		got, ok := r.get(k)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for i := range 10_000 {
		r.put(10+i, "later")
	}
	require.Len(t, r.kept, 3)
	require.Len(t, r.order, 3)
	for _, old := range []int{0, 1, 2, 10, 10_006} {
		_, ok := r.get(old)
		require.False(t, ok, old)
	}
	for _, kept := range []int{10_007, 10_008, 10_009} {
		_, ok := r.get(kept)
		require.True(t, ok, kept)
	}
}
