package provider

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

var (
	errMalformed = errors.New("an event is no JSON object")
	errNoDone    = errors.New("the stream ended without [DONE]")
	errEmpty     = errors.New("the stream said [DONE] and nothing before it")
)

// Bounds of what is believed of an event.
const (
	deepCheck = 64 << 10 // from this size on nesting is measured before it is parsed
	maxDepth  = 64
	maxModel  = 128
	maxTokens = math.MaxInt32
)

// answer is one streamed answer: what has been said of it so far. It is reused
// for its buffers.
type answer struct {
	events  sseReader
	decoder textDecoder
	text    []byte // one delta, decoded

	said     int    // bytes of text so far
	finish   string // "" until the vendor said why it ended
	filtered bool   // the vendor's content filter ended it
	model    string
	usage    *protocol.Usage
}

// reset makes the answer ready for another stream and forgets the last one.
func (a *answer) reset(body io.Reader) {
	a.events.reset(body)
	if cap(a.text) > keepBuffer {
		a.text = nil
	}
	*a = answer{events: a.events, text: a.text[:0]}
}

// release drops what the answer borrowed, before it waits for its next use.
func (a *answer) release() {
	a.events.src, a.events.err = nil, nil
	a.usage = nil
}

// relay hands text to sink as it comes. nil means that the vendor said [DONE].
func (a *answer) relay(sink Sink) error {
	for {
		ev, err := a.events.next()
		switch {
		case errors.Is(err, io.EOF):
			return errNoDone
		case err != nil:
			return err
		case len(ev.data) == 0:
			sink.Progress()
			continue
		case ev.data[0] == '[' && string(bytes.TrimSpace(ev.data)) == "[DONE]":
			return a.done(sink)
		}
		if err := a.take(ev, sink); err != nil {
			return err
		}
	}
}

func (a *answer) done(sink Sink) error {
	a.text = a.decoder.flush(a.text[:0])
	if len(a.text) > 0 {
		a.say(sink)
	}
	if a.finish == "" && a.said == 0 {
		return errEmpty
	}
	return nil
}

// take reads one event: a chat.completion.chunk or an error object.
// https://platform.openai.com/docs/api-reference/chat-streaming
func (a *answer) take(ev event, sink Sink) error {
	if len(ev.data) > deepCheck && tooDeep(ev.data) || !gjson.ValidBytes(ev.data) {
		return errMalformed
	}
	root := gjson.Parse(string(ev.data))
	if !root.IsObject() {
		return errMalformed
	}
	a.text = a.text[:0]
	failed := ev.failed
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			a.takeChoices(value)
		case "usage":
			a.takeUsage(value)
		case "model":
			if a.model == "" {
				a.model = plainModel(value)
			}
		case "error":
			failed = failed || value.IsObject() || value.Type == gjson.String && value.Str != ""
		case "object":
			failed = failed || value.Str == "error"
		}
		return true
	})
	if failed {
		return parseVendorError(root)
	}
	if len(a.text) == 0 {
		sink.Progress()
		return nil
	}
	a.say(sink)
	return nil
}

func (a *answer) say(sink Sink) {
	a.said += len(a.text)
	sink.Text(a.text)
}

// takeChoices reads the first choice; no other is ever asked for.
func (a *answer) takeChoices(choices gjson.Result) {
	choices.ForEach(func(_, choice gjson.Result) bool {
		choice.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "delta":
				a.takeDelta(value)
			case "finish_reason":
				a.takeFinish(value.Str)
			}
			return true
		})
		return false
	})
}

// takeDelta collects text. Reasoning and tool calls are signs of life, no text;
// a refusal is what the model says to the user.
func (a *answer) takeDelta(delta gjson.Result) {
	delta.ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.String && (key.Str == "content" || key.Str == "refusal") {
			a.text = a.decoder.append(a.text, value.Raw[1:len(value.Raw)-1])
		}
		return true
	})
}

func (a *answer) takeFinish(reason string) {
	switch reason {
	case "":
	case "length":
		a.finish = protocol.FinishLength
	case "content_filter":
		a.filtered = true
		a.finish = protocol.FinishStop
	default: // stop, tool_calls, and whatever a copy of this wire calls its end
		a.finish = protocol.FinishStop
	}
}

func (a *answer) takeUsage(usage gjson.Result) {
	in, out := usage.Get("prompt_tokens"), usage.Get("completion_tokens")
	if in.Type == gjson.Number || out.Type == gjson.Number {
		a.usage = &protocol.Usage{InputTokens: tokens(in), OutputTokens: tokens(out)}
	}
}

// tokens believes no count below 0 or above what an int32 holds.
func tokens(n gjson.Result) int {
	return int(min(max(n.Num, 0), maxTokens))
}

// plainModel takes the vendor's word for the model only where it is a plain one.
func plainModel(value gjson.Result) string {
	s := value.Str
	if len(s) > maxModel || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return strings.Clone(s)
}

// result is what is known of the answer. Where the vendor counted nothing, a
// token is taken for four bytes of text, and the usage says so.
func (a *answer) result(asked string, q *Question) Result {
	res := Result{Finish: a.finish, Model: a.model, Usage: a.usage}
	if res.Finish == "" {
		res.Finish = protocol.FinishStop
	}
	if res.Model == "" {
		res.Model = asked
	}
	if res.Usage == nil {
		in := len(q.System)
		for i := range q.Messages {
			in += len(q.Messages[i].Content)
		}
		res.Usage = &protocol.Usage{InputTokens: estimate(in), OutputTokens: estimate(a.said), Estimated: true}
	}
	return res
}

func estimate(bytes int) int { return (bytes + 3) / 4 }

// tooDeep measures nesting without recursion; the parser behind it recurses.
func tooDeep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
