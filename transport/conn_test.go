package transport

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	pingJSON = `{"type":"ping"}`
	pongJSON = `{"type":"pong"}`
)

func pongFrame() *protocol.Frame { return &protocol.Frame{Type: protocol.TypePong} }

// transports runs a test over both ways to the network.
func transports(t *testing.T, test func(t *testing.T, over edgeLink)) {
	t.Run("tcp", func(t *testing.T) { test(t, overTCP) })
	t.Run("tls", func(t *testing.T) { test(t, overTLS) })
	t.Run("loop", func(t *testing.T) { test(t, overLoop) })
}

func TestSocketTalksToAForeignClient(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		e.gateway.receive = func(s *edgeSession, r protocol.Request) {
			require.IsType(t, &protocol.Chat{}, r)
			text := protocol.AppendEscapedString(nil, r.(*protocol.Chat).Content)
			s.socket.Send(&protocol.Frame{Type: protocol.TypeChunk, Text: text})
			s.socket.Next()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		url := "ws" + strings.TrimPrefix(e.server.URL, "http")
		c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
			HTTPClient: e.server.Client(), CompressionMode: websocket.CompressionContextTakeover, Subprotocols: []string{"x"},
		})
		require.NoError(t, err)
		require.Empty(t, c.Subprotocol())
		c.SetReadLimit(-1)
		session := <-e.gateway.opened
		require.Equal(t, "s1", session.client.Session)
		session.socket.Next()
		for _, size := range []int{1, 100, 5000, 100000, 200000} {
			content := strings.Repeat("é", size/2+1)
			question, err := json.Marshal(map[string]string{"type": "chat", "content": content})
			require.NoError(t, err)
			require.NoError(t, c.Write(ctx, websocket.MessageText, question))
			_, got, err := c.Read(ctx)
			require.NoError(t, err)
			var f struct{ Content string }
			require.NoError(t, json.Unmarshal(got, &f))
			require.Equal(t, content, f.Content)
		}
		require.NoError(t, c.Close(websocket.StatusNormalClosure, "done"))
		session.wantClosed(t, protocol.CauseClient)
	})
}

// What a client sends right behind its handshake is not lost, and is not
// handed over before the session asks for it, one request for each Next.
func TestSocketKeepsEarlyBytesAndWaitsForNext(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		ping := masked(ws.OpText, true, pingJSON)
		client, session := e.dial(t, join(ping, masked(ws.OpText, true, `{"type":"cancel","id":"1"}`), ping))
		require.Empty(t, session.requests)
		session.socket.Next()
		require.IsType(t, &protocol.Ping{}, <-session.requests)
		require.Empty(t, session.requests, "one Next, one request")
		session.socket.Next()
		require.Equal(t, &protocol.Cancel{ID: "1"}, <-session.requests)
		session.socket.Next()
		require.IsType(t, &protocol.Ping{}, <-session.requests)
		session.socket.Next()
		client.send(ping)
		require.IsType(t, &protocol.Ping{}, <-session.requests)
	})
}

// A session may call everything from inside Receive.
func TestSocketIsReentrant(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		left := 3
		e.gateway.open = func(s *edgeSession) { s.socket.Next() }
		e.gateway.receive = func(s *edgeSession, _ protocol.Request) {
			s.socket.Send(pongFrame())
			if left--; left == 0 {
				s.socket.Close("")
			}
			s.socket.Next()
		}
		ping := masked(ws.OpText, true, pingJSON)
		client, session := e.dial(t, join(ping, ping, ping, ping))
		for range 3 {
			client.wantText(pongJSON)
		}
		client.wantClose(1000, "")
		client.send(masked(ws.OpClose, true, closeBody(1000, "")))
		client.wantEnd()
		session.wantClosed(t, protocol.CauseServer)
	})
}

