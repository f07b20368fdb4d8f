package engine

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// onPipe gives a client a socket whose other side is returned.
func onPipe(t *testing.T, c *client) (other net.Conn) {
	t.Helper()
	mine, other := net.Pipe()
	t.Cleanup(func() {
		_ = mine.Close()
		_ = other.Close()
	})
	c.sock = newSocket(mine, &c.run.buffers, nil)
	return other
}

// single is the one client of a plan.
func single(t *testing.T, s *scenario.Scenario) *client {
	t.Helper()
	s.Connections = 1
	r, err := newRun(&target{address: "127.0.0.1:1"}, s)
	require.NoError(t, err)
	r.loading.Store(true)
	r.asking.Store(true)
	return r.clients[0]
}

// The socket of an answer that does not end is cut, and takes the others with it:
// nobody stopped those.
func TestWhoSharesASocketWithATimeoutFails(t *testing.T) {
	for _, resume := range []bool{false, true} {
		s := plan(t, named)
		s.Reconnect.Resume = resume
		c := single(t, s)
		other := onPipe(t, c)
		go func() { _, _ = io.Copy(io.Discard, other) }()
		now := int64(time.Hour)
		c.turns = []*turn{{id: 1, sent: 0}, {id: 2, sent: now}, {id: 3, sent: now}}
		sock := c.expire(now, time.Minute)
		require.NotNil(t, sock)
		require.False(t, c.ask(now, 0, true), "nobody asks on a socket that is being cut")
		sock.own.Store(true)
		c.lost(sock, net.ErrClosed)
		require.Equal(t, int64(1), c.shard.timedOut)
		require.Zero(t, c.shard.cancelled)
		if resume {
			require.Len(t, c.turns, 2)
			require.Equal(t, int64(1), c.shard.failed)
		} else {
			require.Empty(t, c.turns)
			require.Equal(t, int64(3), c.shard.failed)
		}
	}
}

// Patience counts from when the question was due, not from when there was room.
func TestWhoWaitedForRoomStopsWhenTheyMeantTo(t *testing.T) {
	s := plan(t, named+"abort: {probability: 1, after: 1h}\n")
	c := single(t, s)
	other := onPipe(t, c)
	frames := make(chan string, 2)
	go func() {
		for {
			_, payload, err := clientFrame(other)
			if err != nil {
				close(frames)
				return
			}
			frames <- string(payload)
		}
	}()
	due := -int64(2 * time.Hour)
	require.True(t, c.ask(due, 0, true))
	require.Contains(t, <-frames, `"type":"chat"`)
	select {
	case frame := <-frames:
		require.Contains(t, frame, `"type":"cancel"`)
	case <-time.After(time.Minute):
		t.Fatal("it was not stopped")
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	require.Equal(t, due+int64(time.Hour), c.turns[0].stopDue)
}

func TestASnapshotMayBringTheFirstText(t *testing.T) {
	for _, tt := range []struct {
		name, snapshot string
		last           int64 // of the turn before
		first, gap     int64 // latencies behind the chunk that follows
	}{
		{"with text", `{"type":"snapshot","id":"1","run_id":"r","seq":1,"content":"a"}`, 0, 1, 1},
		{"without text", `{"type":"snapshot","id":"1","run_id":"r","seq":1,"content":""}`, 0, 1, 0},
		{"of an answer that had begun", `{"type":"snapshot","id":"1","run_id":"r","seq":1,"content":""}`, 5, 0, 1},
	} {
		c := single(t, plan(t, named))
		c.turns = []*turn{{id: 1, last: tt.last}}
		c.at = 10
		c.message([]byte(tt.snapshot))
		c.message([]byte(`{"type":"chunk","id":"1","seq":2,"content":"b"}`))
		require.Equal(t, tt.first, counted(c, latFirst), tt.name)
		require.Equal(t, tt.gap, counted(c, latGap), tt.name)
		require.Empty(t, c.shard.errs, tt.name)
	}
}

// counted is how many latencies of a kind a client's shard has.
func counted(c *client, which int) int64 {
	if h := c.shard.now[which]; h != nil {
		return h.TotalCount()
	}
	return 0
}

// After a drop the places of lost sockets stand in front. A question that finds
// them is passed on by the one that serves it, and late once.
func TestAQuestionPassesLostPlacesAtOnce(t *testing.T) {
	c := single(t, plan(t, named))
	other := onPipe(t, c)
	go func() { _, _ = io.Copy(io.Discard, other) }()
	c.epoch = 9
	started := 0
	c.run.questions.start = func(f func()) {
		started++
		f()
	}
	for epoch := range 10 {
		c.run.questions.free(place{c, epoch})
	}
	c.run.questionDue(-int64(time.Hour))
	require.Len(t, c.turns, 1)
	require.Equal(t, 1, started)
	require.Equal(t, int64(1), c.shard.late)
	c.run.questionDue(-int64(time.Hour))
	require.Equal(t, 1, c.run.questions.stranded(), "nobody has room")
}
