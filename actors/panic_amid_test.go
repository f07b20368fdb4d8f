package actors

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// stumble panics at one call of an actor to the bus: in the middle of what the
// actor does, with half of it done.
type stumble struct {
	mu     sync.Mutex
	counts map[string]int // calls by name
	at     string         // the call that panics, as counted; "" is none
	fired  bool
	who    string // whose call it was
}

func (s *stumble) calling(method string, done bool) {
	who := actorHere()
	if who == "" {
		return // a beat: no actor's
	}
	name := who + " " + method
	if done {
		name += " done"
	}
	s.mu.Lock()
	s.counts[name]++
	name = fmt.Sprintf("%s %d", name, s.counts[name])
	strikes := name == s.at && !s.fired
	if strikes {
		s.fired, s.who = true, who
	}
	s.mu.Unlock()
	if strikes {
		panic("sk-canary")
	}
}

// actorHere is the type of the actor on whose stack this is: of the innermost,
// for this bus delivers while it is spoken to.
func actorHere() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if _, name, ok := strings.Cut(f.Function, "/actors.(*"); ok && strings.HasSuffix(name, ").Receive") {
			return strings.TrimSuffix(name, ").Receive")
		}
		if !more {
			return ""
		}
	}
}

// amidst is a house at work in which one call panics: two clients, each asks,
// cancels, asks again and leaves in the middle of an answer.
func amidst(t *testing.T, at string) *stumble {
	s := &stumble{at: at, counts: map[string]int{}}
	p := defaultPlan()
	p.talk = talker("one ", "two ", "three ")
	h := build(t, p)
	h.bus.locked(func() { h.bus.calling = s.calling })
	first, second := h.open("s1"), h.open("s2")
	for _, c := range []*client{first, second} {
		c.chat("1", "hi")
	}
	pass(time.Second)
	for _, c := range []*client{first, second} {
		c.chat("2", "hi")
	}
	pass(pace + pace/2)
	first.ask(&protocol.Cancel{ID: "2"})
	pass(time.Second)
	for _, c := range []*client{first, second} {
		c.chat("3", "hi")
	}
	pass(pace / 2)
	second.leave(protocol.CauseGone)
	pass(40 * time.Second) // grace, repetitions, clocks

	touched := 0
	for n, c := range []*client{first, second} {
		failed := false
		for _, code := range c.closed() {
			require.Equal(t, protocol.Internal, code)
			require.Equal(t, protocol.Internal, c.last().Code, "cut and not told")
			failed = true
		}
		for _, id := range []string{"1", "2", "3"} {
			ends := c.terminals(id)
			require.LessOrEqual(t, len(ends), 1, "question %s of client %d", id, n+1)
			if len(ends) == 0 {
				require.True(t, failed || n == 1 && id == "3", "question %s of client %d has no end", id, n+1)
				continue
			}
			failed = failed || ends[0].Type == protocol.TypeError
		}
		if failed {
			touched++
		}
	}
	require.LessOrEqual(t, touched, 1, "one panic touched two")
	h.bus.locked(func() { h.bus.calling = nil })
	stranger := h.open("s3")
	stranger.chat("n", "hi")
	pass(time.Second)
	require.Equal(t, protocol.TypeComplete, stranger.last().Type)
	require.Empty(t, h.sys.Fatal())
	h.empty()
	return s
}

// TestPanicAmid panics just before and just after every call that an actor makes
// to the bus, one at a time: after a slot was taken, a run registered, a job
// sent, an end told.
func TestPanicAmid(t *testing.T) {
	var whole *stumble
	bubble(t, func(t *testing.T) { whole = amidst(t, "") })
	cases := 0
	for name, n := range whole.counts {
		for i := range min(n, 12) {
			at := fmt.Sprintf("%s %d", name, i+1)
			cases++
			t.Run(at, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := amidst(t, at)
					require.True(t, s.fired, "the panic never struck: this case proves nothing")
				})
			})
		}
	}
	for _, name := range []string{"connection Ask", "connection Control", "connections Control", "run Reply", "run Publish", "run Usage"} {
		require.Positive(t, whole.counts[name], "%s is not tried", name)
	}
	require.Greater(t, cases, 50)
}
