package provider

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// newTestGemini is a provider whose idle connections end with the test.
func newTestGemini(t testing.TB, c Config) Provider {
	t.Helper()
	c.Type = TypeGemini
	require.NoError(t, c.Validate("vendor"))
	p, err := New("vendor", c, Deps{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(io.Closer).Close()) })
	return p
}

// geminiAt is a provider that asks srv.
func geminiAt(t testing.TB, srv *providertest.Server) Provider {
	t.Helper()
	return newTestGemini(t, Config{BaseURL: srv.BaseURL(faulty.Gemini)})
}

// chunks is a stream of these events as the vendor ends its lines.
func chunks(events ...string) []byte {
	var b bytes.Buffer
	for _, e := range events {
		b.WriteString("data: " + e + "\r\n\r\n")
	}
	return b.Bytes()
}

func rawChunks(events ...string) providertest.Script {
	return providertest.Script{Raw: chunks(events...)}
}

func TestGeminiAnswer(t *testing.T) {
	counted := &protocol.Usage{InputTokens: 8, OutputTokens: 5}
	tests := map[string]struct {
		script   providertest.Script
		pieces   []string
		thoughts []string
		want     Result
		alive    bool // at least one sign of life that is no text
	}{
		"plain": {
			script: providertest.Script{Deltas: []string{"Hello", " there", "!"}, Model: "m-1-001", Usage: counted},
			pieces: []string{"Hello", " there", "!"},
			want:   Result{Finish: "stop", Model: "m-1-001", Usage: counted},
			alive:  true, // the last chunk
		},
		"length": {
			script: providertest.Script{Deltas: []string{"Hel"}, Finish: faulty.FinishLength, Usage: counted},
			pieces: []string{"Hel"},
			want:   Result{Finish: "length", Model: "m-1", Usage: counted},
		},
		"reasoning, paid for like the answer": {
			script:   providertest.Script{Reasoning: []string{"hm", " hm"}, Deltas: []string{"a"}, Usage: counted, Thought: 4},
			pieces:   []string{"a"},
			thoughts: []string{"hm", " hm"},
			want:     Result{Finish: "stop", Model: "m-1", Usage: counted},
		},
		"several parts in a chunk": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[{"thought":true,"text":"h"},{"text":"a"},{"text":"m","thought":true,"thoughtSignature":"x"},{"text":"b","thought":false},{"functionCall":{"name":"c"}},{"text":7}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}`),
			pieces: []string{"ab"}, thoughts: []string{"hm"},
			want: Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}},
		},
		"no usage is estimated": {
			script: providertest.Script{Deltas: []string{"12345678", "9"}},
			pieces: []string{"12345678", "9"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 2, OutputTokens: 3, Estimated: true}},
		},
		"usage behind the end, tools and thinking counted": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}`,
				`{"usageMetadata":{"promptTokenCount":10,"toolUsePromptTokenCount":20,"candidatesTokenCount":300,"thoughtsTokenCount":4000,"totalTokenCount":4330}}`),
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 30, OutputTokens: 4300}},
			alive:  true,
		},
		"huge usage": {
			script: rawChunks(`{"usageMetadata":{"promptTokenCount":1e300,"toolUsePromptTokenCount":1e300,"candidatesTokenCount":-7},"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`),
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: maxTokens}},
		},
		"usage of other types": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":"9","candidatesTokenCount":[]}}`),
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true}},
		},
		"input counted alone": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[{"text":"12345"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9}}`),
			pieces: []string{"12345"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 9, OutputTokens: 2, Estimated: true}},
		},
		"an empty answer": {
			script: rawChunks(`{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9}}`),
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 9}},
			alive:  true,
		},
		"an end that is taken back, and said again": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}`,
				`{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`,
				`{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"candidatesTokenCount":1}}`),
			pieces: []string{"a"},
			want:   Result{Finish: "length", Model: "m-1", Usage: &protocol.Usage{OutputTokens: 1}},
			alive:  true,
		},
		"comments": {
			script: providertest.Script{Deltas: []string{"a"}, Comments: true, Usage: counted},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: counted},
			alive:  true,
		},
		"LF": {
			script: providertest.Script{Deltas: []string{"a", "b"}, LineEnd: "\n", Usage: counted},
			pieces: []string{"a", "b"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: counted},
		},
		"CR": {
			script: providertest.Script{Deltas: []string{"a", "b"}, LineEnd: "\r", Usage: counted},
			pieces: []string{"a", "b"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: counted},
		},
		"bad UTF-8 and a pair in two chunks": {
			script: rawChunks("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\xff\\ud83d\"}]}}]}",
				`{"candidates":[{"content":{"parts":[{"text":"\ude42"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}`),
			pieces: []string{"a\uFFFD", "🙂"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}},
		},
		"half a pair at the end": {
			script: rawChunks(`{"candidates":[{"content":{"parts":[{"text":"\ud83d"}]},"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":1}}`),
			pieces: []string{"\uFFFD"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{OutputTokens: 1}},
			alive:  true,
		},
		"only the first candidate": {
			script: rawChunks(`{"error":null,"modelVersion":"a\nb","candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"content":{"parts":[{"text":"b"}]},"finishReason":"OTHER"}],"usageMetadata":{"candidatesTokenCount":1}}`),
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{OutputTokens: 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, res, err := stream(t, geminiAt(t, providertest.New(t, tt.script)), ask("1234567"))
			require.NoError(t, err)
			require.Equal(t, tt.pieces, e.pieces)
			require.Equal(t, tt.thoughts, e.thoughts)
			require.Equal(t, tt.want, res)
			require.True(t, !tt.alive || e.progress > 1, "one of them is the stream's beginning")
		})
	}
}

