package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startRelay is the plain relay within the test's process: the address of its
// gateway.
func startRelay(t *testing.T) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	nats, err := natsMain(ctx, nil)
	require.NoError(t, err)
	_, err = relayWorkerMain(ctx, []string{nats})
	require.NoError(t, err)
	addr, err := relayMain(ctx, []string{nats})
	require.NoError(t, err)
	return addr
}

// TestRelayDoesItsJob: many sockets at once get each its own answers, whole and
// in order, one after the other, paced or not; the clients check every byte.
func TestRelayDoesItsJob(t *testing.T) {
	c := &crowd{addr: startRelay(t)}
	defer c.close()
	require.NoError(t, c.grow(t.Context(), 32))
	for _, s := range []speech{{Words: 512}, {Words: 1}, {Pace: time.Millisecond, Words: 20}} {
		before := c.chunks()
		require.NoError(t, c.perform("echo", s))
		require.EqualValues(t, 32*s.Words, c.chunks()-before, "a chunk per word")
	}
	require.NoError(t, c.perform("echo", speech{Pace: time.Millisecond, Words: 20, Clock: true}))
	delays := c.delays()
	require.Len(t, delays, 32*20)
	require.Greater(t, delays[0], 0.0)
	require.Less(t, delays[len(delays)-1], float64(clientTimeout/time.Microsecond))
}

func TestRelayWants(t *testing.T) {
	for _, f := range []func(context.Context, []string) (string, error){relayMain, relayWorkerMain} {
		_, err := f(t.Context(), nil)
		require.ErrorContains(t, err, "the address of NATS")
	}
}

// TestTextFrame: of every size, and for every text, the frame is one that the
// client reads, and what is in it is JSON.
func TestTextFrame(t *testing.T) {
	texts := []string{"", "a", "\"q\" \\ \n\x00\x1f ż 🙂", strings.Repeat("x", 90), strings.Repeat("y", 5000), strings.Repeat("z", 70_000)}
	var wire, buf, frame []byte
	for _, s := range texts {
		buf, frame = textFrame(buf, chunkStart, []byte(s))
		wire = append(wire, frame...)
	}
	c := fed(t, wire, len(wire))
	for _, want := range texts {
		op, payload, err := c.next()
		require.NoError(t, err)
		require.EqualValues(t, opText, op)
		var got struct{ Type, Content string }
		require.NoError(t, json.Unmarshal(payload, &got))
		require.Equal(t, want, got.Content)
		require.Equal(t, "chunk", got.Type)
	}
}

func TestReadMessage(t *testing.T) {
	masked := []byte{0x81, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2}
	got, err := readMessage(fed(t, masked, 1).nc)
	require.NoError(t, err)
	require.Equal(t, "hi", string(got))
	for name, wire := range map[string][]byte{
		"a close": {0x88, 0x80, 0, 0, 0, 0},
		"cut":     masked[:7],
		"huge":    append([]byte{0x81, 0xff}, bytes.Repeat([]byte{1}, 12)...),
	} {
		_, err := readMessage(fed(t, wire, len(wire)).nc)
		require.Error(t, err, name)
	}
}
