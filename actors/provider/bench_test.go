package provider

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

const benchChunks = 1000

func benchOpenAI() []byte {
	s := providertest.Script{Deltas: []string{" token"}, Repeats: benchChunks - 1}
	return s.Stream("gpt-4.1-2026-04-14")
}

// benchWires are the codecs, each with what its vendor sends for as many chunks.
func benchWires() map[string]struct {
	wire wire
	in   []byte
} {
	return map[string]struct {
		wire wire
		in   []byte
	}{
		TypeOpenAI:    {new(openAI), benchOpenAI()},
		TypeAnthropic: {new(anthropic), benchAnthropic()},
		TypeGemini:    {new(gemini), benchGemini()},
	}
}

func relayAll(tb testing.TB, a *answer, w wire, in []byte) {
	tb.Helper()
	a.reset(bytes.NewReader(in))
	if err := a.relay(w, deaf{}); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkRelay is each codec whole; "lines" beside it reads the same lines and
// understands nothing of them. What a chunk costs over HTTP, beside the vendors'
// own libraries, is in the oracle module.
func BenchmarkRelay(b *testing.B) {
	perChunk := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchChunks, "ns/chunk")
	}
	for name, tt := range benchWires() {
		b.Run(name+"/codec", func(b *testing.B) {
			var a answer
			b.ReportAllocs()
			for b.Loop() {
				relayAll(b, &a, tt.wire, tt.in)
			}
			perChunk(b)
		})
		b.Run(name+"/lines", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := bufio.NewReader(bytes.NewReader(tt.in))
				for {
					if _, err := r.ReadSlice('\n'); err != nil {
						break
					}
				}
			}
			perChunk(b)
		})
	}
}

// The hot path's bound: a chunk costs one allocation, its JSON as a string.
func TestAllocationsPerChunk(t *testing.T) {
	for name, tt := range benchWires() {
		var a answer
		perRun := testing.AllocsPerRun(20, func() { relayAll(t, &a, tt.wire, tt.in) })
		if perChunk := perRun / benchChunks; perChunk > 1.1 {
			t.Errorf("%s: %.2f allocations a chunk", name, perChunk)
		}
	}
}
