package fault

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// told gathers what a set says.
type told struct {
	mu    sync.Mutex
	lines []string
	hits  int
}

func newTold() (*Set, *told) {
	l := &told{}
	return NewSet(Options{
		Catalogue: shelf(),
		Told: func(what, id string, s Spec) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.lines = append(l.lines, what+" "+id+" "+s.Actor+" "+s.Fault)
		},
		Hit: func(string, string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.hits++
		},
	}), l
}

func add(t *testing.T, s *Set, line string) string {
	t.Helper()
	spec, err := Parse(line)
	require.NoError(t, err)
	id, err := s.Add(spec)
	require.NoError(t, err)
	return id
}

// draws shows which of n messages are struck.
func draws(s *Set, n int) (out string) {
	for range n {
		if s.Decide(Asked{Actor: "run", Message: "piece", ID: "a"}).Fault == "" {
			out += "."
		} else {
			out += "x"
		}
	}
	return out
}

func TestWhichMessagesAreStruck(t *testing.T) {
	for line, want := range map[string]string{
		"run panic":                         "xxxxxxxxxx",
		"run panic after=3":                 "...xxxxxxx",
		"run panic every=3":                 "x..x..x..x",
		"run panic after=2 every=4":         "..x...x...",
		"run panic times=2":                 "xx........",
		"run panic after=1 every=2 times=3": ".x.x.x....",
		"run panic message=Started":         "..........",
		"limiter panic":                     "..........",
	} {
		s, l := newTold()
		add(t, s, line)
		require.Equal(t, want, draws(s, 10), line)
		hits := 0
		for _, c := range want {
			if c == 'x' {
				hits++
			}
		}
		require.Equal(t, hits, s.List()[0].Hit, line)
		require.Equal(t, hits, l.hits)
		s.Close()
	}
}

// TestSeedReplays: the same seed strikes the same messages, another one others,
// and one that was not given is shown so that it can be.
func TestSeedReplays(t *testing.T) {
	strike := func(line string) (string, uint64) {
		s, _ := newTold()
		defer s.Close()
		add(t, s, line)
		return draws(s, 1000), s.List()[0].Seed
	}
	first, _ := strike("run drop probability=0.3 seed=7")
	again, _ := strike("run drop probability=0.3 seed=7")
	other, _ := strike("run drop probability=0.3 seed=8")
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
	struck := 0
	for _, c := range first {
		if c == 'x' {
			struck++
		}
	}
	require.InDelta(t, 300, struck, 60)
	drawn, seed := strike("run drop probability=0.3")
	require.NotZero(t, seed)
	replayed, _ := strike(fmt.Sprintf("run drop probability=0.3 seed=%d", seed))
	require.Equal(t, drawn, replayed)
}

func TestLifeOfAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newTold()
		require.False(t, s.Active())
		require.Equal(t, Verdict{}, s.Decide(Asked{Actor: "run", Message: "piece"}))
		add(t, s, "run hang for=3s seed=5")
		add(t, s, "limiter delay delay=2s for=1h")
		require.True(t, s.Active())
		v := s.Decide(Asked{Actor: "run", Message: "piece", ID: "r1"})
		require.Equal(t, Hang, v.Fault)
		began := time.Now()
		v.Wait(nil)
		require.Equal(t, 3*time.Second, time.Since(began), "a hang ends with its fault")
		require.Empty(t, s.Decide(Asked{Actor: "run", Message: "piece"}).Fault)

		late := s.Decide(Asked{Actor: "limiter", Message: "decide"})
		began = time.Now()
		late.Wait(nil)
		require.Equal(t, 2*time.Second, time.Since(began))

		list := s.List()
		require.Equal(t, []string{"f2", "f1"}, []string{list[0].ID, list[1].ID}, "what is over comes last")
		require.False(t, list[0].Over)
		require.Equal(t, "2s", list[0].Delay)
		require.Equal(t, "1h", list[0].For)
		require.True(t, list[1].Over)
		require.Equal(t, 1, list[1].Met)
		require.Equal(t, "r1", list[1].Last[0].Actor)
		require.Equal(t, "piece", list[1].Last[0].Message)

		go func() {
			time.Sleep(time.Second)
			s.Remove("f2")
		}()
		late = s.Decide(Asked{Actor: "limiter", Message: "decide"})
		began = time.Now()
		late.Wait(nil)
		require.Equal(t, time.Second, time.Since(began), "cleared: nobody waits longer")
		require.False(t, s.Remove("f2"))
		require.False(t, s.Remove("f9"))
		require.False(t, s.Active())

		stop := make(chan struct{})
		close(stop)
		add(t, s, "run hang")
		s.Decide(Asked{Actor: "run", Message: "piece"}).Wait(stop)
		require.Equal(t, 1, s.Clear())
		require.Zero(t, s.Clear())
		require.Len(t, s.List(), 3)
		time.Sleep(10 * time.Minute)
		require.Empty(t, s.List())
		require.Equal(t, []string{
			"set f1 run hang", "set f2 limiter delay", "expired f1 run hang", "cleared f2 limiter delay", "set f3 run hang", "cleared f3 run hang",
		}, l.lines)

		s.Close()
		_, err := s.Add(Spec{Actor: "run", Fault: Panic})
		require.ErrorContains(t, err, "stopping")
	})
}

func TestBoundsOfASet(t *testing.T) {
	s, _ := newTold()
	defer s.Close()
	for range maxActive {
		add(t, s, "limiter drop")
	}
	_, err := s.Add(Spec{Actor: "run", Fault: Panic})
	require.ErrorContains(t, err, "clear one first")
	_, err = s.Add(Spec{Actor: "cook", Fault: Panic})
	require.ErrorContains(t, err, "cook")
	s.Clear()
	add(t, s, "run drop")
	draws(s, keptHits+7)
	require.Equal(t, keptHits+7, s.List()[0].Hit)
	last := s.List()[0].Last
	require.Len(t, last, keptHits)
	for i := 1; i < len(last); i++ {
		require.False(t, last[i].At.Before(last[i-1].At), "oldest first")
	}
}

// TestOnlyOneIsHeldBack: else a reorder of everything would only be a delay.
func TestOnlyOneIsHeldBack(t *testing.T) {
	s, _ := newTold()
	defer s.Close()
	add(t, s, "run reorder")
	require.Equal(t, Reorder, s.Decide(Asked{Actor: "run", Message: "piece"}).Fault)
	require.Empty(t, s.Decide(Asked{Actor: "run", Message: "piece", Holding: true}).Fault)
	require.Equal(t, 1, s.List()[0].Met)
}

func TestManyAtOnce(t *testing.T) {
	s, _ := newTold()
	add(t, s, "run drop every=2")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			draws(s, 500)
			s.List()
		})
	}
	all.Wait()
	require.Equal(t, 4000, s.List()[0].Met)
	require.Equal(t, 2000, s.List()[0].Hit)
	s.Close()
}

// BenchmarkDecideNothing is what each message costs while nothing is set.
func BenchmarkDecideNothing(b *testing.B) {
	s := NewSet(Options{Catalogue: shelf()})
	for b.Loop() {
		if s.Decide(Asked{Actor: "run", Message: "piece"}).Fault != "" {
			b.Fatal("struck")
		}
	}
}
