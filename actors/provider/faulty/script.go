package faulty

import (
	"net/http"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// What a Script.Finish may say besides a wire's own words.
const (
	FinishStop   = "stop"   // the answer is whole
	FinishLength = "length" // it reached the most tokens that were asked for
	FinishFilter = "filter" // it stopped at the vendor's content filter
	FinishNone   = "-"      // nothing is said about the end
)

// Script is one answer. The zero value is an empty, orderly answer.
type Script struct {
	// What is said.
	Deltas         []string // the text, one chunk each
	Repeats        int      // says the deltas so many times more
	Reasoning      []string // said before the text
	ReasoningField string   // of the openai wire; "" = reasoning_content, others say reasoning
	Model          string   // "" = the one asked for
	Finish         string   // "" = stop; another word than ours is said as it is
	Error          string   // the data of an error event, said after the deltas instead of a finish
	Fault          *Fault   // the same in the wire's own words
	Raw            []byte   // the stream as it is, instead of all of the above

	// What is counted: all tokens, of which some were cached or are reasoning.
	// The wires add these up differently.
	Usage        *protocol.Usage // nil = the vendor counts nothing
	CacheRead    int             // part of Usage.InputTokens
	CacheWritten int             // part of Usage.InputTokens; the gemini wire does not tell
	Thought      int             // part of Usage.OutputTokens

	// How it is said.
	Before   time.Duration // silence before the headers
	Pace     time.Duration // between two events
	Comments bool          // a sign of life before every event: a comment, or the anthropic wire's ping
	LineEnd  string        // "" = the wire's own
	Piece    int           // bytes per write, each flushed; 0 = one event per write

	// How it goes wrong.
	NoDone       bool // ends in good order, but without the wire's end marker
	Cut          int  // breaks the connection after so many bytes; 0 = never, -1 = after the headers
	CutPercent   int  // the same after so many per cent of the bytes, 1 to 99
	Stall        int  // says so many events, then nothing until the client leaves; 0 = never, -1 = before the headers
	StallPercent int  // the same after so many per cent of the events, 1 to 99
	Linger       bool // says everything, then keeps the body open until the client leaves
	Malformed    bool // the last delta's event is torn in the middle of its JSON; all else is in good order
	Reset        bool // resets the connection instead of any answer

	// Instead of a stream.
	Status     int         // 0 or 200 = the stream
	Why        Reason      // of the Status; with Status 0 the wire's own status for it
	RetryAfter int         // seconds, in the wire's ways; 0 = it says nothing
	Header     http.Header // more headers, of a stream too
	Body       string      // "" = the wire's own words for Status and Why
	EchoAuth   bool        // Body is followed by the header that held the key
}

// Say is an orderly answer of these chunks.
func Say(deltas ...string) Script {
	return Script{Deltas: deltas, Usage: &protocol.Usage{InputTokens: 8, OutputTokens: len(deltas)}}
}

// Refuse is an answer with this status, in the wire's own words.
func Refuse(status int) Script { return Script{Status: status} }

// Stream is the whole event stream that the script says on wire w to a question
// for model, as bytes; nil for a wire that is not known.
func (s *Script) Stream(w Wire, model string) []byte {
	d := dialectOf(w)
	if d == nil {
		return nil
	}
	return []byte(strings.Join(s.events(d, asking{model: model, usage: true}), ""))
}

// refuses tells whether the script answers without a stream.
func (s *Script) refuses() bool {
	return s.Status != 0 && s.Status != http.StatusOK || s.Why != ""
}

// said is how often which delta comes: Repeats unrolled.
func (s *Script) said(each func(delta string)) {
	for range 1 + s.Repeats {
		for _, d := range s.Deltas {
			each(d)
		}
	}
}

// deltas counts what said says.
func (s *Script) deltas() int { return len(s.Deltas) * (1 + s.Repeats) }

// finish is the script's finish in a wire's own words.
func (s *Script) finish(stop, length, filter string) string {
	switch s.Finish {
	case "", FinishStop:
		return stop
	case FinishLength:
		return length
	case FinishFilter:
		return filter
	default:
		return s.Finish
	}
}

// failure is the data of the error event that ends the stream; "" = none does.
func (s *Script) failure(d dialect, model string) string {
	if s.Fault == nil {
		return s.Error
	}
	f := *s.Fault
	if f.Model == "" {
		f.Model = model
	}
	_, object := d.refuse(f)
	return encode(object)
}

// stallAt is after how many of n events the script falls silent; n = never.
func (s *Script) stallAt(n int) int {
	switch {
	case s.Stall > 0:
		return min(s.Stall, n)
	case s.StallPercent > 0:
		return max(1, n*s.StallPercent/100)
	}
	return n
}

// cutAt is after how many of n bytes the script breaks the connection; -1 =
// never, 0 = right after the headers.
func (s *Script) cutAt(n int) int {
	switch {
	case s.Cut < 0:
		return 0
	case s.Cut > 0:
		return s.Cut
	case s.CutPercent > 0:
		return max(1, n*s.CutPercent/100)
	}
	return -1
}

// events is the stream cut behind each event, ready to be written.
func (s *Script) events(d dialect, a asking) []string {
	if s.Raw != nil {
		return []string{string(s.Raw)}
	}
	if s.Model != "" {
		a.model = s.Model
	}
	end := s.LineEnd
	if end == "" {
		end = d.lineEnd()
	}
	said := d.stream(s, a)
	if s.Malformed {
		tear(said)
	}
	out := make([]string, len(said))
	for i, e := range said {
		if s.Comments {
			out[i] = d.alive(i == 0, end)
		}
		out[i] += e.text(end)
	}
	return out
}

// tear breaks the JSON of the last delta, or of the first event where there is
// none. A client that passes over it loses text and still meets the end marker.
func tear(events []event) {
	at := 0
	for i, e := range events {
		if e.delta {
			at = i
		}
	}
	if len(events) > 0 {
		events[at].data = events[at].data[:len(events[at].data)/2]
	}
}
