package bus

import (
	"bytes"
	"testing"
)

// benchmarkEvents are lines of a stream: one kind each.
func benchmarkEvents() []struct {
	name  string
	event Event
} {
	answer := bytes.Repeat([]byte("twenty bytes of text"), 50)
	return []struct {
		name  string
		event Event
	}{
		{"chunk", Event{Type: EventChunk, To: 123456, Seq: 99, Text: []byte("twenty bytes of text")}},
		{"chunk/escaped", Event{Type: EventChunk, To: 123456, Seq: 99, Text: []byte(`if a < \"b\" {\n\treturn`)}},
		{"chunk/1KiB", Event{Type: EventChunk, To: 123456, Seq: 99, Text: answer}},
		{"chunk/cjk", Event{Type: EventChunk, To: 123456, Seq: 99, Text: []byte("日本語のテキスト")}},
		{"complete", Event{
			Type: EventComplete, To: 123456, Seq: 100, Run: "w1-run", Finish: "stop", Provider: "openai", Model: "gpt-4.1",
			Attempts: 1, Usage: &Usage{InputTokens: 12, OutputTokens: 250},
		}},
		{"status", Event{Type: EventStatus, To: 123456, Seq: 99, Run: "w1-run", State: "streaming"}},
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	for _, bb := range benchmarkEvents() {
		b.Run(bb.name, func(b *testing.B) {
			buf := AppendEvent(nil, &bb.event)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendEvent(buf[:0], &bb.event)
			}
		})
	}
}

// BenchmarkEventDecoder is a message of the bus; chunks=64 is one of 64 lines,
// foreign a chunk in a spelling that is not AppendEvent's.
func BenchmarkEventDecoder(b *testing.B) {
	run := func(name string, data []byte) {
		b.Run(name, func(b *testing.B) {
			var d EventDecoder
			yield := func(*Event) {}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if d.Decode(data, yield) != 0 {
					b.Fatal("broken")
				}
			}
		})
	}
	for _, bb := range benchmarkEvents() {
		run(bb.name, AppendEvent(nil, &bb.event))
	}
	run("chunks=64", bytes.Repeat(AppendEvent(nil, &benchmarkEvents()[0].event), 64))
	run("foreign", []byte(`{"seq":99,"text":"twenty bytes of text","to":"123456","type":"chunk"}`))
}