// What is queued goes out with the frame behind it, in one write; a lot of it
// does not wait for that.
func TestSocketQueues(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		client, session := e.dial(t, nil)
		session.socket.Next()
		chunk := func(text string) *protocol.Frame {
			return &protocol.Frame{Type: protocol.TypeChunk, Text: []byte(text)}
		}
		before := e.metrics.writes.Load()
		session.socket.Queue(chunk("a"))
		session.socket.Queue(chunk("b"))
		require.Equal(t, before, e.metrics.writes.Load())
		session.socket.Send(chunk("c"))
		if over == overTLS { // nothing is written directly: what waits is joined
			client.wantText(`{"type":"chunk","content":"abc"}`)
		} else {
			client.wantText(`{"type":"chunk","content":"a"}`)
			client.wantText(`{"type":"chunk","content":"b"}`)
			client.wantText(`{"type":"chunk","content":"c"}`)
		}
		require.Equal(t, before+1, e.metrics.writes.Load())
		long := strings.Repeat("d", queueWrite)
		session.socket.Queue(chunk(long))
		client.wantText(`{"type":"chunk","content":"` + long + `"}`)
		session.socket.Queue(chunk("last words"))
		session.socket.Close("")
		client.wantText(`{"type":"chunk","content":"last words"}`)
		client.wantClose(1000, "")
	})
}

func TestSocketAnswersPings(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		client, session := e.dial(t, nil)
		session.socket.Next()
		client.send(join(masked(ws.OpPing, true, "are you there"), masked(ws.OpPong, true, "unasked"), masked(ws.OpPing, true, "")))
		op, payload := client.next()
		require.Equal(t, ws.OpPong, op)
		require.Equal(t, "are you there", payload)
		op, payload = client.next()
		require.Equal(t, ws.OpPong, op)
		require.Empty(t, payload)
	})
}

func TestSocketCloses(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		for _, tc := range []struct {
			code   protocol.Code
			status ws.StatusCode
		}{
			{"", 1000},
			{protocol.InvalidSession, 1008},
			{protocol.ShuttingDown, 1001},
			{protocol.Internal, 1011},
			{protocol.IdleTimeout, 1000},
			{protocol.RateLimitExceeded, 1000}, // its entry keeps a socket open; Close closes all the same
		} {
			t.Run("by the server "+string(tc.code), func(t *testing.T) {
				e := newEdge(t, edgeConfig(), over)
				client, session := e.dial(t, nil)
				session.socket.Next()
				session.socket.Send(pongFrame())
				session.socket.Close(tc.code)
				session.socket.Close(protocol.Internal)
				session.socket.Send(pongFrame())
				client.wantText(pongJSON)
				client.wantClose(tc.status, string(tc.code))
				client.send(join(masked(ws.OpText, true, pingJSON), masked(ws.OpClose, true, closeBody(1000, ""))))
				client.wantEnd()
				session.wantClosed(t, protocol.CauseServer)
				require.Empty(t, session.requests, "after Close nothing is handed over")
				session.socket.Next()
				session.socket.Send(pongFrame())
				session.socket.Close("")
				require.Empty(t, session.closed, "Closed is called once")
			})
		}
		for _, tc := range []struct {
			name string
			body string
			want ws.StatusCode
		}{
			{"without a code", "", 1000},
			{"1000", closeBody(1000, "bye"), 1000},
			{"1001", closeBody(1001, ""), 1001},
			{"4321", closeBody(4321, ""), 4321},
		} {
			t.Run("by the client "+tc.name, func(t *testing.T) {
				e := newEdge(t, edgeConfig(), over)
				client, session := e.dial(t, nil)
				session.socket.Next()
				client.send(join(masked(ws.OpClose, true, tc.body), masked(ws.OpText, true, pingJSON)))
				client.wantClose(tc.want, "")
				client.wantEnd()
				session.wantClosed(t, protocol.CauseClient)
				require.Empty(t, session.requests)
			})
		}
	})
}

