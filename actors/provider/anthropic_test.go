package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	faults "github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// newTestAnthropic is a provider whose idle connections end with the test.
func newTestAnthropic(t testing.TB, c Config) Provider {
	t.Helper()
	c.Type = TypeAnthropic
	require.NoError(t, c.Validate("vendor"))
	p, err := New("vendor", c, Deps{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(io.Closer).Close()) })
	return p
}

// askAnthropic is a question with a key: the vendor answers nobody without.
func askAnthropic(text string) *Question {
	q := ask(text)
	q.Key = secret("sk-ant-test")
	return q
}

// spell writes events as the vendor does: each with its name, and one line of
// data whose type is that name.
func spell(end string, events ...string) []byte {
	var b bytes.Buffer
	for _, data := range events {
		b.WriteString("event: " + gjson.Get(data, "type").Str + end + "data: " + data + end + end)
	}
	return b.Bytes()
}

const (
	startEvent = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1-2026","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,"output_tokens":1}}}`
	pingEvent  = `{"type":"ping"}`
	stopEvent  = `{"type":"message_stop"}`
)

func blockEvent(kind string) string {
	return `{"type":"content_block_start","index":0,"content_block":{"type":"` + kind + `","` + kind + `":""}}`
}

// deltaEvent adds a piece, spelled as JSON, to a block.
func deltaEvent(kind, field, piece string) string {
	return `{"type":"content_block_delta","index":0,"delta":{"type":"` + kind + `","` + field + `":` + piece + `}}`
}

func textEvent(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings only
	}
	return deltaEvent("text_delta", "text", string(b))
}

func endEvent(reason string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `","stop_sequence":null},"usage":{"output_tokens":15}}`
}

func errorEvent(kind, message string) string {
	return `{"type":"error","error":{"details":null,"type":"` + kind + `","message":"` + message + `"},"request_id":"req_1"}`
}

// spoken is an orderly answer of these pieces, as events.
func spoken(reason string, pieces ...string) []string {
	events := []string{startEvent, blockEvent("text"), pingEvent}
	for _, p := range pieces {
		events = append(events, textEvent(p))
	}
	return append(events, `{"type":"content_block_stop","index":0}`, endEvent(reason), stopEvent)
}

func orderly(pieces ...string) providertest.Script {
	return providertest.Script{Raw: spell("\n", spoken("end_turn", pieces...)...)}
}

