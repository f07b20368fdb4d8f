package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A call that began before its key rested says nothing about the key: the one
// that tries it must not wait for the end of a long answer.
func TestTrialBesideAnOlderCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a")}, nil)
		old := mustEnter(t, l, Ask{Model: "m"})
		old.Accepted()
		old.Answered() // its answer takes minutes
		for range 3 {
			mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Spent})
			time.Sleep(spentRest + time.Second)

			tries := mustEnter(t, l, Ask{Model: "m"})
			old.Answered()
			_, err := l.Enter(t.Context(), Ask{Model: "m"}, nil)
			var resting *Resting
			require.ErrorAs(t, err, &resting, "one tries it at a time")
			tries.Accepted()
			mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Good})
			tries.Done(Outcome{Kind: Good})
		}
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Spent})
		old.Done(Outcome{Kind: Good}) // it says nothing about the key as it is now
		time.Sleep(spentRest + time.Second)
		mustEnter(t, l, Ask{Model: "m"})
		_, err := l.Enter(t.Context(), Ask{Model: "m"}, nil)
		require.Error(t, err)
	})
}

func TestTrialsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Settings{Keys: named("a")}, nil)
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Spent})
		time.Sleep(spentRest + time.Second)
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Spent}) // the trial fails
		time.Sleep(spentRest + time.Second)
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Good})
		require.Zero(t, l.keys.active[0].trying)
		require.Zero(t, l.keys.active[0].inFlight)
	})
}