func TestSocketFailsWhoBreaksTheRules(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		cfg := edgeConfig()
		cfg.MaxMessageBytes = 1000
		flood := []byte{}
		for range controlBurst + 200 {
			flood = append(flood, masked(ws.OpPong, true, "")...)
		}
		for _, tc := range []struct {
			name  string
			in    []byte
			code  ws.StatusCode
			cause protocol.Cause
		}{
			{"binary", masked(ws.OpBinary, true, "x"), 1003, protocol.CauseProtocol},
			{"no mask", header(0x81, 0x00), 1002, protocol.CauseProtocol},
			{"not UTF-8", masked(ws.OpText, true, "\xff"), 1007, protocol.CauseProtocol},
			{"too many control frames", flood, 1008, protocol.CauseProtocol},
			{"too big", masked(ws.OpText, true, strings.Repeat("x", 300000)), 1009, protocol.CauseTooBig},
		} {
			t.Run(tc.name, func(t *testing.T) {
				e := newEdge(t, cfg, over)
				client, session := e.dial(t, nil)
				session.socket.Next()
				client.send(tc.in)
				if tc.cause == protocol.CauseTooBig {
					op, frame := client.next()
					require.Equal(t, ws.OpText, op)
					require.Contains(t, frame, `"MESSAGE_TOO_BIG"`)
					require.Contains(t, frame, "larger than 1000 bytes")
				}
				op, body := client.next()
				require.Equal(t, ws.OpClose, op)
				code, reason := ws.ParseCloseFrameData([]byte(body))
				require.Equal(t, tc.code, code)
				require.NotEmpty(t, reason)
				client.wantEnd()
				require.NoError(t, client.nc.Close())
				session.wantClosed(t, tc.cause)
				require.EqualValues(t, 1, e.metrics.protocolErrors.Load())
			})
		}
	})
}

func TestSocketNoticesThatTheClientIsGone(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		for name, leave := range map[string]func(net.Conn) error{
			"fin": func(nc net.Conn) error { return nc.(interface{ CloseWrite() error }).CloseWrite() },
			"rst": func(nc net.Conn) error {
				if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
					nc = inner.NetConn()
				}
				_ = nc.(*net.TCPConn).SetLinger(0)
				return nc.Close()
			},
		} {
			t.Run(name, func(t *testing.T) {
				e := newEdge(t, edgeConfig(), over)
				client, session := e.dial(t, nil)
				session.socket.Next()
				require.NoError(t, leave(client.nc))
				session.wantClosed(t, protocol.CauseGone)
			})
		}
	})
}

// The last words and the end may be there together, before anybody reads.
func TestSocketNoticesTheEndBehindTheLastWords(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		client, session := e.dial(t, nil)
		client.send(masked(ws.OpText, true, pingJSON))
		require.NoError(t, client.nc.(interface{ CloseWrite() error }).CloseWrite())
		session.socket.Next()
		require.IsType(t, &protocol.Ping{}, <-session.requests)
		session.socket.Next()
		session.wantClosed(t, protocol.CauseGone)
	})
}

func TestOneWritePerFrame(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		client, session := e.dial(t, nil)
		require.EqualValues(t, 1, e.metrics.writes.Load(), "the handshake")
		for i := range 100 {
			session.socket.Send(pongFrame())
			client.wantText(pongJSON)
			require.EqualValues(t, 2+i, e.metrics.writes.Load())
		}
		require.EqualValues(t, 100, e.metrics.framesOut.Load())
	})
}

