package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// clocked runs a test on fake time: one socket over a pipe, swept.
func clocked(t *testing.T, test func(*testing.T, *sockets, *edgeClient, *edgeSession)) {
	synctest.Test(t, func(t *testing.T) {
		gateway := &edgeGateway{opened: make(chan *edgeSession, 1)}
		s := newSockets(edgeConfig(), gateway, zerolog.Nop(), new(edgeMetrics))
		ctx, cancel := context.WithCancel(t.Context())
		go s.run(ctx)
		server, end := net.Pipe()
		client := &edgeClient{t: t, nc: end, r: bufio.NewReader(end)}
		s.open(server, nil, edgeKey, protocol.Client{Connection: "c1"})
		_, err := io.CopyN(io.Discard, client.r, int64(len(appendAnswer(nil, edgeKey))))
		require.NoError(t, err)
		test(t, s, client, <-gateway.opened)
		_ = end.Close()
		synctest.Wait()
		require.Zero(t, s.count())
		require.Zero(t, s.metrics.outboxBytes.Load())
		cancel()
	})
}

// within checks when a socket ends: never before its time, and at most so much later.
func (s *edgeSession) within(t *testing.T, since time.Time, cause protocol.Cause, atLeast, slack time.Duration) {
	t.Helper()
	require.Equal(t, cause, <-s.closed)
	require.GreaterOrEqual(t, time.Since(since), atLeast)
	require.LessOrEqual(t, time.Since(since), atLeast+slack)
}

func TestASilentClientIsPingedAndCut(t *testing.T) {
	clocked(t, func(t *testing.T, s *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Next()
		for range 3 {
			start := time.Now()
			op, _ := client.next()
			require.Equal(t, ws.OpPing, op)
			require.InDelta(t, 25, time.Since(start).Seconds(), 1.5)
			client.send(masked(ws.OpPong, true, ""))
		}
		synctest.Wait()
		last := time.Now()
		op, _ := client.next()
		require.Equal(t, ws.OpPing, op)
		require.Equal(t, protocol.CausePongTimeout, <-session.closed)
		require.LessOrEqual(t, time.Since(last), 35*time.Second, "ping and pong together are never late")
		require.Greater(t, time.Since(last), 33*time.Second)
		require.EqualValues(t, 4, s.metrics.pings.Load())
	})
}

// Any byte of the client counts, and a client that keeps talking is not pinged.
func TestATalkingClientIsNotPinged(t *testing.T) {
	clocked(t, func(t *testing.T, s *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Next()
		for range 20 {
			time.Sleep(20 * time.Second)
			client.send(masked(ws.OpText, true, pingJSON))
			<-session.requests
			session.socket.Next()
		}
		require.Zero(t, s.metrics.pings.Load())
	})
}

// While the session has not asked for more nothing is read, so silence says nothing.
func TestNobodyIsCutForASilenceThatNobodyListenedTo(t *testing.T) {
	clocked(t, func(t *testing.T, s *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Next()
		client.send(masked(ws.OpText, true, pingJSON))
		<-session.requests
		time.Sleep(10 * time.Minute)
		require.Equal(t, 1, s.count())
		require.Zero(t, s.metrics.pings.Load())
		session.socket.Next()
		time.Sleep(20 * time.Second)
		require.Zero(t, s.metrics.pings.Load(), "the clock starts at Next")
		op, _ := client.next()
		require.Equal(t, ws.OpPing, op)
	})
}

func TestAdmissionTimeout(t *testing.T) {
	clocked(t, func(t *testing.T, _ *sockets, client *edgeClient, session *edgeSession) {
		start := time.Now()
		op, frame := client.next()
		require.Equal(t, ws.OpText, op)
		require.Contains(t, frame, `"INTERNAL"`)
		require.Contains(t, frame, "within 5s")
		client.wantClose(1011, "INTERNAL")
		require.NoError(t, client.nc.Close())
		session.within(t, start, protocol.CauseAdmission, 5*time.Second, time.Second)
	})
}

