package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// echoing runs the program and returns its address.
func echoing(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	over := make(chan int, 1)
	go func() { over <- run(ctx, append([]string{"-listen", "127.0.0.1:0"}, args...), in, io.Discard) }()
	t.Cleanup(func() {
		cancel()
		require.Equal(t, 0, <-over)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(strings.TrimPrefix(line, "echoing at "))
}

// readers runs a test with both.
func readers(t *testing.T, test func(t *testing.T, reader string)) {
	for _, reader := range []string{"goroutine", "loop"} {
		t.Run(reader, func(t *testing.T) { test(t, reader) })
	}
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url, nil)
	require.NoError(t, err)
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func TestEveryMessageComesBack(t *testing.T) {
	readers(t, func(t *testing.T, reader string) {
		c := dial(t, echoing(t, "-reader", reader))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		random := rand.New(rand.NewPCG(1, 2)) // the lengths at which a header grows, and the largest message
		for _, size := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20, 16 << 20} {
			binary, text := make([]byte, size), bytes.Repeat([]byte("é"), size/2)
			for i := range binary {
				binary[i] = byte(random.Uint32())
			}
			for _, m := range []struct {
				kind websocket.MessageType
				data []byte
			}{{websocket.MessageBinary, binary}, {websocket.MessageText, text}} {
				require.NoError(t, c.Write(ctx, m.kind, m.data))
				kind, got, err := c.Read(ctx)
				require.NoError(t, err, size)
				require.Equal(t, m.kind, kind)
				require.True(t, bytes.Equal(m.data, got), size)
			}
		}
		ctx = c.CloseRead(ctx) // so that the library reads the pong
		require.NoError(t, c.Ping(ctx))
	})
}

// A server bounds the fragments of a message; a suite sends thousands.
func TestThousandsOfFragmentsAreOneMessage(t *testing.T) {
	readers(t, func(t *testing.T, reader string) {
		c := dial(t, echoing(t, "-reader", reader))
		w, err := c.Writer(t.Context(), websocket.MessageText)
		require.NoError(t, err)
		var want strings.Builder
		for i := range 2000 {
			piece := strings.Repeat("日", 1365+i%2) // each fills a fragment of the library
			want.WriteString(piece)
			_, err := io.WriteString(w, piece)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		kind, got, err := c.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, websocket.MessageText, kind)
		require.True(t, want.String() == string(got))
	})
}

func TestWhatTheRFCForbidsIsStillRefused(t *testing.T) {
	readers(t, func(t *testing.T, reader string) {
		url := echoing(t, "-reader", reader, "-max", "1000")
		for _, tt := range []struct {
			name string
			kind websocket.MessageType
			data string
			want websocket.StatusCode
		}{
			{"not UTF-8", websocket.MessageText, "\xff", websocket.StatusInvalidFramePayloadData},
			{"half a character", websocket.MessageText, "\xe6\x97", websocket.StatusInvalidFramePayloadData},
			{"too big", websocket.MessageBinary, strings.Repeat("x", 1001), websocket.StatusMessageTooBig},
		} {
			c := dial(t, url)
			require.NoError(t, c.Write(t.Context(), tt.kind, []byte(tt.data)))
			for {
				if _, _, err := c.Read(t.Context()); err != nil { // an error frame may come before
					require.Equal(t, tt.want, websocket.CloseStatus(err), tt.name)
					break
				}
			}
		}
	})
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"more"}, {"-max", "0"}, {"-help"}} {
		require.Equal(t, 2, run(t.Context(), args, io.Discard, io.Discard), args)
	}
	for _, args := range [][]string{{"-listen", "nowhere"}, {"-reader", "magic"}} {
		var said bytes.Buffer
		require.Equal(t, 1, run(t.Context(), args, io.Discard, &said), args)
		require.Contains(t, said.String(), "wsecho: ")
	}
}
