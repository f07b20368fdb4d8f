package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/natsproc"
)

// TestProxyBeforeARealServer: the NATS client and server agree with what the
// parser takes for their protocol, with headers and large messages.
func TestProxyBeforeARealServer(t *testing.T) {
	server, err := natsproc.Start(t.Context(), natsproc.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Kill)
	p, err := newProxy(server.Addr())
	require.NoError(t, err)
	t.Cleanup(p.close)
	back := make(chan struct{}, 1)
	client, err := nats.Connect("nats://"+p.addr(), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	sub, err := client.SubscribeSync("events.>")
	require.NoError(t, err)
	require.NoError(t, client.FlushTimeout(patience))

	// heard lists the sizes of n messages that the client gets.
	heard := func(n int) (sizes []int) {
		for range n {
			msg, err := sub.NextMsg(patience)
			require.NoError(t, err)
			if len(msg.Data) > 100 {
				require.Equal(t, "yes", msg.Header.Get("Large"))
			}
			sizes = append(sizes, len(msg.Data))
		}
		return sizes
	}
	speak := func() {
		for _, size := range []int{1, 2, 1 << 19, 3} {
			msg := nats.NewMsg(fmt.Sprintf("events.%d", size))
			msg.Data = make([]byte, size)
			if size > 100 {
				msg.Header.Set("Large", "yes")
			}
			require.NoError(t, client.PublishMsg(msg))
		}
	}

	speak()
	require.Equal(t, []int{1, 2, 1 << 19, 3}, heard(4))

	large := &tamper{Match: func(subject string) bool { return subject == "events.524288" }, Repeat: 1}
	p.tamper(large)
	speak()
	require.Equal(t, []int{1, 2, 1 << 19, 1 << 19, 3}, heard(5))
	require.Equal(t, tampered{Seen: 1, Repeated: 1}, large.counts())
	p.tamper(nil)

	p.blackHole(true)
	speak()
	require.ErrorIs(t, client.FlushTimeout(quiet), nats.ErrTimeout)
	p.blackHole(false)
	require.Equal(t, []int{1, 2, 1 << 19, 3}, heard(4))

	p.cut()
	select {
	case <-back:
	case <-time.After(patience):
		require.Fail(t, "the client did not come back")
	}
	speak()
	require.Equal(t, []int{1, 2, 1 << 19, 3}, heard(4))
	require.NoError(t, p.failure())
}