// A client that stalls costs its outbox and no frame: what piled up comes as
// few joined chunks, whole and in order.
func TestChunksJoinBehindAStalledReader(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		cfg := edgeConfig()
		cfg.OutboxBytes = 4 << 20
		e := newEdge(t, cfg, over)
		client, session := e.dial(t, nil)
		const chunks = 3000
		text := strings.Repeat("x", 1000)
		for i := range chunks {
			session.socket.Send(chunkFrame("a", uint64(i+1), text))
		}
		require.Positive(t, e.metrics.outboxBytes.Load())
		session.socket.Send(&protocol.Frame{Type: protocol.TypeComplete, Named: true, ID: "a", Seq: chunks + 1})
		bytes, frames, last := 0, 0, uint64(0)
		for last <= chunks {
			_, payload := client.next()
			var f struct {
				Seq, From uint64
				Content   string
			}
			require.NoError(t, json.Unmarshal([]byte(payload), &f))
			first := f.Seq
			if f.From != 0 {
				first = f.From
			}
			require.Equal(t, last+1, first)
			last = f.Seq
			bytes += len(f.Content)
			frames++
		}
		require.Equal(t, chunks*len(text), bytes)
		require.Less(t, frames, chunks)
		require.Less(t, e.metrics.writes.Load(), uint64(chunks))
		require.EqualValues(t, chunks+1, e.metrics.framesOut.Load())
	})
}

// A client that does not read is told so, as the last thing it finds when it
// reads after all, and is cut.
func TestSlowConsumer(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		client, session := e.dial(t, nil)
		session.socket.Next()
		text := strings.Repeat("x", 10000)
		sent := 0
		for e.metrics.slowConsumers.Load() == 0 {
			sent++
			require.Less(t, sent, 5000, "the bound is never reached")
			session.socket.Send(chunkFrame("a", uint64(sent), text))
			require.LessOrEqual(t, e.metrics.outboxBytes.Load(), int64(edgeConfig().OutboxBytes+envelope+len(text)))
		}
		if over != overTLS {
			session.wantClosed(t, protocol.CauseSlowConsumer) // at once: it does not wait for the client
		}
		op, payload := client.next()
		for op == ws.OpText {
			op, payload = client.next()
		}
		code, reason := ws.ParseCloseFrameData([]byte(payload))
		require.Equal(t, ws.StatusCode(1013), code)
		require.Equal(t, "SLOW_CONSUMER", reason)
		client.wantEnd()
		if over == overTLS {
			session.wantClosed(t, protocol.CauseSlowConsumer)
		}
	})
}

func TestALargeFramePassesAlone(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		cfg := edgeConfig()
		cfg.OutboxBytes = 10000
		e := newEdge(t, cfg, over)
		client, session := e.dial(t, nil)
		large := strings.Repeat("x", 3<<20)
		c := session.socket.(*conn)
		require.Eventually(t, func() bool { // the handshake's answer waits no more: the client may have it before its writer says so
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.state.out == nil || c.state.out.empty()
		}, 5*time.Second, time.Millisecond)
		session.socket.Send(chunkFrame("a", 1, large))
		session.socket.Send(pongFrame())
		_, payload := client.next()
		require.Greater(t, len(payload), len(large))
		client.wantText(pongJSON)
	})
}

// A panic of this socket's code ends this socket, tells its client, and shows
// no value in the log.
func TestAPanicEndsOneSocket(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		e.gateway.receive = func(*edgeSession, protocol.Request) { panic("sk-secret") }
		client, session := e.dial(t, nil)
		session.socket.Next()
		client.send(masked(ws.OpText, true, pingJSON))
		op, frame := client.next()
		require.Equal(t, ws.OpText, op)
		require.Contains(t, frame, `"INTERNAL"`)
		client.wantClose(1011, "INTERNAL")
		client.wantEnd()
		require.NoError(t, client.nc.Close())
		session.wantClosed(t, protocol.CauseServer)
		require.EqualValues(t, 1, e.metrics.panics.Load())
		require.Contains(t, e.log.String(), "WebSocket connection error")
		require.Contains(t, e.log.String(), "conn_read.go", "the stack")
		require.NotContains(t, e.log.String(), "sk-secret")
	})
}

