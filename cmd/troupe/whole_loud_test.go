package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// TestLoudAnswersCrowdNobody asks for 200 answers without a pace beside answers of
// a usual one. Nobody may lose the bus by it or be called dead, and what waits stays
// well below what is lost. How little waits is the machine's: each call that finds
// no room says a piece more every 200 ms. That they make way at all is tried by
// TestSinkMakesWay and TestAwaitRoom, call by call.
func TestLoudAnswersCrowdNobody(t *testing.T) {
	const (
		loud, paced = 200, 10
		lasting     = 2 * time.Second
		most        = 32 << 20 // half of what may wait
	)
	w := start(t, with(func(c *config.Config) {
		c.Limits.Connections.Max, c.Limits.Messages.Max, c.Limits.Sessions.Max = 0, 0, 0
		c.Pool.MaxPerIP, c.Worker.MaxRuns = 0, loud+paced
		c.Runs.MaxOutputBytes = 4 << 20
	}))
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var peers []*peer
	for i := range paced + loud {
		peers = append(peers, w.dial(fmt.Sprint("/ws/chat/s", i)).admitted())
	}
	quiet, noisy := peers[:paced], peers[paced:]
	for _, c := range quiet {
		c.send(chatFrame(t, "q", "echo-20ms-100w", "one two"))
	}
	question := chatFrame(t, "q", "echo-0s-200000w", strings.Repeat("loud", 4<<10))
	for _, c := range noisy {
		go func() {
			if c.Write(ctx, websocket.MessageText, []byte(question)) == nil {
				discard(ctx, c.Conn)
			}
		}()
	}
	pile := 0
	for until := time.Now().Add(lasting); time.Now().Before(until); time.Sleep(time.Millisecond) {
		pile = max(pile, w.worker.out.Buffered())
	}
	enough()
	t.Logf("at most %d KiB waited for the bus, %d events were lost", pile>>10, w.worker.out.Dropped())
	require.Less(t, pile, most)
	require.Zero(t, w.worker.out.Dropped())
	for _, c := range quiet {
		_, last := c.answer()
		require.Equal(t, "complete", last.Type, last.Message)
	}
	require.Empty(t, w.logged("Bus disconnected"))
	require.Empty(t, w.logged("Worker lost"))
}

// discard reads all that comes, as fast as it comes, and hangs up when ctx ends.
func discard(ctx context.Context, c *websocket.Conn) {
	for {
		_, frame, err := c.Reader(ctx)
		if err != nil {
			return
		}
		if _, err = io.Copy(io.Discard, frame); err != nil {
			return
		}
	}
}
