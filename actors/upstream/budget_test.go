package upstream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBudget(t *testing.T) {
	for _, c := range []struct {
		calls, want int
	}{
		{0, 3}, {1, 3}, {39, 3}, {40, 4}, {49, 4}, {1000, 100},
	} {
		var b budget
		for range c.calls {
			b.entered(time.Second)
		}
		got := 0
		for b.take(2 * time.Second) {
			got++
		}
		require.Equal(t, c.want, got, "%d calls", c.calls)
	}
}

func TestBudgetComesBack(t *testing.T) {
	var b budget
	for range 3 {
		require.True(t, b.take(0))
	}
	require.False(t, b.take(span), "three in any ten seconds")
	require.True(t, b.take(span+slot))
}

func TestBudgetForgetsOldCalls(t *testing.T) {
	var b budget
	for range 100 {
		b.entered(0)
	}
	for range 5 {
		require.True(t, b.take(span))
	}
	require.False(t, b.take(span+slot), "the hundred calls are too long ago")
}
