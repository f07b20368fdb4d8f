package providertest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Script is one answer. The zero value is an empty, orderly answer.
type Script struct {
	// What is said.
	Deltas    []string        // the text, one chunk each
	Reasoning []string        // said before the text, as reasoning_content
	Model     string          // "" = the one asked for
	Finish    string          // finish_reason; "" = stop, "-" = none is said
	Usage     *protocol.Usage // nil = the vendor counts nothing
	Error     string          // an error object, said after the deltas instead of a finish
	Raw       []byte          // the stream as it is, instead of all of the above

	// How it is said.
	Before   time.Duration // silence before the headers
	Pace     time.Duration // between two events
	Comments bool          // a comment line before every event
	LineEnd  string        // "" = "\n"
	Piece    int           // bytes per write, each flushed; 0 = one event per write

	// How it goes wrong.
	NoDone  bool // ends in good order, but without [DONE]
	Cut     int  // breaks the connection after so many bytes; 0 = never, -1 = after the headers
	Stall   int  // says so many events, then nothing until the client leaves; 0 = never, -1 = before the headers
	Linger  bool // says everything, then keeps the body open until the client leaves
	Repeats int  // says the deltas so many times more

	// Instead of a stream.
	Status   int         // 0 or 200 = the stream
	Header   http.Header // more headers, of a stream too
	Body     string      // of a Status; "" = an error object for it
	EchoAuth bool        // Body is followed by the request's Authorization header
}

// Say is an orderly answer of these chunks.
func Say(deltas ...string) Script {
	return Script{Deltas: deltas, Usage: &protocol.Usage{InputTokens: 8, OutputTokens: len(deltas)}}
}

// Refuse is an answer with this status and an error object.
func Refuse(status int) Script { return Script{Status: status} }

// Stream is the whole event stream that the script says to a question for
// model, as bytes.
func (s *Script) Stream(model string) []byte {
	return []byte(strings.Join(s.events(model), ""))
}

// events is the stream cut behind each event.
func (s *Script) events(model string) []string {
	if s.Raw != nil {
		return []string{string(s.Raw)}
	}
	if s.Model != "" {
		model = s.Model
	}
	w := eventWriter{script: s, model: model}
	w.choice(map[string]any{"role": "assistant", "content": ""}, nil)
	for _, r := range s.Reasoning {
		w.choice(map[string]any{"reasoning_content": r}, nil)
	}
	for range 1 + s.Repeats {
		for _, d := range s.Deltas {
			w.choice(map[string]any{"content": d}, nil)
		}
	}
	if s.Error != "" {
		w.event(s.Error)
		return w.events
	}
	switch s.Finish {
	case "":
		w.choice(map[string]any{}, "stop")
	case "-":
	default:
		w.choice(map[string]any{}, s.Finish)
	}
	if s.Usage != nil {
		w.chunk([]any{}, map[string]int{
			"prompt_tokens":     s.Usage.InputTokens,
			"completion_tokens": s.Usage.OutputTokens,
			"total_tokens":      s.Usage.InputTokens + s.Usage.OutputTokens,
		})
	}
	if !s.NoDone {
		w.event("[DONE]")
	}
	return w.events
}

// eventWriter builds the events of one stream.
type eventWriter struct {
	script *Script
	model  string
	events []string
}

func (w *eventWriter) choice(delta map[string]any, finish any) {
	w.chunk([]any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}, nil)
}

func (w *eventWriter) chunk(choices []any, usage any) {
	b, err := json.Marshal(map[string]any{
		"id": "chatcmpl-test", "object": "chat.completion.chunk", "created": 1700000000,
		"model": w.model, "choices": choices, "usage": usage,
	})
	if err != nil {
		panic(err) // strings and numbers only: a test that gets here is wrong
	}
	w.event(string(b))
}

func (w *eventWriter) event(data string) {
	end := w.script.LineEnd
	if end == "" {
		end = "\n"
	}
	comment := ""
	if w.script.Comments {
		comment = ": alive" + end
	}
	w.events = append(w.events, comment+"data: "+data+end+end)
}
