package provider

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func testEcho(t testing.TB) Provider {
	t.Helper()
	p, err := New("echo", Config{Type: TypeEcho}, Deps{Log: zerolog.Nop()})
	require.NoError(t, err)
	return p
}

func TestEchoPieces(t *testing.T) {
	tests := map[string]struct {
		model, question string
		max             int
		pieces          []string
		finish          string
	}{
		"word by word":         {model: "echo-0s", question: "Hello there, you!", pieces: []string{"Hello ", "there, ", "you!"}},
		"white space is kept":  {model: "echo-0s", question: "\n a \t b  ", pieces: []string{"\n a \t ", "b  "}},
		"wide white space":     {model: "echo-0s", question: "a\u3000b", pieces: []string{"a\u3000", "b"}},
		"characters are whole": {model: "echo-0s", question: "żółw 🙂 日本", pieces: []string{"żółw ", "🙂 ", "日本"}},
		"blank":                {model: "echo-0s-3w", question: "  ", pieces: []string{"  "}},
		"empty":                {model: "echo-0s-1kb", question: ""},
		"default model":        {model: "", question: "a b", pieces: []string{"a ", "b"}},
		"words repeat":         {model: "echo-0s-5w", question: "a b", pieces: []string{"a ", "b ", "a ", "b ", "a"}},
		"words cut":            {model: "echo-0s-1w", question: "a b", pieces: []string{"a"}},
		"max_tokens cuts":      {model: "echo-0s", question: "a b c", max: 2, pieces: []string{"a ", "b"}, finish: protocol.FinishLength},
		"max_tokens just fits": {model: "echo-0s", question: "a b c ", max: 3, pieces: []string{"a ", "b ", "c "}},
		"max_tokens and words": {model: "echo-0s-9w", question: "a", max: 2, pieces: []string{"a ", "a"}, finish: protocol.FinishLength},
		"words within":         {model: "echo-0s-2w", question: "a", max: 2, pieces: []string{"a ", "a"}},
		"max_tokens and kb":    {model: "echo-0s-1kb", question: "a ", max: 2, pieces: []string{"a ", "a"}, finish: protocol.FinishLength},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := ask(tt.question)
				q.Model, q.MaxTokens = tt.model, tt.max
				e, res, err := stream(t, testEcho(t), q)
				require.NoError(t, err)
				require.Equal(t, tt.pieces, e.pieces)
				if tt.finish == "" {
					tt.finish = protocol.FinishStop
				}
				require.Equal(t, tt.finish, res.Finish)
			})
		})
	}
}

func TestEchoAnswersTheLastUserMessage(t *testing.T) {
	q := &Question{Model: "echo-0s", System: "be brief", Messages: []protocol.Message{
		{Role: protocol.RoleUser, Content: "first"},
		{Role: protocol.RoleUser, Content: "the question"},
		{Role: protocol.RoleAssistant, Content: "no"},
	}}
	e, res, err := stream(t, testEcho(t), q)
	require.NoError(t, err)
	require.Equal(t, "the question", e.text())
	require.Equal(t, Result{Finish: protocol.FinishStop, Model: "echo-0s", Usage: &protocol.Usage{InputTokens: 6, OutputTokens: 2, Estimated: true}}, res)
}

// TestEchoClock: every word is the moment it was said, white space and counts
// stay as they are.
func TestEchoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := ask(" a  żó\n")
		q.Model = "echo-20ms-3w-clock"
		began := time.Now().UnixMicro()
		e, res, err := stream(t, testEcho(t), q)
		require.NoError(t, err)
		require.Equal(t, []string{
			fmt.Sprintf(" %d  ", began), fmt.Sprintf("%d\n ", began+20_000), fmt.Sprintf(" %d", began+40_000),
		}, e.pieces)
		require.Equal(t, 3, res.Usage.OutputTokens)

		q = ask("  ")
		q.Model = "echo-clock"
		e, _, err = stream(t, testEcho(t), q)
		require.NoError(t, err)
		require.Equal(t, "  ", e.text(), "there is no word to replace")
	})
}

