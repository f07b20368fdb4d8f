package oracle

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestWrittenStreams asks for every stream of the tables below.
func TestWrittenStreams(t *testing.T) {
	for _, wire := range faulty.Wires() {
		t.Run(string(wire), func(t *testing.T) {
			v, streams, known := newVendor(t, wire), writtenFor(wire), knownDifferences(wire)
			for _, name := range slices.Sorted(maps.Keys(streams)) {
				t.Run(name, func(t *testing.T) {
					v.compare(t, streams[name], known[name].differences)
				})
			}
			for name := range known {
				require.Contains(t, streams, name, "a difference of a stream that is not there")
			}
		})
	}
}

// compare asks once through both clients, which must differ in what is known
// and in nothing else.
func (v *vendor) compare(t *testing.T, s faulty.Script, known []difference) {
	t.Helper()
	v.script.Store(&s)
	ours, theirs := v.ask(t, question())
	require.Equal(t, known, between(ours, theirs), "ours ended with: %v\ntheirs ended with: %v", ours.err, theirs.err)
}

// writtenFor is every written stream of a wire.
func writtenFor(wire faulty.Wire) map[string]faulty.Script {
	all := written()
	maps.Copy(all, broke())
	switch wire {
	case faulty.OpenAI:
		maps.Copy(all, writtenOpenAI())
	case faulty.Anthropic:
		maps.Copy(all, writtenAnthropic())
	case faulty.Gemini:
		maps.Copy(all, writtenGemini())
	}
	return all
}

// written are streams that end in good order, on every wire.
func written() map[string]faulty.Script {
	words := []string{"Hello", " there", ",", " you", "!"}
	usage := &protocol.Usage{InputTokens: 8, OutputTokens: 5}
	say := func(change func(*faulty.Script)) faulty.Script {
		s := faulty.Script{Deltas: words, Usage: usage}
		change(&s)
		return s
	}
	return map[string]faulty.Script{
		"plain":                  say(func(*faulty.Script) {}),
		"one chunk":              faulty.Say("Hello"),
		"a thousand chunks":      say(func(s *faulty.Script) { s.Repeats = 199 }),
		"nothing":                {Usage: usage},
		"a chunk of 100 KB":      faulty.Say(strings.Repeat("0123456789", 10<<10)),
		"empty chunks":           faulty.Say("", "a", "", "", "b", ""),
		"not ASCII":              faulty.Say("Zażółć", " gęślą", " 東京", " 👩‍👩‍👧‍👦", " \u202eabc", "\ufeff", "e\u0301"),
		"to be escaped":          faulty.Say("\"\\\"", "/\b\f\n\r\t", "\x00\x1f\x7f", "\u2028\u2029", "<&>"),
		"looks like a stream":    faulty.Say("data: [DONE]\n\n", "event: error\r\n", ": alive\n\n", `{"error":{"message":"x"}}`),
		"only white space":       faulty.Say(" ", "\n", "\t"),
		"length":                 say(func(s *faulty.Script) { s.Finish = faulty.FinishLength }),
		"filter":                 say(func(s *faulty.Script) { s.Finish = faulty.FinishFilter }),
		"filter at once":         {Usage: usage, Finish: faulty.FinishFilter},
		"another model":          say(func(s *faulty.Script) { s.Model = "m-1-2026-11-01" }),
		"reasoning":              say(func(s *faulty.Script) { s.Reasoning, s.Thought = []string{"Let", " me", " see."}, 2 }),
		"reasoning alone":        {Usage: usage, Reasoning: []string{"Hm."}, Thought: 5},
		"no count":               say(func(s *faulty.Script) { s.Usage = nil }),
		"a count of nothing":     say(func(s *faulty.Script) { s.Usage = new(protocol.Usage) }),
		"cached":                 say(func(s *faulty.Script) { s.CacheRead, s.CacheWritten = 4, 3 }),
		"signs of life":          say(func(s *faulty.Script) { s.Comments = true }),
		"lines end with LF":      say(func(s *faulty.Script) { s.LineEnd = "\n" }),
		"lines end with CRLF":    say(func(s *faulty.Script) { s.LineEnd = "\r\n" }),
		"lines end with CR":      say(func(s *faulty.Script) { s.LineEnd = "\r" }),
		"byte by byte":           say(func(s *faulty.Script) { s.Piece = 1 }),
		"seven bytes at a time":  say(func(s *faulty.Script) { s.Piece = 7 }),
		"CRLF, byte by byte":     say(func(s *faulty.Script) { s.Piece, s.LineEnd = 1, "\r\n" }),
		"type without a charset": say(func(s *faulty.Script) { s.Header = http.Header{"Content-Type": {"text/event-stream"}} }),
	}
}

// broke are streams that do not end as they should, on every wire.
func broke() map[string]faulty.Script {
	words := []string{"Hello", " there", ",", " you", "!"}
	say := func(change func(*faulty.Script)) faulty.Script {
		s := faulty.Script{Deltas: words, Usage: &protocol.Usage{InputTokens: 8, OutputTokens: 5}}
		change(&s)
		return s
	}
	fails := func(f faulty.Fault) faulty.Script { return say(func(s *faulty.Script) { s.Fault = &f }) }
	return map[string]faulty.Script{
		"no end marker":            say(func(s *faulty.Script) { s.NoDone = true }),
		"no reason to end":         say(func(s *faulty.Script) { s.Finish = faulty.FinishNone }),
		"no reason, no end marker": say(func(s *faulty.Script) { s.NoDone, s.Finish = true, faulty.FinishNone }),
		"empty body":               {Raw: []byte{}},
		"cut after the headers":    say(func(s *faulty.Script) { s.Cut = -1 }),
		"cut after a byte":         say(func(s *faulty.Script) { s.Cut = 1 }),
		"cut in the middle":        say(func(s *faulty.Script) { s.CutPercent = 50 }),
		"cut at the end":           say(func(s *faulty.Script) { s.CutPercent = 99 }),
		"reset":                    say(func(s *faulty.Script) { s.Reset = true }),
		"malformed":                say(func(s *faulty.Script) { s.Malformed = true }),
		"JSON instead of a stream": {Header: http.Header{"Content-Type": {"application/json"}}, Raw: []byte(`{"id":"x"}`)},
		"a page instead":           {Header: http.Header{"Content-Type": {"text/html"}}, Raw: []byte("<html>Log in first</html>")},
		"error: overloaded":        fails(faulty.Fault{Why: faulty.Overloaded}),
		"error: 500":               fails(faulty.Fault{Status: 500}),
		"error: 504":               fails(faulty.Fault{Status: 504}),
		"error: 429":               fails(faulty.Fault{Status: 429}),
		"error: 400":               fails(faulty.Fault{Status: 400}),
		"error: 403":               fails(faulty.Fault{Status: 403}),
		"error: key":               fails(faulty.Fault{Why: faulty.KeyRefused}),
		"error: credit":            fails(faulty.Fault{Why: faulty.OutOfCredit}),
		"error: model":             fails(faulty.Fault{Why: faulty.ModelUnknown}),
		"error: context":           fails(faulty.Fault{Why: faulty.ContextTooLong}),
		"error: filter":            fails(faulty.Fault{Why: faulty.Filtered}),
		"error at once":            {Fault: &faulty.Fault{Why: faulty.Overloaded}},
	}
}
