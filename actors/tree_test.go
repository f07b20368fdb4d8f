package actors

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// kindIn finds a kind in an answer.
func kindIn(t *testing.T, a protocol.Actors, kind string) protocol.ActorKind {
	t.Helper()
	for _, k := range a.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	require.Fail(t, "the kind is not there", kind)
	return protocol.ActorKind{}
}

func (h *house) tree(q protocol.ActorsQuery) protocol.Actors {
	h.t.Helper()
	a, err := NewTree(h.sys, "serve", h.gateway).Actors(q)
	require.NoError(h.t, err)
	return a
}

// A message that hangs in an actor shows as what it is at the first look: the
// actor is busy, and what waits behind it grows in number and age.
func TestTreeShowsAnActorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var hangs atomic.Bool
		p := defaultPlan()
		p.inject = func(kind string, message any) {
			if _, ok := message.(*beatHeard); ok && kind == kindRoster && hangs.CompareAndSwap(true, false) {
				<-release
			}
		}
		h := build(t, p)
		quiet := kindIn(t, h.tree(protocol.ActorsQuery{}), kindRoster)
		require.Equal(t, protocol.ActorKind{Kind: kindRoster, Actors: 1, Started: 1}, quiet)
		pass(2 * clockWatched) // nobody looks any more

		hangs.Store(true)
		pass(3 * time.Second)
		first := kindIn(t, h.tree(protocol.ActorsQuery{}), kindRoster)
		require.Positive(t, first.Waiting)
		require.InDelta(t, 2700*time.Millisecond, time.Duration(first.Busy), float64(450*time.Millisecond), "from the first beat on")
		pass(time.Second)
		a := h.tree(protocol.ActorsQuery{})
		second := kindIn(t, a, kindRoster)
		require.Greater(t, second.Waiting, first.Waiting)
		require.Equal(t, protocol.Duration(time.Second), second.Oldest-first.Oldest)
		require.Equal(t, protocol.Duration(time.Second), second.Busy-first.Busy)

		require.Len(t, a.Largest, 1, "all others are idle")
		one := h.tree(protocol.ActorsQuery{ID: a.Largest[0].Actor}).Actor
		require.Equal(t, &protocol.ActorAlone{
			Actor: protocol.Actor{
				Actor: "gateway-" + h.gateway.ID() + "/roster", Kind: kindRoster, State: "busy",
				Waiting: second.Waiting, Oldest: second.Oldest, Busy: second.Busy,
			},
			Parent: "gateway-" + h.gateway.ID(),
		}, one)
		close(release)
		synctest.Wait()
		require.Equal(t, quiet, kindIn(t, h.tree(protocol.ActorsQuery{}), kindRoster))
	})
}

// TestTreeOfAHouse: every line has who lives there, and a panic counts where it
// happened and nowhere else.
func TestTreeOfAHouse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var aim atomic.Value
		aim.Store("")
		p := defaultPlan()
		p.talk = untilStopped(make(chan error, 10))
		p.inject = func(kind string, message any) {
			switch message.(type) {
			case *rosterTick, *asked, *vacated:
				if aim.CompareAndSwap(kind, "") {
					panic("aimed")
				}
			}
		}
		h := build(t, p)
		a, b := h.open("a"), h.open("b")
		a.chat("1", "x")
		pass(10 * time.Millisecond)

		all := h.tree(protocol.ActorsQuery{})
		require.Equal(t, "serve", all.Role)
		require.Equal(t, []string{
			"gateway 1", ". limiter 1", ". pool 1", ". roster 1", ". connections 1", ". . connection 2",
			"worker 1", ". roster 1", ". provider 1", ". . run 1", ". provider 1",
		}, outline("", all.Tree))
		require.Equal(t, 2, kindIn(t, all, kindRoster).Actors)

		runs := h.tree(protocol.ActorsQuery{Kind: kindRun})
		require.Equal(t, 1, *runs.Count)
		require.Equal(t, "echo", runs.List[0].Provider)
		require.NotEmpty(t, h.worker.runs.pid(runs.List[0].RunID), "the id is the run's")
		list := h.tree(protocol.ActorsQuery{Kind: kindConnection, Limit: 1})
		require.Equal(t, 2, *list.Count)
		require.Len(t, list.List, 1)
		require.Equal(t, "websocket", list.List[0].Client)
		supervisor := h.tree(protocol.ActorsQuery{ID: parentOf(list.List[0].Actor)}).Actor
		require.Equal(t, 2, supervisor.Children)

		aim.Store(kindConnection)
		b.ask(&protocol.Ping{})
		pass(time.Second)
		all = h.tree(protocol.ActorsQuery{})
		got := kindIn(t, all, kindConnection)
		require.Equal(t, []uint64{1, 2, 1, 0}, []uint64{uint64(got.Actors), got.Started, got.Panics, got.Restarts})
		aim.Store(kindRoster)
		pass(2 * time.Second)
		all = h.tree(protocol.ActorsQuery{})
		got = kindIn(t, all, kindRoster)
		require.Equal(t, []uint64{2, 2, 1, 1}, []uint64{uint64(got.Actors), got.Started, got.Panics, got.Restarts})
		require.EqualValues(t, 1, all.Tree[0].Children[2].Panics+all.Tree[1].Children[0].Panics)
		require.Equal(t, map[string]uint64{kindRoster: 1}, h.sys.restarts())
	})
}

