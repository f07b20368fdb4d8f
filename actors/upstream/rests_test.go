package upstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRestsKeepTheLongest(t *testing.T) {
	var r rests
	m := mark{key: "k", model: "m"}
	require.Zero(t, r.find(0, m))
	require.True(t, r.put(0, m, claim{"a", 5, WhyLimited}))
	require.False(t, r.put(0, m, claim{"a", 5, WhyLimited}), "no news")
	require.False(t, r.put(0, m, claim{"a", 4, WhySpent}), "no shorter")
	require.True(t, r.put(0, m, claim{"a", 6, WhySpent}))
	require.True(t, r.put(0, m, claim{"b", 3, WhyLimited}), "everyone has a word")
	require.False(t, r.put(7, m, claim{"c", 7, WhyLimited}), "over before it began")
	require.Equal(t, 2, r.count)

	require.Equal(t, claim{"a", 6, WhySpent}, r.find(0, m))
	require.Zero(t, r.find(0, mark{key: "k"}))
	require.Zero(t, r.find(0, mark{key: "k", model: "n"}))
	require.Zero(t, r.find(0, mark{provider: true, key: "k", model: "m"}))
	require.Zero(t, r.find(6, m), "over")

	r.drop(func(_ mark, c claim) bool { return c.from == "a" })
	require.Equal(t, claim{"b", 3, WhyLimited}, r.find(0, m))
	r.drop(func(mark, claim) bool { return true })
	require.Zero(t, r.count)
	require.Empty(t, r.of)
}

func TestRestsStayInBound(t *testing.T) {
	var r rests
	at := func(i int) mark { return mark{key: "k", model: fmt.Sprint(i)} }
	for i := range 3 * maxRests {
		require.True(t, r.put(0, at(i), claim{until: time.Duration(i + 1)}))
		require.LessOrEqual(t, r.count, maxRests)
	}
	require.Len(t, r.of, maxRests)
	require.Zero(t, r.find(0, at(2*maxRests-1)), "what ends first goes")
	require.NotZero(t, r.find(0, at(2*maxRests)))

	now := time.Duration(3*maxRests - 1)
	require.True(t, r.put(now, at(-1), claim{until: never}))
	require.Equal(t, 2, r.count, "what is over goes before")
	require.NotZero(t, r.find(now, at(3*maxRests-1)))
}
