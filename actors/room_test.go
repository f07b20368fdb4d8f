package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestRoomWakesTheQueue: a beat that shows room lets as many queued turns ask
// again as it has room for, the oldest first, and only those that its worker
// serves.
func TestRoomWakesTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := build(t, defaultPlan())
		var all []*client
		for i := range 4 {
			c := h.open(fmt.Sprintf("s%d", i))
			c.chat("1", fmt.Sprintf("question %d", i))
			h.gateway.NoResponders(h.bus.lastJob(t).To)
			pass(time.Millisecond)
			require.Equal(t, protocol.TypeStatus, c.last().Type)
			all = append(all, c)
		}
		jobs := h.bus.jobCount()
		room := remoteBeat(remote)
		beat := func(change func(*bus.Beat)) int {
			b := *room
			b.Active = b.Capacity - 2
			change(&b)
			before := h.bus.jobCount()
			h.gateway.Heard(&b, time.Now())
			pass(time.Millisecond)
			return h.bus.jobCount() - before
		}
		require.Zero(t, beat(func(b *bus.Beat) { b.Active = b.Capacity }), "no room")
		require.Zero(t, beat(func(b *bus.Beat) { b.Draining = true }), "a draining worker takes nothing")
		require.Zero(t, beat(func(b *bus.Beat) { b.Providers = []bus.Offer{{Name: "other"}} }), "another provider")
		all[0].leave(protocol.CauseGone)
		pass(time.Millisecond)
		require.Equal(t, 2, beat(func(*bus.Beat) {}))
		require.Equal(t, 1, beat(func(*bus.Beat) {}), "the rest")
		require.Equal(t, jobs+3, h.bus.jobCount(), "one client left")
		require.Contains(t, string(h.bus.lastJob(t).Messages), "question 3")
		h.bus.locked(func() {
			oldest := string(h.bus.jobs[jobs].Messages) + string(h.bus.jobs[jobs+1].Messages)
			require.Contains(t, oldest, "question 1")
			require.Contains(t, oldest, "question 2", "the oldest that are still there")
		})
		require.False(t, h.gateway.followers.waiting())
		h.empty()
	})
}

// TestTheQueueStaysShort: turns that ask again and again leave no trail.
func TestTheQueueStaysShort(t *testing.T) {
	f := newFollowers()
	s := &Session{}
	for range 10_000 {
		to := f.add(&follower{session: s})
		f.queue(to, "echo")
		f.drop(to)
	}
	require.LessOrEqual(t, len(f.queued), 2*queueSlack)
}
