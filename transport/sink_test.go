package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func chunkOf(seq uint64, text string) *protocol.Frame {
	return &protocol.Frame{Type: protocol.TypeChunk, Named: true, RunID: "r", Seq: seq, Text: []byte(text)}
}

func never(t *testing.T) func() { return func() { t.Error("cut") } }

func TestSinkCopiesAndJoins(t *testing.T) {
	k := newSink(1<<20, false, never(t))
	f := chunkOf(1, "one ")
	k.Send(f)
	copy(f.Text, "XXXX")
	k.Send(chunkOf(2, "two "))
	k.Send(chunkOf(3, "three"))
	usage := &protocol.Usage{OutputTokens: 3}
	k.Send(&protocol.Frame{Type: protocol.TypeComplete, Usage: usage})
	usage.OutputTokens = 9

	b := k.take()
	require.Len(t, b.frames, 2)
	require.Equal(t, "one two three", string(b.frames[0].Text))
	require.Equal(t, uint64(1), b.frames[0].From)
	require.Equal(t, uint64(3), b.frames[0].Seq)
	require.Equal(t, 3, b.frames[1].Usage.OutputTokens)
	require.True(t, b.frames[1].Named)
}

func TestSinkBound(t *testing.T) {
	long := strings.Repeat("x", 4096)

	k := newSink(1024, false, never(t))
	k.Send(chunkOf(1, long))
	require.Len(t, k.take().frames, 1, "alone it passes")

	k = newSink(1024, false, never(t))
	k.Send(&protocol.Frame{Type: protocol.TypeAccepted})
	k.Send(&protocol.Frame{Type: protocol.TypeSnapshot, Text: []byte(long)})
	k.Send(chunkOf(2, "x"))
	k.Send(&protocol.Frame{Type: protocol.TypeComplete, Text: []byte(long)})
	require.Len(t, k.take().frames, 4, "a fast reader is not cut for a long answer")

	cuts := 0
	k = newSink(1024, false, func() { cuts++ })
	k.Send(chunkOf(1, "x"))
	k.Send(chunkOf(2, long))
	k.Send(chunkOf(3, long))
	b := k.take()
	require.True(t, b.cut)
	require.Equal(t, 1, cuts)
	require.Len(t, b.frames, 1)
	require.Equal(t, protocol.SlowConsumer, b.frames[0].Code)
}

func TestSinkForOneObjectKeepsTheEndAlone(t *testing.T) {
	k := newSink(1024, true, never(t))
	for seq := range uint64(100) {
		k.Send(chunkOf(seq+1, strings.Repeat("x", 1000)))
	}
	k.Send(&protocol.Frame{Type: protocol.TypeCancelled})
	require.Len(t, k.take().frames, 1)
}

func TestSinkIsDeafAfterDetach(t *testing.T) {
	k := newSink(1024, false, never(t))
	k.detach()
	k.Send(chunkOf(1, "x"))
	k.Send(chunkOf(2, strings.Repeat("x", 4096)))
	require.Empty(t, k.take().frames)
}

// Whatever is sent and whenever it is taken: nothing is lost, nothing repeated.
func TestSinkKeepsEveryByteInOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		k := newSink(1<<20, false, func() { r.Fatal("cut") })
		var sent, got strings.Builder
		var next uint64 = 1
		collect := func() {
			for _, f := range k.take().frames {
				first := f.From
				if first == 0 {
					first = f.Seq
				}
				if first != next {
					r.Fatalf("gap: %d after %d", first, next)
				}
				next = f.Seq + 1
				got.Write(f.Text)
			}
		}
		for seq := range rapid.IntRange(1, 50).Draw(r, "chunks") {
			text := rapid.StringMatching(`[a-z]{1,5}`).Draw(r, "text")
			sent.WriteString(text)
			k.Send(chunkOf(uint64(seq+1), text))
			if rapid.Bool().Draw(r, "take") {
				collect()
			}
		}
		collect()
		if sent.String() != got.String() {
			r.Fatalf("%q became %q", sent.String(), got.String())
		}
	})
}
