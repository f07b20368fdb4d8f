package oracle

import (
	"strings"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func spaces(n int) string { return strings.Repeat(" ", n) }

// named is an event of Anthropic's wire.
func named(kind, data string) string { return "event: " + kind + "\ndata: " + data + "\n\n" }

// writtenAnthropic are streams of Anthropic's wire alone.
func writtenAnthropic() map[string]faulty.Script {
	start := named("message_start", `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}`)
	open := named("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	a := named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`)
	closed := named("content_block_stop", `{"type":"content_block_stop","index":0}`)
	end := named("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`)
	stop := named("message_stop", `{"type":"message_stop"}`)
	tail := closed + end + stop
	raw := func(events ...string) faulty.Script { return faulty.Script{Raw: []byte(strings.Join(events, ""))} }
	text := func(body string) string {
		return named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`+body+`"}}`)
	}
	ends := func(reason string) faulty.Script {
		return faulty.Script{Deltas: []string{"a"}, Finish: reason, Usage: new(protocol.Usage)}
	}
	return map[string]faulty.Script{
		"stop_sequence":               ends("stop_sequence"),
		"tool_use":                    ends("tool_use"),
		"pause_turn":                  ends("pause_turn"),
		"context window exceeded":     ends("model_context_window_exceeded"),
		"a reason of the future":      ends("bored"),
		"text in a block's start":     raw(start, named("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"b"}}`), a, tail),
		"two blocks":                  raw(start, open, a, closed, named("content_block_start", `{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`), named("content_block_delta", `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"}}`), named("content_block_stop", `{"type":"content_block_stop","index":1}`), end, stop),
		"input of a tool":             raw(start, named("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`), named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"text\":\"b\"}"}}`), closed, end, stop),
		"redacted thinking":           raw(start, named("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"ZmF1bHR5"}}`), closed, end, stop),
		"citations":                   raw(start, open, a, named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"page_location","cited_text":"b","document_index":0,"start_page_number":1,"end_page_number":2}}}`), tail),
		"events of the future":        raw(start, named("mood", `{"type":"mood","text":"b"}`), open, a, tail),
		"deltas of the future":        raw(start, open, a, named("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"mood_delta","mood":"b"}}`), tail),
		"pings":                       raw(named("ping", `{"type":"ping"}`), start, named("ping", `{"type":"ping"}`), open, a, tail),
		"only the last event counts":  raw(named("message_start", `{"type":"message_start","message":{"model":"m-1","content":[],"usage":{"input_tokens":0,"output_tokens":0}}}`), open, a, closed, named("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":7,"cache_read_input_tokens":5,"output_tokens":2}}`), stop),
		"the count only at the start": raw(start, open, a, closed, named("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`), stop),
		"lone surrogates":             raw(start, open, text(`\ud83d - \ude00`), tail),
		"lone surrogate, escape":      raw(start, open, text(`\ud83d\u0041`), tail),
		"surrogates in two chunks":    raw(start, open, text(`\ud83d`), text(`\ude00`), tail),
		"bytes that are no UTF-8":     raw(start, open, text("a\xff\xc0\xafb"), tail),
		"events without their names":  raw(unnamed(start), unnamed(open), unnamed(a), unnamed(tail)),
		"no message_delta":            raw(start, open, a, closed, stop),
		"no empty line at the end":    raw(start, open, a, strings.TrimSuffix(tail, "\n")),
		"no line end at the end":      raw(start, open, a, strings.TrimSuffix(tail, "\n\n")),
		"events behind the end":       raw(start, open, a, tail, text("b")),
		"only the end":                raw(stop),
		"an error behind the end":     raw(start, open, a, closed, end, named("error", `{"type":"error","error":{"type":"overloaded_error","message":"x"}}`), stop),
		"an error of unknown words":   raw(start, open, a, named("error", `{"type":"error","error":{"type":"bored_error","message":"x"}}`)),
		"an error without its name":   raw(start, open, a, unnamed(named("error", `{"type":"error","error":{"type":"overloaded_error","message":"x"}}`)), tail),
		"an error that is no object":  raw(start, open, a, named("error", `"overloaded"`)),
		"a line of 2 MiB":             raw(start, "event: mood\ndata: "+spaces(2<<20)+"{}\n\n", open, a, tail),
	}
}

// unnamed takes the names off events.
func unnamed(events string) string {
	var b strings.Builder
	for line := range strings.Lines(events) {
		if !strings.HasPrefix(line, "event: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
