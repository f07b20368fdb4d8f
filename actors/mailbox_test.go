package actors

import (
	"errors"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
)

// invoker takes what a mailbox delivers. It is not safe for concurrent use: the
// race detector would find two deliveries at once.
type invoker struct {
	got     []any
	escaped []any
	on      func(message any)
}

func (i *invoker) InvokeSystemMessage(m any) { i.invoke(m) }
func (i *invoker) InvokeUserMessage(m any)   { i.invoke(m) }
func (i *invoker) EscalateFailure(_, m any)  { i.escaped = append(i.escaped, m) }

func (i *invoker) invoke(m any) {
	i.got = append(i.got, m)
	if i.on != nil {
		i.on(m)
	}
}

// openMailbox has an invoker, and delivers within each post.
func openMailbox() (*mailbox, *invoker) {
	m, i := &mailbox{}, &invoker{}
	m.RegisterHandlers(i, actor.NewSynchronizedDispatcher(300))
	m.Start()
	return m, i
}

func TestMailboxOrder(t *testing.T) {
	m, i := openMailbox()
	i.on = func(message any) {
		if message == "first" { // while it is handled
			m.PostUserMessage("a")
			m.PostUserMessage("b")
			m.PostSystemMessage("s")
			m.PostUserMessage("c")
			m.PostSystemMessage("t")
			require.Equal(t, 3, m.UserMessageCount())
		}
	}
	m.PostUserMessage("first")
	require.Equal(t, []any{"first", "s", "t", "a", "b", "c"}, i.got)
	require.Zero(t, m.UserMessageCount())
	m.PostUserMessage("later")
	require.Equal(t, "later", i.got[len(i.got)-1])
	require.Equal(t, letters{}, m.user, "nothing is kept of what was delivered")
	require.Equal(t, letters{}, m.system)
}

func TestMailboxSuspended(t *testing.T) {
	m, i := openMailbox()
	m.PostSystemMessage(&actor.SuspendMailbox{})
	m.PostUserMessage("a")
	m.PostUserMessage("b")
	m.PostSystemMessage("s")
	require.Equal(t, []any{"s"}, i.got)
	require.Equal(t, 2, m.UserMessageCount())
	m.PostSystemMessage(&actor.ResumeMailbox{})
	require.Equal(t, []any{"s", "a", "b"}, i.got)
}

// TestMailboxPanic: the one message is named, the others come.
func TestMailboxPanic(t *testing.T) {
	m, i := openMailbox()
	i.on = func(message any) {
		switch message {
		case "first":
			m.PostUserMessage("bad")
			m.PostUserMessage("b")
			m.PostSystemMessage("worse")
		case "bad", "worse":
			panic(errors.New("on purpose"))
		}
	}
	m.PostUserMessage("first")
	require.Equal(t, []any{"first", "worse", "bad", "b"}, i.got)
	require.Equal(t, []any{"worse", "bad"}, i.escaped)
}

// TestMailboxConcurrent: many post at once, nothing is lost, doubled, or out of
// its poster's order, and only one goroutine delivers.
func TestMailboxConcurrent(t *testing.T) {
	const posters, each = 8, 2000
	type message struct{ from, n int }
	m, i := &mailbox{}, &invoker{}
	next, left, over := [posters]int{}, posters*each, make(chan struct{})
	i.on = func(got any) {
		g := got.(message)
		if next[g.from] != g.n {
			t.Errorf("message %d of poster %d came when %d was due", g.n, g.from, next[g.from])
		}
		next[g.from]++
		if left--; left == 0 {
			close(over)
		}
	}
	m.RegisterHandlers(i, actor.NewDefaultDispatcher(3))
	var posting sync.WaitGroup
	for from := range posters {
		posting.Go(func() {
			for n := range each {
				if from%2 == 0 {
					m.PostUserMessage(message{from, n})
				} else {
					m.PostSystemMessage(message{from, n})
				}
			}
		})
	}
	posting.Wait()
	<-over
	require.Zero(t, m.UserMessageCount())
}
