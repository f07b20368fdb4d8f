package upstream

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is how many are in, and the most there ever were.
type counted struct{ now, most atomic.Int64 }

func (c *counted) enter() {
	n := c.now.Add(1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
}

// TestLineUnderRace: real goroutines enter, leave and change their minds while
// settings and rests come and go. Nobody is left waiting, and there is never
// one too many.
func TestLineUnderRace(t *testing.T) {
	const callers, rounds = 24, 400
	var all counted
	perKey := map[string]*counted{idOf("a"): {}, idOf("b"): {}}
	settings := []Settings{
		{Keys: named("a", "b"), Room: 4, RoomPerKey: 2, Queue: callers},
		{Keys: named("b", "a"), Room: 3, RoomPerKey: 2, Queue: callers},
		{Keys: named("a"), Room: 4, RoomPerKey: 2, Queue: callers, Patience: time.Millisecond},
	}
	l := New(settings[0], func() {})

	caller := func() {
		for range rounds {
			ctx, cancel := context.WithCancel(t.Context())
			if rand.IntN(4) == 0 {
				go cancel()
			}
			c, err := l.Enter(ctx, Ask{Owner: string(rune('a' + rand.IntN(4))), Model: "m"}, func(int) {})
			if err == nil {
				key := perKey[c.KeyID()]
				all.enter()
				key.enter()
				runtime.Gosched()
				key.now.Add(-1)
				all.now.Add(-1)
				c.Done(Outcome{Kind: []Kind{Good, Neutral, Limited}[rand.IntN(3)], RetryAfter: time.Microsecond})
			}
			cancel()
		}
	}
	stop := make(chan struct{})
	meddler := func(act func(i int)) {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				act(i)
				runtime.Gosched()
			}
		}
	}

	var callersDone, meddlersDone sync.WaitGroup
	for range callers {
		callersDone.Go(caller)
	}
	for _, act := range []func(int){
		func(i int) { l.Configure(settings[i%len(settings)]) },
		func(i int) {
			l.Heard("w", []Rest{{Key: idOf("a"), For: time.Microsecond, Why: WhySpent}})
			l.Forget("w")
		},
		func(int) { l.Own(); l.Load(); l.Resting(); l.Retry() },
	} {
		meddlersDone.Go(func() { meddler(act) })
	}
	over := make(chan struct{})
	go func() { callersDone.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(2 * time.Minute):
		t.Fatalf("somebody waits for ever: %+v", l.Load())
	}
	close(stop)
	meddlersDone.Wait()
	l.Configure(settings[0])
	atRest(t, l)
	require.LessOrEqual(t, all.most.Load(), int64(4))
	require.Greater(t, all.most.Load(), int64(1), "it was a race")
	for id, c := range perKey {
		require.LessOrEqual(t, c.most.Load(), int64(2), id)
	}
}
