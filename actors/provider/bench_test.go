package provider

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
)

const benchChunks = 1000

func benchStream() []byte {
	s := providertest.Script{Deltas: []string{" token"}, Repeats: benchChunks - 1}
	return s.Stream("gpt-4.1-2026-04-14")
}

// BenchmarkOpenAIRelay is the whole codec; BenchmarkLines beside it reads the
// same lines and understands nothing of them.
func BenchmarkOpenAIRelay(b *testing.B) {
	in := benchStream()
	var a answer
	b.ReportAllocs()
	for b.Loop() {
		a.reset(bytes.NewReader(in))
		if err := a.relay(new(openAI), deaf{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchChunks, "ns/chunk")
}

func BenchmarkLines(b *testing.B) {
	in := benchStream()
	b.ReportAllocs()
	for b.Loop() {
		r := bufio.NewReader(bytes.NewReader(in))
		for {
			if _, err := r.ReadSlice('\n'); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchChunks, "ns/chunk")
}

// The hot path's bound: a chunk costs one allocation, its JSON as a string.
func TestOpenAIAllocationsPerChunk(t *testing.T) {
	in := benchStream()
	var a answer
	perRun := testing.AllocsPerRun(20, func() {
		a.reset(bytes.NewReader(in))
		if err := a.relay(new(openAI), deaf{}); err != nil {
			t.Fatal(err)
		}
	})
	if perChunk := perRun / benchChunks; perChunk > 1.1 {
		t.Fatalf("%.2f allocations a chunk", perChunk)
	}
}
