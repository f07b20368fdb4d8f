package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestRequests compares what ours and the libraries send for the same question:
// where to, whose, and every value of the body by its place in it.
func TestRequests(t *testing.T) {
	for _, wire := range faulty.Wires() {
		t.Run(string(wire), func(t *testing.T) {
			v, known, spelled := newVendor(t, wire), requestDifferences(wire), map[string]int{}
			answer := faulty.Say("a")
			v.script.Store(&answer)
			for name, q := range questions() {
				t.Run(name, func(t *testing.T) {
					ours, theirs := v.requests(t, q)
					for _, s := range spellings(wire) {
						spelled[s.why] += s.rewrite(theirs)
					}
					require.Equal(t, known[name].differences, apart(ours, theirs), known[name].why)
				})
			}
			for _, s := range spellings(wire) {
				require.NotZero(t, spelled[s.why], "no request is spelled differently any more: %s", s.why)
			}
			for name := range known {
				require.Contains(t, questions(), name, "a difference of a question that is not there")
			}
		})
	}
}

// questions are what a user may ask.
func questions() map[string]*provider.Question {
	say := func(change func(*provider.Question)) *provider.Question {
		q := question()
		change(q)
		return q
	}
	warm, exact, hot := 0.25, 0.7, 1.5 // no float32 is 0.7
	return map[string]*provider.Question{
		"plain":                     question(),
		"system":                    say(func(q *provider.Question) { q.System = "Be brief." }),
		"temperature":               say(func(q *provider.Question) { q.Temperature = &warm }),
		"temperature of no float32": say(func(q *provider.Question) { q.Temperature = &exact }),
		"temperature of 0":          say(func(q *provider.Question) { q.Temperature = new(float64) }),
		"history": say(func(q *provider.Question) {
			q.Messages = []protocol.Message{
				{Role: protocol.RoleUser, Content: "One?"},
				{Role: protocol.RoleAssistant, Content: "Two."},
				{Role: protocol.RoleUser, Content: "Three?"},
			}
		}),
		"two in a row": say(func(q *provider.Question) {
			q.Messages = append(q.Messages, protocol.Message{Role: protocol.RoleUser, Content: "And the sea?"})
		}),
		"a high temperature": say(func(q *provider.Question) { q.Temperature = &hot }),
		"no bound":           say(func(q *provider.Question) { q.MaxTokens = 0 }),
		"reasoning":          say(func(q *provider.Question) { q.Reasoning = true }),
		"not ASCII": say(func(q *provider.Question) {
			q.Messages[0].Content = "<b>\"Zażółć\\\u2028 👩‍👩‍👧 &\n\t\x00"
		}),
	}
}

// requests asks the same through both clients and returns what the server was
// sent.
func (v *vendor) requests(t *testing.T, q *provider.Question) (ours, theirs map[string]string) {
	t.Helper()
	ctx := t.Context()
	require.Equal(t, whole, askOurs(ctx, v.ours, q).kind)
	ours = flat(t, v.last.Load())
	require.Equal(t, whole, v.theirs.ask(ctx, q).kind)
	return ours, flat(t, v.last.Load())
}

// flat is a request as places and values: its path, the headers that a vendor
// looks at, and the leaves of its body.
func flat(t *testing.T, r *faulty.Request) map[string]string {
	t.Helper()
	out := map[string]string{"path": r.Path}
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Anthropic-Version", "Content-Type"} {
		if value := strings.Join(http.Header.Values(r.Header, name), ", "); value != "" {
			out["header "+name] = value
		}
	}
	var body any
	require.NoError(t, json.Unmarshal(r.Body, &body))
	leaves(out, "", body)
	return out
}

func leaves(out map[string]string, place string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			leaves(out, strings.TrimPrefix(place+"."+name, "."), inner)
		}
	case []any:
		for i, inner := range value {
			leaves(out, fmt.Sprintf("%s.%d", place, i), inner)
		}
	default:
		text, _ := json.Marshal(value) // of a string, a number, a bool or null
		out[place] = string(text)
	}
}

// apart lists where two requests are not the same.
func apart(ours, theirs map[string]string) (all []difference) {
	places := maps.Clone(ours)
	maps.Copy(places, theirs)
	for _, place := range slices.Sorted(maps.Keys(places)) {
		if ours[place] != theirs[place] {
			all = append(all, difference{place, ours[place], theirs[place]})
		}
	}
	return all
}

// spelling is a way in which a library writes the same thing.
type spelling struct {
	why     string
	rewrite func(request map[string]string) (places int) // into the way of ours
}

func spellings(wire faulty.Wire) []spelling {
	switch wire {
	case faulty.Anthropic:
		return []spelling{{"a string is short for one block of text, says the reference; the library knows blocks alone", oneBlock}}
	case faulty.Gemini:
		return []spelling{{"the instruction's role is not looked at, says the reference; the library sends user", func(r map[string]string) int {
			_, there := r["systemInstruction.role"]
			delete(r, "systemInstruction.role")
			return map[bool]int{true: 1}[there]
		}}}
	}
	return nil
}

// oneBlock makes strings of contents that are one block of text.
func oneBlock(r map[string]string) (places int) {
	for place, value := range maps.Clone(r) {
		outer, ok := strings.CutSuffix(place, ".0.type")
		if _, second := r[outer+".1.type"]; !ok || second || value != `"text"` {
			continue
		}
		r[outer] = r[outer+".0.text"]
		delete(r, outer+".0.text")
		delete(r, outer+".0.type")
		places++
	}
	return places
}

// requestDifferences are all questions that ours and a library put differently,
// by question. What ours says comes first.
func requestDifferences(wire faulty.Wire) map[string]known {
	const blue, sea = `"Why is the sky blue?"`, `"And the sea?"`
	switch wire {
	case faulty.Anthropic:
		return map[string]known{
			"a high temperature": {"the vendor's range ends at 1; the library sends what it is told", []difference{{"temperature", "1", "1.5"}}},
			"no bound":           {"the vendor wants a bound, so ours has one; the library sends what it is told", []difference{{"max_tokens", "4096", "0"}}},
			"two in a row": {"servers that copy the wire want the roles to take turns; the vendor itself joins neighbours, and so does ours", []difference{
				{"messages.0.content", `"Why is the sky blue?\n\nAnd the sea?"`, blue}, {"messages.1.content", "", sea}, {"messages.1.role", "", `"user"`},
			}},
		}
	case faulty.Gemini:
		return map[string]known{
			"two in a row": {"the vendor wants the roles to take turns, so ours makes neighbours parts of one content; the library sends what it is told", []difference{
				{"contents.0.parts.1.text", sea, ""}, {"contents.1.parts.0.text", "", sea}, {"contents.1.role", "", `"user"`},
			}},
		}
	}
	return nil
}
