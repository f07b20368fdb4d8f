package actors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
)

// answerChunks is how many chunks the answers of these figures have.
const answerChunks = 512

// TestTurnChunkAllocatesOnlyText: an answer's text grows a few times and nothing
// else is allocated, so a chunk costs no allocation of its own.
func TestTurnChunkAllocatesOnlyText(t *testing.T) {
	text := []byte("twenty bytes of text")
	perAnswer := testing.AllocsPerRun(20, func() {
		tn := turn{id: "1", named: true, state: turnAccepted}
		for seq := range uint64(answerChunks) {
			if tn.chunk(seq+1, text) != chunkNext {
				panic("not in order")
			}
		}
	})
	require.LessOrEqual(t, perAnswer, 16.0, "for %d chunks", answerChunks)
}

// BenchmarkTurn is a turn's judgement of one event: a chunk in order, with its
// share of the text's growth; one that came before; the end of an answer.
func BenchmarkTurn(b *testing.B) {
	text := []byte("twenty bytes of text")
	b.Run("chunk", func(b *testing.B) {
		var t turn
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if t.seq%answerChunks == 0 {
				t = turn{id: "1", named: true, state: turnAccepted}
			}
			if t.chunk(t.seq+1, text) != chunkNext {
				b.Fatal("not in order")
			}
		}
	})
	b.Run("repeated", func(b *testing.B) {
		t := turnIn(turnStreaming)
		b.ReportAllocs()
		for b.Loop() {
			if t.chunk(1, text) != chunkIgnored {
				b.Fatal("taken twice")
			}
		}
	})
	b.Run("complete", func(b *testing.B) {
		t := turnIn(turnStreaming)
		end := &bus.Event{Type: bus.EventComplete, Seq: t.seq + 1, Finish: "stop", Provider: "openai", Model: "gpt-4.1"}
		b.ReportAllocs()
		for b.Loop() {
			t.state = turnStreaming
			if !t.ended(end).end {
				b.Fatal("not the end")
			}
		}
	})
}
