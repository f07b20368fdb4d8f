package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// BenchmarkRelay streams answers through a whole Troupe to many sockets, in one
// process, for a profile: an operation is one answer on every socket.
//
//	go test ./cmd/troupe -run - -bench Relay/paced -benchtime 5x -cpuprofile cpu.prof
//
// The clients are in the profile too, as net.(*conn).Read under BenchmarkRelay.
// cmd/troupe-bench measures from the outside, against floors.
func BenchmarkRelay(b *testing.B) {
	const sockets = 256
	for _, bb := range []struct {
		name, model string
		words       int
	}{
		{"paced", "echo-20ms-100w", 100},
		{"firehose", "echo-0s-512w", 512},
	} {
		b.Run(bb.name, func(b *testing.B) {
			clients := benchClients(b, sockets)
			b.ReportAllocs()
			for b.Loop() {
				var wg sync.WaitGroup
				for _, c := range clients {
					wg.Go(func() {
						if err := c.answer(bb.model, bb.words); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sockets*bb.words), "ns/text")
		})
	}
}

// benchClient is a socket with as little around it as a client can have.
type benchClient struct {
	nc net.Conn
	br *bufio.Reader
}

func benchClients(b *testing.B, n int) []benchClient {
	b.Helper()
	c, _, err := config.Load(config.Sources{Env: []string{}, Args: []string{
		"--http.listen=127.0.0.1:0", "--limits.connections.max=0", "--limits.sessions.max=0", "--limits.messages.max=0",
		"--pool.max_per_ip=0", "--websocket.outbox_bytes=4194304", "--overload.enabled=false", // what it can do at most, not what it should
	}})
	require.NoError(b, err)
	a, err := newApp(b.Context(), appOptions{Role: roleServe, Config: c, Log: zerolog.Nop(), Version: "bench"})
	require.NoError(b, err)
	b.Cleanup(func() { a.stop(context.Background()) })
	require.Eventually(b, func() bool { return a.gateway.actors.Health().Workers == 1 }, 5*time.Second, 5*time.Millisecond)

	clients := make([]benchClient, n)
	for i := range clients {
		nc, br, _, err := ws.Dial(b.Context(), fmt.Sprintf("ws://%s/ws/chat/s%d", a.addr(), i))
		require.NoError(b, err)
		b.Cleanup(func() { _ = nc.Close() })
		if br == nil {
			br = bufio.NewReader(nc)
		}
		clients[i] = benchClient{nc, br}
	}
	return clients
}

// answer asks and reads to the end, and counts the words that came.
func (c benchClient) answer(model string, words int) error {
	ask := `{"type":"chat","content":"word","provider":"echo","model":"` + model + `"}`
	if err := ws.WriteFrame(c.nc, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(ask)))); err != nil {
		return err
	}
	var payload []byte
	got := 0
	for {
		h, err := ws.ReadHeader(c.br)
		if err != nil {
			return err
		}
		if int64(cap(payload)) < h.Length {
			payload = make([]byte, h.Length)
		}
		payload = payload[:h.Length]
		if _, err := io.ReadFull(c.br, payload); err != nil {
			return err
		}
		switch text := string(payload); {
		case strings.HasPrefix(text, `{"type":"chunk"`):
			got += strings.Count(text, "word")
		case strings.HasPrefix(text, `{"type":"complete"`) && got == words:
			return nil
		default:
			return fmt.Errorf("after %d of %d words: %.200s", got, words, text)
		}
	}
}
