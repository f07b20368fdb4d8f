package transport

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// clientBytes is what one client sends, and how it is cut: piece bytes a read.
type clientBytes struct {
	name   string
	bytes  []byte
	piece  int
	events int
	allocs float64 // for all of it
}

func clientStreams() []clientBytes {
	small, large := strings.Repeat("x", 100), strings.Repeat("word ", 20<<10)
	var split []byte
	for i := range 8 {
		op := ws.OpText
		if i > 0 {
			op = ws.OpContinuation
		}
		split = append(split, masked(op, i == 7, small)...)
	}
	return []clientBytes{
		{"text=100B", masked(ws.OpText, true, small), largeRead, 1, 0},
		{"text=100KiB", masked(ws.OpText, true, large), largeRead, 1, 4}, // the buffer doubles from 16 KiB
		{"fragments=8x100B", split, largeRead, 1, 4},
		{"ping", masked(ws.OpPing, true, "p"), largeRead, 1, 0},
		{"texts=64x100B", bytes.Repeat(masked(ws.OpText, true, small), 64), largeRead, 64, 0},
	}
}

// decodePieces feeds in as a reader does, and counts what was said. buf is
// overwritten.
func decodePieces(d *decoder, buf, in []byte, piece int) (events int) {
	for len(in) > 0 {
		n := copy(buf[:min(piece, len(in))], in)
		in = in[n:]
		for rest := buf[:n]; len(rest) > 0; {
			var ev event
			var err error
			if rest, ev, err = d.feed(rest); err != nil {
				panic(err)
			}
			if ev.op != ws.OpContinuation {
				events++
				d.release()
			}
		}
	}
	return events
}

func TestDecoderAllocatesOnlyWhatItGathers(t *testing.T) {
	buf := make([]byte, largeRead)
	for _, in := range clientStreams() {
		d := decoder{max: 1 << 20}
		require.Equal(t, in.events, decodePieces(&d, buf, in.bytes, in.piece), in.name)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { decodePieces(&d, buf, in.bytes, in.piece) }), in.allocs, in.name)
	}
}

// BenchmarkDecoder is a client's bytes on their way to events. Copying them into
// the read buffer is part of it: the decoder works in place.
func BenchmarkDecoder(b *testing.B) {
	buf := make([]byte, largeRead)
	for _, in := range clientStreams() {
		b.Run(in.name, func(b *testing.B) {
			d := decoder{max: 1 << 20}
			b.SetBytes(int64(len(in.bytes)))
			b.ReportAllocs()
			for b.Loop() {
				decodePieces(&d, buf, in.bytes, in.piece)
			}
		})
	}
}