func TestAnthropicAnswer(t *testing.T) {
	usage := &protocol.Usage{InputTokens: 327, OutputTokens: 15}
	stop := Result{Finish: protocol.FinishStop, Model: "m-1-2026", Usage: usage}
	length := Result{Finish: protocol.FinishLength, Model: "m-1-2026", Usage: usage}
	estimated := Result{Finish: protocol.FinishStop, Model: "m-1", Usage: &protocol.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true}}
	tests := map[string]struct {
		events   []string
		end      string // of lines
		pieces   []string
		thoughts []string
		want     Result
	}{
		"plain": {events: spoken("end_turn", "Hello", " \"there\"\n", "🙂"), pieces: []string{"Hello", " \"there\"\n", "🙂"}, want: stop},
		"CRLF":  {events: spoken("end_turn", "a", "b"), end: "\r\n", pieces: []string{"a", "b"}, want: stop},
		"no UTF-8": {
			events: []string{startEvent, deltaEvent("text_delta", "text", "\"a\xff\xc0\xafb\""), deltaEvent("thinking_delta", "thinking", "\"\xe2\x82\""), endEvent("end_turn"), stopEvent},
			pieces: []string{"a\uFFFD\uFFFD\uFFFDb"}, thoughts: []string{"\uFFFD\uFFFD"}, want: stop,
		},
		"stop sequence":  {events: spoken("stop_sequence", "a"), pieces: []string{"a"}, want: stop},
		"tool use":       {events: spoken("tool_use", "a"), pieces: []string{"a"}, want: stop},
		"pause":          {events: spoken("pause_turn", "a"), pieces: []string{"a"}, want: stop},
		"a new reason":   {events: spoken("tea_time", "a"), pieces: []string{"a"}, want: stop},
		"length":         {events: spoken("max_tokens", "a"), pieces: []string{"a"}, want: length},
		"context window": {events: spoken("model_context_window_exceeded", "a"), pieces: []string{"a"}, want: length},
		"empty":          {events: spoken("end_turn"), want: stop},
		"thinking": {
			events: []string{
				startEvent, blockEvent("thinking"), deltaEvent("thinking_delta", "thinking", `"hm"`), deltaEvent("thinking_delta", "thinking", `""`),
				deltaEvent("signature_delta", "signature", `"EqQB"`), textEvent("a"), endEvent("end_turn"), stopEvent,
			},
			pieces: []string{"a"}, thoughts: []string{"hm"}, want: stop,
		},
		"what is no text": {
			events: []string{
				startEvent, deltaEvent("input_json_delta", "partial_json", `"{\"a\":"`), deltaEvent("citations_delta", "citation", `{"type":"x","text":"no"}`),
				`{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}`, `{"type":"tea","text":"no","delta":{"type":"tea_delta","text":"no"}}`, `{}`,
				textEvent("a"), endEvent("end_turn"), stopEvent,
			},
			pieces: []string{"a"}, want: stop,
		},
		"a block that starts with text": {
			events: []string{startEvent, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}`, textEvent("b"), endEvent("end_turn"), stopEvent},
			pieces: []string{"a", "b"}, want: stop,
		},
		"two blocks": {
			events: []string{startEvent, blockEvent("text"), textEvent("a"), blockEvent("text"), textEvent("b"), endEvent("end_turn"), stopEvent},
			pieces: []string{"a", "b"}, want: stop,
		},
		"fields in another order": {
			events: []string{startEvent, `{"delta":{"text":"a","type":"text_delta"},"index":0,"type":"content_block_delta"}`, endEvent("end_turn"), stopEvent},
			pieces: []string{"a"}, want: stop,
		},
		"a pair in two deltas": {
			events: []string{startEvent, deltaEvent("text_delta", "text", `"\ud83d"`), deltaEvent("text_delta", "text", `"\ude42"`), endEvent("end_turn"), stopEvent},
			pieces: []string{"🙂"}, want: stop,
		},
		"half a pair at the end": {
			events: []string{startEvent, deltaEvent("text_delta", "text", `"a\ud83d"`), endEvent("end_turn"), stopEvent},
			pieces: []string{"a", "\uFFFD"}, want: stop,
		},
		"counted at the end": {
			events: []string{
				`{"type":"message_start","message":{"model":"m-2","usage":{"input_tokens":0,"output_tokens":0}}}`, textEvent("a"),
				`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":9,"output_tokens":2}}`,
				`{"type":"message_delta","delta":{},"usage":{"output_tokens":4}}`, stopEvent,
			},
			pieces: []string{"a"}, want: Result{Finish: protocol.FinishStop, Model: "m-2", Usage: &protocol.Usage{InputTokens: 9, OutputTokens: 4}},
		},
		"huge and negative counts": {
			events: []string{
				`{"type":"message_start","message":{"usage":{"input_tokens":1e300,"cache_read_input_tokens":1e300}}}`, textEvent("a"),
				`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":-7}}`, stopEvent,
			},
			pieces: []string{"a"}, want: Result{Finish: protocol.FinishStop, Model: "m-1", Usage: &protocol.Usage{InputTokens: maxTokens}},
		},
		"no counts":              {events: []string{textEvent("a"), `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, stopEvent}, pieces: []string{"a"}, want: estimated},
		"counts of other types":  {events: []string{`{"type":"message_start","message":{"model":7,"usage":{"input_tokens":"9"}}}`, textEvent("a"), stopEvent}, pieces: []string{"a"}, want: estimated},
		"only the answer counts": {events: []string{textEvent("a"), endEvent("end_turn"), stopEvent}, pieces: []string{"a"}, want: estimated},
		"only the question counts": {
			events: []string{startEvent, textEvent("123456789"), stopEvent}, pieces: []string{"123456789"},
			want: Result{Finish: protocol.FinishStop, Model: "m-1-2026", Usage: &protocol.Usage{InputTokens: 327, OutputTokens: 3, Estimated: true}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			end := tt.end
			if end == "" {
				end = "\n"
			}
			srv := providertest.New(t, providertest.Script{Raw: spell(end, tt.events...)})
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("1234567"))
			require.NoError(t, err)
			require.Equal(t, tt.pieces, e.pieces)
			require.Equal(t, tt.thoughts, e.thoughts)
			require.Equal(t, tt.want, res)
			require.Greater(t, e.progress, 1, "one of them is the stream's beginning")
		})
	}
}

// The same wire as the vendor that fails on demand writes it.
func TestAnthropicHearsTheFaultyVendor(t *testing.T) {
	usage := &protocol.Usage{InputTokens: 90, OutputTokens: 12}
	counted := func(finish string) Result { return Result{Finish: finish, Model: "m-1", Usage: usage} }
	for name, tt := range map[string]struct {
		script   providertest.Script
		thoughts []string
		want     Result
	}{
		"plain":    {script: providertest.Script{Usage: usage}, want: counted(protocol.FinishStop)},
		"cached":   {script: providertest.Script{Usage: usage, CacheRead: 50, CacheWritten: 30}, want: counted(protocol.FinishStop)},
		"length":   {script: providertest.Script{Usage: usage, Finish: faults.FinishLength}, want: counted(protocol.FinishLength)},
		"thinking": {script: providertest.Script{Usage: usage, Reasoning: []string{"hm", "so"}, Thought: 4}, thoughts: []string{"hm", "so"}, want: counted(protocol.FinishStop)},
		"pings":    {script: providertest.Script{Usage: usage, Comments: true}, want: counted(protocol.FinishStop)},
		"CR":       {script: providertest.Script{Usage: usage, LineEnd: "\r"}, want: counted(protocol.FinishStop)},
		"lingers":  {script: providertest.Script{Usage: usage, Linger: true}, want: counted(protocol.FinishStop)},
		"uncounted": {
			script: providertest.Script{},
			want:   Result{Finish: protocol.FinishStop, Model: "m-1", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2, Estimated: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.script.Deltas = []string{"Hi", " there"}
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
			require.NoError(t, err)
			require.Equal(t, tt.script.Deltas, e.pieces)
			require.Equal(t, tt.thoughts, e.thoughts)
			require.Equal(t, tt.want, res)
			require.Equal(t, faults.Anthropic, srv.Requests()[0].Wire)
		})
	}
}

func TestAnthropicReusesConnections(t *testing.T) {
	srv := providertest.New(t, orderly("a", "b"))
	p := newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)})
	all, _ := dials(p)
	for range 20 {
		_, _, err := stream(t, p, askAnthropic("a"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, all.Load())
	require.Zero(t, srv.Left())
}

// A return after a cancel proves that the vendor was stopped, see TestOpenAICancel.
func TestAnthropicCancel(t *testing.T) {
	begun := spell("\n", startEvent, blockEvent("text"), pingEvent, textEvent("a"), textEvent("b"))
	for name, tt := range map[string]struct {
		script providertest.Script
		text   string
	}{
		"before the headers":     {script: providertest.Script{Stall: -1}},
		"before the first token": {script: providertest.Script{Linger: true, Raw: spell("\n", startEvent)}},
		"mid-stream":             {script: providertest.Script{Linger: true, Raw: begun}, text: "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			p := newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)})
			requireStops(t, srv, p, askAnthropic("a"), tt.text)
		})
	}
}

func TestAnthropicDeadline(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Linger: true, Raw: spell("\n", startEvent, textEvent("1234567890123"))})
	p := newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)})
	ours := &protocol.Error{Code: protocol.ProviderTimeout, Message: "No word for 60 s."}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	res, err := p.Stream(ctx, askAnthropic("a"), &ear{onText: func(int) { cancel(ours) }})
	require.ErrorIs(t, err, ours)
	require.Equal(t, ours.Message, requireCode(t, err, protocol.ProviderTimeout).Message)
	require.Equal(t, &protocol.Usage{InputTokens: 327, OutputTokens: 4, Estimated: true}, res.Usage, "what broke off was not counted")
	srv.WaitLeft(t, 1, time.Second)
}

func TestAnthropicSplitAtEveryByte(t *testing.T) {
	want := []string{"Zażółć", " 🙂\n", "\"q\""}
	whole := string(spell("\r\n", spoken("end_turn", want...)...))
	for i := range len(whole) {
		var a answer
		a.reset(&pieces{parts: []string{whole[:i], whole[i:]}})
		e := new(ear)
		require.NoError(t, a.relay(new(anthropic), e), "split at %d", i)
		require.Equal(t, want, e.pieces, "split at %d", i)
		require.Equal(t, &protocol.Usage{InputTokens: 327, OutputTokens: 15}, a.result("m-1", ask("a")).Usage)
	}

	srv := providertest.New(t, providertest.Script{Raw: []byte(whole), Piece: 1})
	e, _, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
	require.NoError(t, err)
	require.Equal(t, want, e.pieces)
}

// benchAnthropic is what the vendor sends for as many chunks.
func benchAnthropic() []byte {
	pieces := make([]string, benchChunks)
	for i := range pieces {
		pieces[i] = " token"
	}
	return spell("\n", spoken("end_turn", pieces...)...)
}
