package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shown is a run that goes on, with the turns and harms of some evidence.
func shown(e *evidence) *round {
	b := newBook(time.Second)
	b.turns = e.Turns
	return &round{place: &place{rules: e.Rules}, plan: e.Plan, book: b, began: e.Began, harms: e.Harms}
}

func TestWhoIsTouchedIsShownWhileItGoesOn(t *testing.T) {
	e := told("worker-1", 800*time.Millisecond)
	e.Harms[0].Who = TouchesAll // the vendor of this test is nobody's
	r := shown(e)
	w := newWatch(r)
	end := e.Turns[0].Frames[len(e.Turns[0].Frames)-1]
	e.Turns[0].Frames, e.Turns[0].Done = e.Turns[0].Frames[:3], false
	done, last := w.look()
	require.Equal(t, []LiveFault{{Label: "kill worker-1", Expected: 1}}, done)
	require.Empty(t, last)

	e.Turns[0].Frames, e.Turns[0].Done = append(e.Turns[0].Frames, end), true
	for range 2 { // it is shown once
		done, last = w.look()
		require.Equal(t, []LiveFault{{Label: "kill worker-1", Touched: 1, Expected: 1}}, done)
		require.Equal(t, []LiveTouch{{Stream: 1, What: TouchError, Fault: "kill worker-1"}}, last)
	}
	require.Len(t, w.open, 1, "a fault may be known a moment later")
	w.ended[e.Turns[0]] = time.Now().Add(-time.Minute)
	w.look()
	require.Empty(t, w.open)
	require.Empty(t, w.ended)
	done, _ = w.look()
	require.Equal(t, 1, done[0].Touched, "what was known stays")
}

func TestATouchOfNobodyKnownIsShownSo(t *testing.T) {
	e := told("worker-1", 800*time.Millisecond)
	e.Harms[0].Who = TouchesNobody
	done, last := newWatch(shown(e)).look()
	require.Equal(t, []LiveFault{{Label: "kill worker-1"}}, done)
	require.Equal(t, "1 error by nothing that was done", last[0].String())
}

func TestTheLastOnesAreShown(t *testing.T) {
	e := told("worker-1", 800*time.Millisecond)
	first := e.Turns[0]
	for n := 2; n <= 9; n++ {
		one := *first
		one.N = n
		e.Turns = append(e.Turns, &one)
		h := *e.Harms[0]
		h.ID = "f" + string(rune('0'+n))
		e.Harms = append(e.Harms, &h)
	}
	done, last := newWatch(shown(e)).look()
	require.Len(t, done, liveFaults)
	require.Len(t, last, liveTouch)
	require.Equal(t, 9, last[0].Stream)
	line := Live{Done: done, Touched: last}.String()
	require.Contains(t, line, "kill worker-1 touched ")
	require.Contains(t, line, "last 9 error by ")
}
