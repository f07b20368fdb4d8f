package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSchedules(t *testing.T) {
	even := newSchedule(100, false, 1)
	for i := range 10 {
		require.InDelta(t, int64(i+1)*int64(10*time.Millisecond), even.next(), 10)
	}
	var gaps []int64
	s, last := newSchedule(100, true, 7), int64(0)
	for range 10_000 {
		moment := s.next()
		require.GreaterOrEqual(t, moment, last)
		gaps = append(gaps, moment-last)
		last = moment
	}
	require.InEpsilon(t, float64(100*time.Second), float64(last), 0.05, "the rate holds")
	longer := 0
	for _, g := range gaps {
		if g > int64(10*time.Millisecond) {
			longer++
		}
	}
	require.InEpsilon(t, 0.3679, float64(longer)/10_000, 0.05, "gaps are exponential: 1/e is longer than the mean")

	again, other := newSchedule(100, true, 7), newSchedule(100, true, 8)
	first := newSchedule(100, true, 7).next()
	require.Equal(t, first, again.next())
	require.NotEqual(t, first, other.next())
}

func TestDeskServesWhoWaitsLongest(t *testing.T) {
	type served struct {
		room   string
		due    int64
		waited bool
	}
	var got []served
	d := &desk[string]{start: func(f func()) { f() }, serve: func(room string, due int64, waited bool) { got = append(got, served{room, due, waited}) }}
	d.free("a")
	d.free("b")
	for due := range int64(5) {
		d.arrive(due)
	}
	require.Equal(t, 3, d.stranded())
	d.free("b")
	d.free("c")
	require.Equal(t, []served{{"a", 0, false}, {"b", 1, false}, {"b", 2, true}, {"c", 3, true}}, got)
	require.Equal(t, 1, d.stranded())
}

func TestQueueGivesItsFrontBack(t *testing.T) {
	var q queue[int]
	next := 0
	for i := range 10_000 {
		q.push(i)
		if i >= 100 {
			got, ok := q.pop()
			require.True(t, ok)
			require.Equal(t, next, got)
			next++
		}
	}
	require.Equal(t, 100, q.size())
	require.Less(t, cap(q.items), 2000)
}
