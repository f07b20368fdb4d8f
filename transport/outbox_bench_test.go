package transport

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// openLink is a socket whose kernel always has room.
type openLink struct{ link }

func (openLink) direct() bool                { return true }
func (openLink) offer(b []byte) (int, error) { return len(b), nil }

func openConn() *conn {
	c := newConn(newSockets(edgeConfig(), nil, zerolog.Nop(), &edgeMetrics{}), nil)
	c.link = openLink{}
	return c
}

// outboxFrames are what a stream is made of.
func outboxFrames() []struct {
	name  string
	frame *protocol.Frame
} {
	text := []byte("twenty bytes of text")
	return []struct {
		name  string
		frame *protocol.Frame
	}{
		{"unnamed", &protocol.Frame{Type: protocol.TypeChunk, Text: text}},
		{"named", &protocol.Frame{Type: protocol.TypeChunk, Named: true, ID: "1", Seq: 1234, Text: text}},
	}
}

// TestOutboxDirectPathAllocatesNothing: a chunk to a client that reads.
func TestOutboxDirectPathAllocatesNothing(t *testing.T) {
	for _, f := range outboxFrames() {
		o := outbox{bound: 1 << 20, buf: make([]byte, 0, 512)}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if !o.add(f.frame, false) {
				panic("refused")
			}
			o.wrote(len(o.take(0)), 0)
		}), f.name)
	}
}

// TestOutboxReusesAJoinedChunk: what waits for a writer, as every chunk over TLS
// does, is copied into memory that is there; a long text is let go of.
func TestOutboxReusesAJoinedChunk(t *testing.T) {
	f := outboxFrames()[1].frame
	o := outbox{bound: 1 << 20, buf: make([]byte, 0, 512)}
	wait := func() {
		if !o.add(f, true) {
			panic("refused")
		}
		o.wrote(len(o.take(0)), 0)
	}
	wait()
	require.Zero(t, testing.AllocsPerRun(100, wait))
	require.True(t, o.add(&protocol.Frame{Type: protocol.TypeChunk, Text: make([]byte, keptTail+1)}, true))
	o.wrote(len(o.take(0)), 0)
	require.Nil(t, o.tail.text)
}

// BenchmarkOutbox is a chunk for a client that reads (direct), 64 chunks of one
// turn that wait and become one (joined=64), and 64 of two turns, which cannot
// (apart=64).
func BenchmarkOutbox(b *testing.B) {
	for _, f := range outboxFrames() {
		b.Run("direct/"+f.name, func(b *testing.B) {
			o := outbox{bound: 1 << 20}
			b.SetBytes(int64(len(f.frame.Text)))
			b.ReportAllocs()
			for b.Loop() {
				o.add(f.frame, false)
				o.wrote(len(o.take(0)), 0)
			}
		})
	}
	for _, bb := range []struct {
		name  string
		turns []string
	}{{"joined=64", []string{"1"}}, {"apart=64", []string{"1", "2"}}} {
		b.Run(bb.name, func(b *testing.B) {
			f := *outboxFrames()[1].frame
			o := outbox{bound: 1 << 20}
			b.SetBytes(int64(64 * len(f.Text)))
			b.ReportAllocs()
			for b.Loop() {
				for i := range 64 {
					f.ID, f.Seq = bb.turns[i%len(bb.turns)], uint64(i+1)
					o.add(&f, true)
				}
				o.wrote(len(o.take(0)), 0)
			}
		})
	}
}

// BenchmarkSend is a chunk through a connection whose kernel costs nothing: the
// lock, the outbox out of its pool and back, the figures.
func BenchmarkSend(b *testing.B) {
	for _, f := range outboxFrames() {
		b.Run(f.name, func(b *testing.B) {
			c := openConn()
			b.SetBytes(int64(len(f.frame.Text)))
			b.ReportAllocs()
			for b.Loop() {
				c.Send(f.frame)
			}
		})
	}
}