func TestAMessageMustBeCompleteInTime(t *testing.T) {
	whole := masked(ws.OpText, true, pingJSON)
	for name, part := range map[string][]byte{
		"half a header":     whole[:1],
		"half a payload":    whole[:10],
		"an open message":   masked(ws.OpText, false, "{"),
		"half a ping frame": masked(ws.OpPing, true, "xy")[:7],
	} {
		t.Run(name, func(t *testing.T) {
			clocked(t, func(t *testing.T, _ *sockets, client *edgeClient, session *edgeSession) {
				session.socket.Next()
				time.Sleep(20 * time.Second)
				client.send(part)
				start := time.Now()
				client.wantClose(1008, "a message took longer than 10s")
				require.InDelta(t, 10.5, time.Since(start).Seconds(), 0.6)
				require.NoError(t, client.nc.Close())
				require.Equal(t, protocol.CauseProtocol, <-session.closed)
			})
		})
	}
}

// Control frames between two fragments do not give the message more time.
func TestControlFramesDoNotStretchAMessage(t *testing.T) {
	clocked(t, func(t *testing.T, _ *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Next()
		start := time.Now()
		client.send(masked(ws.OpText, false, "{"))
		for range 5 {
			time.Sleep(2 * time.Second)
			client.send(masked(ws.OpPong, true, ""))
		}
		client.wantClose(1008, "a message took longer than 10s")
		require.LessOrEqual(t, time.Since(start), 11*time.Second)
		require.NoError(t, client.nc.Close())
		require.Equal(t, protocol.CauseProtocol, <-session.closed)
	})
}

func TestAPeerThatNeverAnswersCloseIsCut(t *testing.T) {
	clocked(t, func(t *testing.T, _ *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Next()
		start := time.Now()
		session.socket.Close("")
		client.wantClose(1000, "")
		session.within(t, start, protocol.CauseServer, 5*time.Second, time.Second)
	})
}

func TestAPeerThatDoesNotReadIsCutAfterClose(t *testing.T) {
	clocked(t, func(t *testing.T, _ *sockets, _ *edgeClient, session *edgeSession) {
		session.socket.Next()
		start := time.Now()
		session.socket.Send(chunkFrame("a", 1, "never read"))
		session.socket.Close("")
		session.within(t, start, protocol.CauseServer, 5*time.Second, time.Second)
	})
}

// Thirty seconds without a byte of progress, however little waits.
func TestAStalledClientIsASlowConsumer(t *testing.T) {
	clocked(t, func(t *testing.T, s *sockets, _ *edgeClient, session *edgeSession) {
		session.socket.Next()
		start := time.Now()
		session.socket.Send(chunkFrame("a", 1, "never read"))
		session.within(t, start, protocol.CauseSlowConsumer, 30*time.Second, 7*time.Second)
		require.EqualValues(t, 1, s.metrics.slowConsumers.Load())
	})
}

// As long as bytes move, however slowly, a client is kept.
func TestProgressKeepsASlowClient(t *testing.T) {
	clocked(t, func(t *testing.T, s *sockets, client *edgeClient, session *edgeSession) {
		session.socket.Send(chunkFrame("a", 1, strings.Repeat("x", 100<<10)))
		session.socket.Next()
		for range 5 {
			time.Sleep(25 * time.Second)
			_, err := io.CopyN(io.Discard, client.nc, streamWrite)
			require.NoError(t, err)
		}
		require.Zero(t, s.metrics.slowConsumers.Load())
		require.Equal(t, 1, s.count())
	})
}

// After a pause of the whole process the clock has moved on by two ticks: a
// tick that comes late is worth no more.
func TestTheClockCountsOnlyObservedTime(t *testing.T) {
	s := newSockets(edgeConfig(), &edgeGateway{}, zerolog.Nop(), new(edgeMetrics))
	start := s.now()
	require.Positive(t, start, "a moment of 0 means none")
	s.observe(s.tick)
	require.Equal(t, s.tick, s.now()-start)
	s.observe(time.Hour)
	require.Equal(t, 3*s.tick, s.now()-start)
	s.observe(-time.Hour)
	require.Equal(t, 3*s.tick, s.now()-start)
}

func TestTick(t *testing.T) {
	for _, tc := range []struct {
		ping, pong, handshake, want time.Duration
	}{
		{25 * time.Second, 10 * time.Second, 5 * time.Second, maxTick},
		{time.Second, 10 * time.Second, 5 * time.Second, 100 * time.Millisecond},
		{0, 0, 0, maxTick},
		{time.Nanosecond, 0, 0, minTick},
	} {
		require.Equal(t, tc.want, tickFor(WebSocketConfig{PingInterval: tc.ping, PongTimeout: tc.pong, HandshakeTimeout: tc.handshake}))
	}
}
