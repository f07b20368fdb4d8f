package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// fall sends to a client that does not read until so much waits for it. The
// kernels may still take a part of it.
func fall(t *testing.T, s *edgeSession, bytes int) {
	t.Helper()
	text := strings.Repeat("x", 8000)
	for seq := uint64(1); s.socket.(*conn).behind() < bytes; seq++ {
		require.Less(t, seq, uint64(10_000), "the client's kernel takes all")
		s.socket.Send(chunkFrame("a", seq, text))
	}
}

func TestCutSlowestTakesThoseWhoAreFurthestBehind(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		cfg := edgeConfig()
		cfg.OutboxBytes = 16 << 20
		e := newEdge(t, cfg, over)
		s := &Server{sockets: e.sockets}
		require.Zero(t, s.CutSlowest(), "nobody is here")

		reads, fine := e.dial(t, nil)
		fine.socket.Next()
		var behind []*edgeSession
		for i := range slowFew + 2 {
			_, session := e.dial(t, nil)
			session.socket.Next()
			fall(t, session, (i+1)<<20)
			behind = append(behind, session)
		}
		require.Equal(t, slowFew, s.CutSlowest())
		if over != overTLS { // there a writer has to be seen off first
			for _, session := range behind[2:] {
				session.wantClosed(t, protocol.CauseSlowConsumer)
			}
		}
		require.EqualValues(t, slowFew, e.metrics.slowConsumers.Load())
		for _, session := range behind[:2] {
			require.GreaterOrEqual(t, session.socket.(*conn).behind(), slowLeast, "the others stay")
		}
		require.Equal(t, 2, s.CutSlowest())
		require.Zero(t, s.CutSlowest(), "who reads is never cut")
		fine.socket.Send(&protocol.Frame{Type: protocol.TypePong})
		_, payload := reads.next()
		require.Contains(t, payload, "pong")
	})
}

func TestCutSlowestTakesEventReadersToo(t *testing.T) {
	e := newEdge(t, edgeConfig(), overTCP)
	s := &Server{sockets: e.sockets}
	cuts := 0
	k := newSink(1<<20, false, func() { cuts++ })
	remove := s.sinks.add(k)
	k.Send(chunkOf(1, strings.Repeat("x", slowLeast-2*frameOverhead)))
	require.Zero(t, s.CutSlowest())
	k.Send(chunkOf(2, strings.Repeat("x", slowLeast)))
	require.Equal(t, 1, s.CutSlowest())
	require.Equal(t, 1, cuts)
	b := k.take()
	require.True(t, b.cut)
	require.Equal(t, protocol.SlowConsumer, b.frames[0].Code)
	require.Zero(t, s.CutSlowest(), "once")

	remove()
	require.Empty(t, s.sinks.all, "an exchange that is over is not held")
}
