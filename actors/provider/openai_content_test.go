package provider

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// deltas is a stream of these deltas, each a JSON object, that ends for reason.
func deltas(reason string, each ...string) providertest.Script {
	var b strings.Builder
	for _, d := range each {
		b.WriteString(`data: {"choices":[{"delta":` + d + `}]}` + "\n\n")
	}
	b.WriteString(`data: {"choices":[{"delta":{},"finish_reason":"` + reason + `"}]}` + "\n\ndata: [DONE]\n\n")
	return providertest.Script{Raw: []byte(b.String())}
}

func TestOpenAIFinishReasons(t *testing.T) {
	const broken = "broken"
	for reason, want := range map[string]string{
		"stop": protocol.FinishStop, "tool_calls": protocol.FinishStop, "function_call": protocol.FinishStop, "eos": protocol.FinishStop,
		"eos_token": protocol.FinishStop, "end_turn": protocol.FinishStop, "stop_sequence": protocol.FinishStop,
		"length": protocol.FinishLength, "model_length": protocol.FinishLength, "max_tokens": protocol.FinishLength,
		"content_filter": "filtered", "safety": "filtered",
		"insufficient_system_resource": broken, "error": broken, "abort": broken, "a word of tomorrow": broken,
	} {
		t.Run(reason, func(t *testing.T) {
			srv := providertest.New(t, deltas(reason, `{"content":"half an ans"}`))
			e, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			require.Equal(t, []string{"half an ans"}, e.pieces)
			switch want {
			case broken:
				told := requireCode(t, err, protocol.ProviderInterrupted)
				require.EqualError(t, told.Err, "finish_reason "+reason)
				require.NotContains(t, told.Message, reason)
				require.Equal(t, FaultVendor, res.Fault)
			case "filtered":
				requireCode(t, err, protocol.ProviderRejected)
				require.Equal(t, FaultNone, res.Fault)
			default:
				require.NoError(t, err)
				require.Equal(t, want, res.Finish)
			}
		})
	}
}

// What broke off stays so, whatever is said behind it.
func TestOpenAIBrokenBeforeAnEnd(t *testing.T) {
	const first = `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"abort"}]}` + "\n\n"
	for name, tail := range map[string]string{
		"another reason": `data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		"another abort":  `data: {"choices":[{"delta":{"content":"b"},"finish_reason":"error"}]}` + "\n\ndata: [DONE]\n\n",
		"no DONE":        `data: {"choices":[{"delta":{"content":"b"}}]}` + "\n\n",
	} {
		srv := providertest.New(t, providertest.Script{Raw: []byte(first + tail)})
		e, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
		require.EqualError(t, requireCode(t, err, protocol.ProviderInterrupted).Err, "finish_reason abort", name)
		require.Equal(t, "ab", e.text(), name)
	}
	srv := providertest.New(t, deltas(strings.Repeat("x", 1000), `{"content":"a"}`))
	_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
	require.EqualError(t, requireCode(t, err, protocol.ProviderInterrupted).Err, "finish_reason "+strings.Repeat("x", 64))
}

// Mistral's reasoning models say their content as a list of parts.
func TestOpenAIContentParts(t *testing.T) {
	text := func(s string) string { return `{"type":"text","text":"` + s + `"}` }
	thinking := func(parts ...string) string {
		return `{"type":"thinking","thinking":[` + strings.Join(parts, ",") + `],"closed":true}`
	}
	content := func(parts ...string) string { return `{"content":[` + strings.Join(parts, ",") + `]}` }
	tests := map[string]struct {
		deltas   []string
		pieces   []string
		thoughts []string
	}{
		"text":                {deltas: []string{content(text("a")), content(text("b"), text("c"))}, pieces: []string{"a", "bc"}},
		"thinking, then text": {deltas: []string{content(thinking(text("h"))), content(thinking(text("m"), text("m"))), `{"content":"a"}`, content(text("b"))}, pieces: []string{"a", "b"}, thoughts: []string{"h", "mm"}},
		"both in one":         {deltas: []string{content(thinking(text("hm")), text("a"))}, pieces: []string{"a"}, thoughts: []string{"hm"}},
		"thinking, a string":  {deltas: []string{content(`{"type":"thinking","thinking":"hm"}`), content(text("a"))}, pieces: []string{"a"}, thoughts: []string{"hm"}},
		"references beside":   {deltas: []string{content(text("a"), `{"type":"reference","reference_ids":[1]}`)}, pieces: []string{"a"}},
		"a pair in two parts": {deltas: []string{content(text(`\ud83d`)), content(text(`\ude42`))}, pieces: []string{"🙂"}},
		"an empty list":       {deltas: []string{content()}},
		"an empty part":       {deltas: []string{content(text(""))}},
		"thinking alone":      {deltas: []string{content(thinking(text("hm")))}, thoughts: []string{"hm"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, deltas("stop", tt.deltas...))
			e, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			require.NoError(t, err)
			require.Equal(t, tt.pieces, e.pieces)
			require.Equal(t, tt.thoughts, e.thoughts)
			require.Equal(t, protocol.FinishStop, res.Finish)
		})
	}
}

// An answer whose content nobody here can read is not an empty one.
func TestOpenAIUnreadContentIsNotEmpty(t *testing.T) {
	for name, content := range map[string]string{
		"an object":                  `{"text":"a"}`,
		"a number":                   `17`,
		"true":                       `true`,
		"a list of strings":          `["a"]`,
		"a part of tomorrow":         `[{"type":"tea","tea":"a"}]`,
		"a part of no type":          `[{"text":"a"}]`,
		"text of another type":       `[{"type":"text","text":{"value":"a"}}]`,
		"thinking of another type":   `[{"type":"thinking","thinking":17}]`,
		"thinking beside the unread": `[{"type":"thinking","thinking":"hm"},{"type":"tea"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, deltas("stop", `{"content":`+content+`}`))
			e, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			told := requireCode(t, err, protocol.ProviderInterrupted)
			require.EqualError(t, told.Err, errUnread.Error())
			require.Equal(t, FaultVendor, res.Fault)
			require.Empty(t, e.pieces)

			srv = providertest.New(t, deltas("stop", `{"content":"a"}`, `{"content":`+content+`}`))
			_, _, err = stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			require.NoError(t, err, "beside text")
		})
	}
	var a answer
	a.reset(strings.NewReader(string(deltas("stop", `{"content":null}`).Raw)))
	require.False(t, errors.Is(a.relay(new(openAI), new(ear)), errUnread), "null is no content")
}
