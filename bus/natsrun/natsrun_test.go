package natsrun_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/natsproc"
	"github.com/troupe-chat/troupe/bus/natsrun"
)

func TestRunServesUntilItsContextEnds(t *testing.T) {
	port, err := natsproc.FreePort()
	require.NoError(t, err)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- natsrun.Run(ctx, addr, w) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready at "+addr+"\n", line)
	nc, err := nats.Connect("nats://" + addr)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	nc.Close()
	cancel()
	require.NoError(t, <-done)
	_, err = nats.Connect("nats://" + addr)
	require.Error(t, err)
}

func TestRunListensOnLoopbackAlone(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:4222", "127.0.0.1:0", "127.0.0.1", "localhost:4222", "[::]:4222"} {
		require.ErrorContains(t, natsrun.Run(t.Context(), addr, io.Discard), "natsrun: ", addr)
	}
}
