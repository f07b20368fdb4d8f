package engine

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// stream is one answer of n chunks as a server writes it, with its end.
func stream(id, n int) []byte {
	var b []byte
	var full string
	for seq := 1; seq <= n; seq++ {
		b = append(b, served(opText, true, fmt.Sprintf(`{"type":"chunk","id":"%d","seq":%d,"content":"word "}`, id, seq))...)
		full += "word "
	}
	return append(b, served(opText, true, fmt.Sprintf(`{"type":"complete","id":"%d","run_id":"r","seq":%d,"full_response":"%s","finish_reason":"stop"}`, id, n+1, full))...)
}

// reader is a client in the middle of an answer, without a socket.
func reader(tb testing.TB) *client {
	tb.Helper()
	s := scenario.Default()
	s.Connections, s.Questions.Named = 1, true
	r, err := newRun(&target{address: "127.0.0.1:1"}, s)
	require.NoError(tb, err)
	return r.clients[0]
}

func (c *client) expectAnswer(id int) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.turns = append(c.turns, &turn{id: id, due: c.run.clock(), text: c.shard.textBuffer()})
	c.shard.active++
	c.run.pending.Add(1)
}

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	c := reader(t)
	const chunks = 512
	answer := stream(1, chunks)
	half := len(answer) / 2
	c.expectAnswer(1)
	used, _, err := c.take(answer[:half]) // buffers grow once
	require.NoError(t, err)
	require.NoError(t, c.finish(answer[used:]))
	require.Empty(t, c.shard.errs)
	perAnswer := testing.AllocsPerRun(20, func() {
		c.expectAnswer(1)
		require.NoError(t, c.finish(answer))
	})
	require.Less(t, perAnswer, float64(chunks)/20, "an answer costs a few, its chunks none")
}

func (c *client) finish(b []byte) error {
	_, _, err := c.take(b)
	return err
}

// BenchmarkReadFrames reads answers out of memory: what a frame costs from the
// buffer to the figures, all checks included.
func BenchmarkReadFrames(b *testing.B) {
	c := reader(b)
	const chunks = 512
	answer := stream(1, chunks)
	b.SetBytes(int64(len(answer)) / (chunks + 1))
	b.ReportAllocs()
	frames := 0
	for b.Loop() {
		if frames%(chunks+1) == 0 {
			c.expectAnswer(1)
			for rest := answer; len(rest) > 0; {
				piece := rest[:min(len(rest), 16<<10)] // what one read brings
				used, _, err := c.take(piece)
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[used:]
			}
		}
		frames++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
	if len(c.shard.errs) > 0 {
		b.Fatal("the stream was found at fault: ", c.shard.errs)
	}
}

// BenchmarkReadSockets reads answers from sockets of this process. The writing
// side is in the figure frames/core-s, so the reading side is better than it.
func BenchmarkReadSockets(b *testing.B) {
	for _, each := range []int{0, 1} { // all at once; one frame a write, as a paced server does
		name := map[int]string{0: "firehose", 1: "paced"}[each]
		b.Run(name, func(b *testing.B) { readSockets(b, each) })
	}
}

func readSockets(b *testing.B, each int) {
	const chunks = 512
	c := reader(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer func() { _ = listener.Close() }()
	answer := stream(1, chunks)
	one := len(answer) / (chunks + 1)
	go func() {
		nc, err := listener.Accept()
		if err != nil {
			return
		}
		for {
			rest := answer
			for len(rest) > 0 {
				piece := rest
				if each > 0 {
					piece = rest[:min(len(rest), one)]
				}
				if _, err := nc.Write(piece); err != nil {
					return
				}
				rest = rest[len(piece):]
			}
		}
	}()
	nc, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(b, err)
	sock := newSocket(nc, &c.run.buffers, nil)
	limit := &limited{client: c, left: b.N, sock: sock}
	b.ResetTimer()
	began, cpu := time.Now(), cpuTime()
	_ = sock.pump(limit)
	passed, used := time.Since(began), cpuTime()-cpu
	sock.close()
	b.ReportMetric(float64(c.shard.frames)/passed.Seconds(), "frames/s")
	b.ReportMetric(float64(c.shard.frames)/used.Seconds(), "frames/core-s")
	if len(c.shard.errs) > 0 {
		b.Fatal("the stream was found at fault: ", c.shard.errs)
	}
}

// limited asks for answer after answer, and ends after so many frames.
type limited struct {
	*client
	left int
	sock *socket
	seen int64
}

func (l *limited) take(b []byte) (used, need int, err error) {
	if len(l.turns) == 0 {
		l.expectAnswer(1)
	}
	used, need, err = l.decodeOne(b)
	if l.left -= int(l.shard.frames - l.seen); l.left <= 0 && err == nil {
		err = net.ErrClosed
	}
	l.seen = l.shard.frames
	return used, need, err
}

// decodeOne stops at the end of an answer, so that the next may be expected.
func (l *limited) decodeOne(b []byte) (used, need int, err error) {
	end := len(b)
	if i := endOfAnswer(b); i > 0 {
		end = i
	}
	used, need, err = l.client.take(b[:end])
	for err == nil && used == end && end < len(b) {
		l.expectAnswer(1)
		next := len(b)
		if i := endOfAnswer(b[end:]); i > 0 {
			next = end + i
		}
		var more int
		more, need, err = l.client.take(b[end:next])
		used += more
		if used < next {
			break
		}
		end = next
	}
	return used, need, err
}

// endOfAnswer is the index behind the next end of an answer, or 0.
func endOfAnswer(b []byte) int {
	const mark = `"finish_reason":"stop"}`
	for i := 0; i+len(mark) <= len(b); i++ {
		if b[i] == '"' && b[i+1] == 'f' && string(b[i:i+len(mark)]) == mark {
			return i + len(mark)
		}
	}
	return 0
}

func TestWhatComesOnASocketThatWasGivenUpIsNoBreach(t *testing.T) {
	r, err := newRun(&target{}, plan(t, named))
	require.NoError(t, err)
	c := r.clients[0]
	late := []byte(`{"type":"chunk","id":"1","seq":1,"content":"late"}`)
	c.cut = true
	c.message(late)
	require.Zero(t, c.shard.breachEnds)
	c.cut = false
	c.message(late)
	require.Equal(t, int64(1), c.shard.breachEnds)
}