func TestGeminiReusesConnections(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a", "b"))
	p := geminiAt(t, srv)
	all, _ := dials(p)
	for range 50 {
		_, _, err := stream(t, p, ask("a"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, all.Load())
	require.Zero(t, srv.Left())
}

// A return after a cancel proves that the vendor was stopped. The last case is
// this wire's own: everything was said, but for the end of the response.
func TestGeminiCancel(t *testing.T) {
	tests := map[string]struct {
		script providertest.Script
		text   string
	}{
		"before the headers":     {script: providertest.Script{Stall: -1}},
		"before the first token": {script: providertest.Script{Stall: 1, Reasoning: []string{"hm"}, Deltas: []string{"a"}}},
		"mid-stream":             {script: providertest.Script{Stall: 2, Deltas: []string{"a", "b", "c"}}, text: "ab"},
		"before the very end":    {script: providertest.Script{Linger: true, Deltas: []string{"a", "b"}}, text: "ab"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			p := geminiAt(t, srv)
			requireStops(t, srv, p, ask("a"), tt.text)
		})
	}
}

func TestGeminiDeadline(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Stall: 1, Deltas: []string{"a", "b"}})
	ours := &protocol.Error{Code: protocol.ProviderTimeout, Message: "No word for 60 s."}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, ours)
	defer cancel()
	_, err := geminiAt(t, srv).Stream(ctx, ask("a"), new(ear))
	require.ErrorIs(t, err, ours)
	require.Equal(t, ours.Message, requireCode(t, err, protocol.ProviderTimeout).Message)
	srv.WaitLeft(t, 1, time.Second)
}

func TestGeminiSplitAtEveryByte(t *testing.T) {
	script := providertest.Script{
		Reasoning: []string{"mh", "🙂"}, Deltas: []string{"Zażółć", " 🙂\n", "\"q\""}, Comments: true,
		Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 3}, Thought: 1,
	}
	whole := string(script.StreamOn(faulty.Gemini, "m-1"))
	for i := range len(whole) {
		var a answer
		a.reset(&pieces{parts: []string{whole[:i], whole[i:]}})
		e := new(ear)
		require.NoError(t, a.relay(new(gemini), e), "split at %d", i)
		require.Equal(t, script.Deltas, e.pieces, "split at %d", i)
		require.Equal(t, script.Reasoning, e.thoughts, "split at %d", i)
		require.Equal(t, script.Usage, a.result("m-1", ask("a")).Usage)
	}

	script.Piece = 1
	e, _, err := stream(t, geminiAt(t, providertest.New(t, script)), ask("a"))
	require.NoError(t, err)
	require.Equal(t, script.Deltas, e.pieces)
}

// benchGemini is what the vendor sends for as many chunks.
func benchGemini() []byte {
	s := providertest.Script{Deltas: []string{" token"}, Repeats: benchChunks - 1, Usage: &protocol.Usage{InputTokens: 9, OutputTokens: benchChunks}}
	return s.StreamOn(faulty.Gemini, "gemini-2.5-flash")
}
