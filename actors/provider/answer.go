package provider

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

var (
	errMalformed = errors.New("an event is no JSON object")
	errNoEnd     = errors.New("the stream ended without the word that ends it")
	errEmpty     = errors.New("the stream said its end and nothing before it")
	errUnread    = errors.New("the stream said its end, and its content is of no kind that is known here")
)

// Bounds of what is believed of an event.
const (
	deepCheck = 64 << 10 // from this size on nesting is measured before it is parsed
	maxDepth  = 64
	maxModel  = 128
	maxTokens = math.MaxInt32
)

// answer is one streamed answer: what has been said of it so far. It is reused
// for its buffers. Its wire fills it, event by event.
type answer struct {
	events  sseReader
	text    strand // of the answer
	thought strand // reasoning, which is no part of the answer

	over     bool   // the vendor said that this is all
	mayEnd   bool   // the vendor's wire has no such word: its stream may just end now
	finish   string // "" until the vendor said why it ended
	filtered bool   // the vendor's content filter ended it
	broken   error  // the vendor's own word that it broke off; nil = none
	unread   bool   // there was content that nobody here can read
	model    string
	usage    *protocol.Usage
}

// strand is one kind of text: what one event said of it, decoded, and how much
// there was in all.
type strand struct {
	decoder textDecoder
	piece   []byte
	said    int
	bytes   int // bytes that this event brought, before they were decoded
}

// add decodes the body of a JSON string.
func (s *strand) add(value gjson.Result) {
	s.bytes += len(value.Raw) - 2
	s.piece = s.decoder.append(s.piece, value.Raw[1:len(value.Raw)-1])
}

// tell hands over what has come together, if anything has.
func (s *strand) tell(to func([]byte)) bool {
	told := len(s.piece) > 0
	if told {
		s.said += len(s.piece)
		to(s.piece)
	}
	s.piece, s.bytes = s.piece[:0], 0
	return told
}

// soFar counts what was said, with what waits to be told.
func (s *strand) soFar() int { return s.said + len(s.piece) }

func (s *strand) reset() {
	if cap(s.piece) > keepBuffer {
		s.piece = nil
	}
	*s = strand{piece: s.piece[:0]}
}

// reset makes the answer ready for another stream and forgets the last one.
func (a *answer) reset(body io.Reader) {
	a.events.reset(body)
	a.text.reset()
	a.thought.reset()
	*a = answer{events: a.events, text: a.text, thought: a.thought}
}

// release drops what the answer borrowed, before it waits for its next use.
func (a *answer) release() {
	a.events.src, a.events.err = nil, nil
	a.usage = nil
}

// addText takes a JSON string for a piece of the answer.
func (a *answer) addText(value gjson.Result) {
	if value.Type == gjson.String {
		a.text.add(value)
	}
}

// addThought takes a JSON string for a piece of reasoning.
func (a *answer) addThought(value gjson.Result) {
	if value.Type == gjson.String {
		a.thought.add(value)
	}
}

// takeModel believes the first name that the vendor gives.
func (a *answer) takeModel(value gjson.Result) {
	if a.model == "" {
		a.model = plainModel(value)
	}
}

// breakOff notes the vendor's first word for an answer that it gave up: whatever
// is said behind it, the answer is not complete. what is the word's place.
func (a *answer) breakOff(what, reason string) {
	if a.broken == nil {
		a.broken = fmt.Errorf("%s %s", what, clip(strings.Clone(reason), 64))
	}
}

// relay hands text to sink as it comes. nil means that the vendor said its end.
func (a *answer) relay(w wire, sink Sink) error {
	for {
		ev, err := a.events.next()
		switch {
		case errors.Is(err, io.EOF):
			return a.close(sink)
		case err != nil:
			return err
		case len(ev.data) == 0:
			sink.Progress()
			continue
		}
		if err := w.take(a, ev); err != nil {
			return err
		}
		if a.over {
			return a.end(sink)
		}
		a.tell(sink)
	}
}

// close decides at the orderly end of the stream. Some vendors give up by a bare
// error object behind the last event, also where that event seemed the end.
func (a *answer) close(sink Sink) error {
	rest := a.events.rest()
	said, failed := bareError(rest)
	switch {
	case failed:
		return said
	case a.broken != nil:
		return a.broken
	case a.mayEnd && len(rest) == 0:
		return a.end(sink)
	}
	return errNoEnd
}

// tell passes on what one event said; every event is a sign of life.
func (a *answer) tell(sink Sink) {
	thought := a.thought.tell(sink.Reasoning)
	if !a.text.tell(sink.Text) && !thought {
		sink.Progress()
	}
}

// end is tell for the last event: half a character comes alone now.
func (a *answer) end(sink Sink) error {
	a.thought.piece = a.thought.decoder.flush(a.thought.piece)
	a.text.piece = a.text.decoder.flush(a.text.piece)
	a.tell(sink)
	switch {
	case a.broken != nil:
		return a.broken
	case a.unread && a.text.said == 0:
		return errUnread
	case a.finish == "" && a.text.said == 0:
		return errEmpty
	}
	return nil
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

// result is what is known of the answer. Where the vendor counted nothing, or
// the question and not yet the answer, a token is taken for four bytes of text,
// and the usage says so.
func (a *answer) result(asked string, q *Question) Result {
	res := Result{Finish: a.finish, Model: a.model, Usage: a.usage}
	if res.Finish == "" {
		res.Finish = protocol.FinishStop
	}
	if res.Model == "" || finder(q.Key)(res.Model) { // a vendor that says the key says nothing
		res.Model = asked
	}
	if res.Usage == nil {
		in := len(q.System)
		for i := range q.Messages {
			in += len(q.Messages[i].Content)
		}
		res.Usage = &protocol.Usage{InputTokens: estimate(in), Estimated: true}
	}
	if res.Usage.Estimated {
		res.Usage.OutputTokens = max(res.Usage.OutputTokens, estimate(a.text.said+a.thought.said))
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