func TestAPanicInOpenEndsOneSocket(t *testing.T) {
	transports(t, func(t *testing.T, over edgeLink) {
		e := newEdge(t, edgeConfig(), over)
		open := e.gateway.opened
		e.gateway.open = func(s *edgeSession) {
			open <- s
			panic("no")
		}
		client, _ := e.dial(t, nil)
		_, frame := client.next()
		require.Contains(t, frame, `"INTERNAL"`)
		client.wantClose(1011, "INTERNAL")
		client.wantEnd()
		require.Contains(t, e.log.String(), `"connection":"c1","address":"127.0.0.1"`)
	})
}

// A thousand sockets, ended in every way, leave no goroutine and no descriptor.
func TestSocketsLeaveNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	before := descriptors(t)
	transports(t, func(t *testing.T, over edgeLink) {
		if over == overTLS {
			return // a goroutine for each, as over TCP; a thousand handshakes say nothing more
		}
		e := newEdge(t, edgeConfig(), over)
		for round := range 10 {
			sessions := make([]*edgeSession, 0, 100)
			clients := make([]*edgeClient, 0, 100)
			for range 100 {
				c, s := e.dial(t, nil)
				s.socket.Next()
				clients, sessions = append(clients, c), append(sessions, s)
			}
			for i, c := range clients {
				switch (i + round) % 4 {
				case 0:
					require.NoError(t, c.nc.Close())
				case 1:
					c.send(masked(ws.OpClose, true, ""))
				case 2:
					sessions[i].socket.Close("")
					c.send(masked(ws.OpClose, true, ""))
				case 3:
					c.send(masked(ws.OpBinary, true, ""))
					c.wantClose(1003, "binary messages are not understood: send JSON as text")
					require.NoError(t, c.nc.Close())
				}
			}
			for i, s := range sessions {
				select {
				case <-s.closed:
				case <-time.After(15 * time.Second):
					require.Fail(t, "never closed", i)
				}
			}
		}
	})
	if before >= 0 {
		require.LessOrEqual(t, descriptors(t), before)
	}
}

// descriptors counts this process's open descriptors, where that can be seen.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	sockets := 0
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			sockets++
		}
	}
	return sockets
}

// BenchmarkIdleConnection measures what one idle, admitted socket costs in user
// memory, its goroutine included and the client's end (a bare net.Conn) taken
// off: go test -bench Idle -benchtime 1x ./transport
func BenchmarkIdleConnection(b *testing.B) {
	const sockets = 2000
	for i, talked := range []bool{false, true, false, true} {
		over := []edgeLink{overTCP, overLoop}[i/2]
		b.Run([]string{"tcp", "loop"}[i/2]+"/talked="+strconv.FormatBool(talked), func(b *testing.B) {
			for b.Loop() {
				e := newEdge(b, edgeConfig(), over)
				e.gateway.receive = func(s *edgeSession, _ protocol.Request) { s.socket.Next() }
				ends := bareEnds(b, sockets)
				clients := make([]*edgeClient, sockets)
				before := inUse()
				for i := range clients {
					client, session := e.dial(b, nil)
					session.socket.Next()
					if talked {
						client.send(masked(ws.OpText, true, pingJSON))
					}
					client.r = nil
					clients[i] = client
				}
				b.ReportMetric((inUse()-before)/sockets-ends, "B/socket")
				for _, c := range clients {
					_ = c.nc.Close()
				}
			}
		})
	}
}

// bareEnds measures the client's end: a connected net.Conn that nobody reads.
func bareEnds(b *testing.B, n int) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	before := inUse()
	ends := make([]net.Conn, 0, 2*n)
	for range n {
		nc, err := net.Dial("tcp", l.Addr().String())
		require.NoError(b, err)
		other, err := l.Accept()
		require.NoError(b, err)
		ends = append(ends, nc, other)
	}
	per := (inUse() - before) / float64(2*n)
	for _, nc := range ends {
		_ = nc.Close()
	}
	return per
}

func inUse() float64 {
	var m runtime.MemStats
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}