// outline is a tree in words.
func outline(indent string, nodes []protocol.ActorNode) (out []string) {
	for _, n := range nodes {
		out = append(out, indent+n.Kind+" "+string(rune('0'+n.Actors)))
		out = append(out, outline(indent+". ", n.Children)...)
	}
	return out
}

func TestTreeOfEachRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		for role, want := range map[string]string{
			"gateway": "gateway limiter pool roster connections connection",
			"worker":  "worker roster provider run",
			"serve":   "gateway limiter pool roster connections connection worker provider run",
		} {
			a, err := NewTree(h.sys, role, nil).Actors(protocol.ActorsQuery{})
			require.NoError(t, err)
			var got []string
			for _, k := range a.Kinds {
				got = append(got, k.Kind)
			}
			require.Equal(t, want, strings.Join(got, " "), role)
		}
		tree := NewTree(h.sys, "gateway", h.gateway)
		_, err := tree.Actors(protocol.ActorsQuery{Kind: "nothing"})
		require.ErrorContains(t, err, "limiter")
		for _, id := range []string{"eventstream", "guardian", "gateway-", "/", "gateway-" + h.gateway.ID() + "/", strings.Repeat("x/", 1<<16), "日本/語", "\x00"} {
			_, err = tree.Actors(protocol.ActorsQuery{ID: id})
			require.ErrorIs(t, err, protocol.ErrNoActor, "%.40q", id)
		}
	})
}

// TestTreeWhileActorsComeAndGo: whoever looks disturbs nobody and is not
// disturbed; the race detector watches.
func TestTreeWhileActorsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := defaultPlan()
		p.talk = talker("a", "b")
		h := build(t, p)
		var looking sync.WaitGroup
		over := make(chan struct{})
		for _, q := range []protocol.ActorsQuery{{}, {Kind: kindConnection, Limit: 3}, {Kind: kindRun}} {
			looking.Go(func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(time.Millisecond):
						_, _ = NewTree(h.sys, "serve", h.gateway).Actors(q)
					}
				}
			})
		}
		for i := range 50 {
			c := h.open(fmt.Sprint("s", i))
			c.chat("1", "x")
			pass(pace)
			c.leave(protocol.CauseClient)
		}
		close(over)
		looking.Wait()
		until := h.tree(protocol.ActorsQuery{})
		require.EqualValues(t, 50, kindIn(t, until, kindConnection).Started)
	})
}

// TestClock: at rest it moves with the pulses, watched by itself, and it goes
// back to rest.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{epoch: time.Now()}
		require.Zero(t, c.now())
		require.Zero(t, c.since(0, time.Now()))
		c.pulse(time.Now())
		came := c.now()
		time.Sleep(time.Minute)
		require.Equal(t, came, c.now())
		require.Equal(t, time.Minute-clockPulse, c.since(came, time.Now()), "so long at least")

		c.watch(time.Now())
		time.Sleep(time.Second + clockStep/2)
		came = c.now()
		require.Zero(t, c.since(came, time.Now()), "never more than has passed")
		time.Sleep(time.Second)
		require.InDelta(t, time.Second, c.since(came, time.Now()), float64(clockStep))
		time.Sleep(2 * clockWatched)
		came = c.now()
		time.Sleep(time.Minute)
		require.Equal(t, came, c.now(), "nobody watches")
		c.watch(time.Now())
		require.NotEqual(t, came, c.now())
		time.Sleep(2 * clockWatched)
	})
}

// TestMailboxSize: there are thousands of mailboxes, and this is all that each of
// them may cost.
func TestMailboxSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(mailbox{}), uintptr(64))
	require.LessOrEqual(t, unsafe.Sizeof(letter{}), uintptr(24))
}