func TestEchoKiB(t *testing.T) {
	for _, question := range []string{"x", "hello ", "日本語", strings.Repeat("🙂 b", 3000)} {
		for _, model := range []string{"echo-0s-17kb", "echo-1ns-17kb"} {
			q := ask(question)
			q.Model = model
			e, _, err := stream(t, testEcho(t), q)
			require.NoError(t, err)
			got := e.text()
			require.LessOrEqual(t, len(got), 17<<10)
			require.Greater(t, len(got), 17<<10-utf8.UTFMax)
			require.True(t, strings.HasPrefix(strings.Repeat(question, 17<<10/len(question)+1), got))
			for _, p := range e.pieces {
				require.True(t, utf8.ValidString(p))
			}
			if model == "echo-0s-17kb" {
				require.LessOrEqual(t, len(e.pieces), 10)
			}
		}
	}
}

func TestEchoIsByteForByte(t *testing.T) {
	p := testEcho(t)
	rapid.Check(t, func(rt *rapid.T) {
		q := ask(rapid.String().Draw(rt, "question"))
		q.Model = "echo-0s"
		e := new(ear)
		_, err := p.Stream(context.Background(), q, e)
		require.NoError(rt, err)
		require.Equal(rt, q.Messages[0].Content, e.text())
		for _, piece := range e.pieces {
			require.True(rt, utf8.ValidString(piece))
		}
	})
}

func TestEchoPaceDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := ask("w")
		q.Model = "echo-10ms-101w"
		start := time.Now()
		e := &ear{onText: func(n int) {
			if n == 50 {
				time.Sleep(25 * time.Millisecond) // a sink that is late once
			}
		}}
		_, err := testEcho(t).Stream(t.Context(), q, e)
		require.NoError(t, err)
		require.Len(t, e.pieces, 101)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestEchoFirstPieceIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q := ask("a b")
		q.Model = "echo-10s"
		_, err := testEcho(t).Stream(t.Context(), q, &ear{onText: func(n int) {
			require.Equal(t, time.Duration(n-1)*10*time.Second, time.Since(start))
		}})
		require.NoError(t, err)
	})
}

func TestEchoHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		q := ask("a b c d")
		q.Model = "echo-10ms"
		start, e := time.Now(), new(ear)
		res, err := testEcho(t).Stream(ctx, q, e)
		requireCode(t, err, protocol.ProviderTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 15*time.Millisecond, time.Since(start))
		require.Equal(t, "a b ", e.text())
		require.Equal(t, 2, res.Usage.OutputTokens)
	})
	t.Run("burst", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		q := ask("a b c d")
		q.Model = "echo-0s"
		e := &ear{onText: func(int) { cancel() }}
		_, err := testEcho(t).Stream(ctx, q, e)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, e.pieces, 1)
	})
}

func TestEchoUnknownModel(t *testing.T) {
	q := ask("a")
	q.Model = "echo-fast\n" + strings.Repeat("x", 200)
	_, _, err := stream(t, testEcho(t), q)
	e := requireCode(t, err, protocol.UnknownModel)
	require.Contains(t, e.Message, "echo-5ms-200w")
	require.NotContains(t, e.Message, "\n")
	require.Less(t, len(e.Message), 400)
}

func TestEchoModelsList(t *testing.T) {
	p, err := New("echo", Config{Type: TypeEcho, Models: []string{"echo-0s"}}, Deps{})
	require.NoError(t, err)
	q := ask("a")
	q.Model = "echo-1s"
	_, _, err = stream(t, p, q)
	require.Contains(t, requireCode(t, err, protocol.UnknownModel).Message, "echo-0s")
	q.Model = ""
	_, res, err := stream(t, p, q)
	require.NoError(t, err)
	require.Equal(t, "echo-0s", res.Model)
}

func BenchmarkEchoFirehose(b *testing.B) {
	p := testEcho(b)
	q := ask("the quick brown fox jumps over the lazy dog")
	q.Model = "echo-0s-10000w"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Stream(context.Background(), q, deaf{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/word")
}

// deaf is a Sink that costs nothing.
type deaf struct{}

func (deaf) Text([]byte)      {}
func (deaf) Reasoning([]byte) {}
func (deaf) Progress()        {}
