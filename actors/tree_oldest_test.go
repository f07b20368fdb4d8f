package actors

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestTreeShowsTheOldestMessage: one message that nobody takes is seen by the id
// of its actor, behind more fuller mailboxes than are listed.
func TestTreeShowsTheOldestMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := defaultPlan()
		p.inject = func(kind string, message any) {
			if _, ok := message.(*asked); ok && kind == kindConnection {
				<-release
			}
		}
		h := build(t, p)
		forgotten := h.open("forgotten")
		var others []*client
		for i := range protocol.ForemostActors + 4 {
			others = append(others, h.open(fmt.Sprint("s", i)))
		}
		h.tree(protocol.ActorsQuery{}) // from here on ages are exact
		for range 2 {                  // one in hand, one that waits
			forgotten.ask(&protocol.Ping{})
		}
		pass(5 * time.Second)
		for _, c := range others {
			for range 4 {
				c.ask(&protocol.Ping{})
			}
		}
		pass(time.Second)

		all := h.tree(protocol.ActorsQuery{})
		require.Len(t, all.Largest, protocol.ForemostActors)
		require.Len(t, all.Oldest, protocol.ForemostActors)
		for _, a := range all.Largest {
			require.Equal(t, 3, a.Waiting, a.Actor)
		}
		first := all.Oldest[0]
		require.Equal(t, 1, first.Waiting)
		require.InDelta(t, 6*time.Second, time.Duration(first.Oldest), float64(500*time.Millisecond))
		require.Less(t, all.Oldest[1].Oldest, 2*protocol.Duration(time.Second))
		require.NotEmpty(t, first.Connection, "the log's name for it")
		close(release)
		synctest.Wait()
		require.Empty(t, h.tree(protocol.ActorsQuery{}).Oldest)
	})
}

// TestTreeShowsAnActorWithOneMessageInHand, and nothing behind it.
func TestTreeShowsAnActorWithOneMessageInHand(t *testing.T) {
	list := foremost{order: older}
	for i := range 3 * protocol.ForemostActors {
		a := protocol.Actor{Actor: fmt.Sprint("c", i), Waiting: 9, Oldest: protocol.Duration(i)}
		list.see(a, kept(a) > 0)
	}
	hangs := protocol.Actor{Actor: "r", Busy: protocol.Duration(time.Minute)}
	list.see(hangs, kept(hangs) > 0)
	got := list.list()
	require.Len(t, got, protocol.ForemostActors)
	require.Equal(t, hangs, got[0])
	require.Equal(t, "c59", got[1].Actor)
}
