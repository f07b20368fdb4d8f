package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrameAppend(t *testing.T) {
	usage := &Usage{InputTokens: 8, OutputTokens: 3}
	for _, test := range []struct {
		name  string
		frame Frame
		want  string
	}{
		// A turn without id: exactly this and nothing more, whatever else is set.
		{
			"unnamed chunk",
			Frame{Type: TypeChunk, RunID: "r", Seq: 3, From: 2, Text: []byte(`Hel\"lo`)},
			`{"type":"chunk","content":"Hel\"lo"}`,
		},
		{
			"unnamed complete",
			Frame{Type: TypeComplete, RunID: "r", Seq: 3, Text: []byte("Hello there!"), Finish: FinishStop, Provider: "echo", Model: "m", Usage: usage, Session: "s"},
			`{"type":"complete","full_response":"Hello there!"}`,
		},
		{
			"unnamed cancelled",
			Frame{Type: TypeCancelled, RunID: "r", Seq: 3, Text: []byte("so far"), Usage: usage},
			`{"type":"cancelled","full_response":"so far"}`,
		},
		{
			"unnamed error",
			Frame{Type: TypeError, RunID: "r", Code: InvalidMessage, Message: `a "b" <c>`, Text: []byte("partial")},
			`{"type":"error","message":"a \"b\" <c>","code":"INVALID_MESSAGE"}`,
		},
		{
			"unnamed error that says when",
			Frame{Type: TypeError, Code: RateLimitExceeded, Message: "slow down", RetryAfter: 12},
			`{"type":"error","message":"slow down","code":"RATE_LIMIT_EXCEEDED","retry_after":12}`,
		},
		{
			"error of a code that is not on the list",
			Frame{Type: TypeError, Code: `X","y":"`, Message: "m"},
			`{"type":"error","message":"m","code":"INTERNAL"}`,
		},

		// A turn with id.
		{
			"accepted",
			Frame{Type: TypeAccepted, Named: true, ID: "1", RunID: "r"},
			`{"type":"accepted","id":"1","run_id":"r"}`,
		},
		{
			"accepted of an HTTP exchange without id",
			Frame{Type: TypeAccepted, Named: true, RunID: "r"},
			`{"type":"accepted","run_id":"r"}`,
		},
		{
			"status",
			Frame{Type: TypeStatus, Named: true, ID: "1", RunID: "r", State: StateQueued},
			`{"type":"status","id":"1","state":"queued"}`,
		},
		{
			"chunk",
			Frame{Type: TypeChunk, Named: true, ID: "1", RunID: "r", Seq: 1, Text: []byte("Hello")},
			`{"type":"chunk","id":"1","seq":1,"content":"Hello"}`,
		},
		{
			"joined chunk",
			Frame{Type: TypeChunk, Named: true, ID: "1", Seq: 12, From: 9, Text: []byte("Hello")},
			`{"type":"chunk","id":"1","seq":12,"from":9,"content":"Hello"}`,
		},
		{
			"chunk without id",
			Frame{Type: TypeChunk, Named: true, Seq: 18446744073709551615, Text: []byte("x")},
			`{"type":"chunk","seq":18446744073709551615,"content":"x"}`,
		},
		{
			"snapshot",
			Frame{Type: TypeSnapshot, Named: true, ID: "1", RunID: "r", Seq: 12, Text: []byte("missed")},
			`{"type":"snapshot","id":"1","run_id":"r","seq":12,"content":"missed"}`,
		},
		{
			"empty snapshot",
			Frame{Type: TypeSnapshot, Named: true, RunID: "r"},
			`{"type":"snapshot","run_id":"r","seq":0,"content":""}`,
		},
		{
			"complete",
			Frame{Type: TypeComplete, Named: true, ID: "1", RunID: "r", Seq: 13, Text: []byte("Hi"), Finish: FinishStop, Provider: "openai", Model: "gpt", Usage: usage},
			`{"type":"complete","id":"1","run_id":"r","seq":13,"full_response":"Hi","finish_reason":"stop","provider":"openai","model":"gpt","usage":{"input_tokens":8,"output_tokens":3,"estimated":false}}`,
		},
		{
			"complete of POST /api/chat, nothing counted",
			Frame{Type: TypeComplete, Named: true, RunID: "r", Seq: 1, Finish: FinishLength, Provider: "echo", Model: "m", Session: "s-1"},
			`{"type":"complete","run_id":"r","seq":1,"full_response":"","finish_reason":"length","provider":"echo","model":"m","session_id":"s-1"}`,
		},
		{
			"cancelled",
			Frame{Type: TypeCancelled, Named: true, ID: "1", RunID: "r", Seq: 9, Text: []byte("so far"), Usage: &Usage{OutputTokens: 2, Estimated: true}},
			`{"type":"cancelled","id":"1","run_id":"r","seq":9,"full_response":"so far","usage":{"input_tokens":0,"output_tokens":2,"estimated":true}}`,
		},
		{
			"error with everything",
			Frame{Type: TypeError, Named: true, ID: "1", RunID: "r", Seq: 4, Code: WorkerLost, Message: "m", RetryAfter: 12, Text: []byte("so far")},
			`{"type":"error","id":"1","run_id":"r","code":"WORKER_LOST","message":"m","retryable":true,"retry_after":12,"partial":"so far"}`,
		},
		{
			"error before a run was found",
			Frame{Type: TypeError, Named: true, ID: "1", Code: UnknownModel, Message: "m"},
			`{"type":"error","id":"1","code":"UNKNOWN_MODEL","message":"m","retryable":false}`,
		},
		{
			"error with an empty partial",
			Frame{Type: TypeError, Named: true, ID: "1", Code: Internal, Message: "m", Text: []byte{}},
			`{"type":"error","id":"1","code":"INTERNAL","message":"m","retryable":true,"partial":""}`,
		},
		{
			"error whose id alone names the turn",
			Frame{Type: TypeError, ID: "1", Code: InvalidMessage, Message: "m"},
			`{"type":"error","id":"1","code":"INVALID_MESSAGE","message":"m","retryable":false}`,
		},
		{
			"error that answers a cancel never shows an id",
			Frame{Type: TypeError, Named: true, ID: "1", For: ForCancel, Code: NoActiveRun, Message: "m"},
			`{"type":"error","for":"cancel","code":"NO_ACTIVE_RUN","message":"m","retryable":false}`,
		},
		{
			"error that answers a resume",
			Frame{Type: TypeError, For: ForResume, RunID: "r", Code: BusUnavailable, Message: "m", RetryAfter: 1},
			`{"type":"error","for":"resume","run_id":"r","code":"BUS_UNAVAILABLE","message":"m","retryable":true,"retry_after":1}`,
		},

		// Of no turn at all.
		{"pong", Frame{Type: TypePong}, `{"type":"pong"}`},
		{"reconnect", Frame{Type: TypeReconnect, AfterMS: 1500}, `{"type":"reconnect","after_ms":1500}`},
		{"reconnect now", Frame{Type: TypeReconnect, Named: true}, `{"type":"reconnect","after_ms":0}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, string(test.frame.Append(nil)))
			require.Equal(t, "before"+test.want, string(test.frame.Append([]byte("before"))))
			require.True(t, json.Valid([]byte(test.want)))
		})
	}
}

func TestAppendHTTPError(t *testing.T) {
	require.Equal(t,
		`{"type":"error","code":"OVERLOADED","message":"all \"full\"","retryable":true,"retry_after":3}`,
		string(AppendHTTPError(nil, NewError(Overloaded, `all "full"`, 3))))
	require.Equal(t,
		`> {"type":"error","code":"RUN_NOT_FOUND","message":"no such run","retryable":false}`,
		string(AppendHTTPError([]byte("> "), NewError(RunNotFound, "no such run", 0))))
}

// parsed is every field that a frame can have, read as a client reads it.
type parsed struct {
	Type    Type    `json:"type"`
	ID      string  `json:"id"`
	RunID   string  `json:"run_id"`
	Session string  `json:"session_id"`
	Seq     uint64  `json:"seq"`
	From    uint64  `json:"from"`
	Content *string `json:"content"`
	Full    *string `json:"full_response"`
	Partial *string `json:"partial"`
	State   string  `json:"state"`
	Finish  string  `json:"finish_reason"`
	Prov    string  `json:"provider"`
	Model   string  `json:"model"`
	Usage   *Usage  `json:"usage"`
	Code    Code    `json:"code"`
	Message string  `json:"message"`
	Retry   *bool   `json:"retryable"`
	After   int     `json:"retry_after"`
	For     string  `json:"for"`
	AfterMS int     `json:"after_ms"`
}

func allTypes() []Type {
	return []Type{
		TypeAccepted, TypeStatus, TypeChunk, TypeSnapshot, TypeComplete, TypeCancelled, TypeError, TypePong, TypeReconnect,
	}
}

func TestFrameCarriesHostileText(t *testing.T) {
	for _, text := range hostileTexts() {
		for _, kind := range allTypes() {
			for _, named := range []bool{true, false} {
				checkFrame(t, kind, named, text)
			}
		}
	}
}

// checkFrame fills every field of a frame with one text and reads it back.
func checkFrame(t *testing.T, kind Type, named bool, text string) {
	t.Helper()
	plain := string([]rune(text)) // what is not UTF-8 becomes U+FFFD
	f := Frame{
		Type: kind, Named: named, ID: text, RunID: text, Session: text, Seq: 7, From: 5,
		Text: AppendEscapedString([]byte{}, text), State: text, Finish: text, Provider: text, Model: text,
		Usage: &Usage{InputTokens: 1}, Code: Code(text), Message: text, RetryAfter: 9, AfterMS: 11,
	}
	out := f.Append(nil)
	var p parsed
	require.NoError(t, json.Unmarshal(out, &p), "%s", out)
	require.Equal(t, kind, p.Type)
	for _, carried := range []*string{p.Content, p.Full, p.Partial} {
		if carried != nil {
			require.Equal(t, plain, *carried)
		}
	}
	switch kind {
	case TypeChunk, TypeSnapshot:
		require.NotNil(t, p.Content)
	case TypeComplete, TypeCancelled:
		require.NotNil(t, p.Full)
	case TypeError:
		require.Equal(t, plain, p.Message)
		require.Equal(t, Lookup(Code(text)).Code, p.Code)
		require.Equal(t, 9, p.After)
	}
	if named && slices.Contains(allTypes()[:7], kind) { // those that belong to a turn
		require.Equal(t, plain, p.ID)
	}
}

func FuzzFrameAppend(f *testing.F) {
	for _, text := range hostileTexts() {
		for i, kind := range allTypes() {
			f.Add(string(kind), i%2 == 0, text)
		}
	}
	f.Add(`no such "type"`, true, "text")
	f.Fuzz(func(t *testing.T, kind string, named bool, text string) {
		checkFrame(t, Type([]rune(kind)), named, text)
	})
}

func TestFrameAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for _, kind := range allTypes() {
		for _, named := range []bool{true, false} {
			f := Frame{
				Type: kind, Named: named, ID: "turn-1", RunID: "run", Seq: 1 << 40, From: 3, Text: []byte(`Hello \"you\"`),
				State: StateStreaming, Finish: FinishStop, Provider: "echo", Model: "echo-1", Usage: &Usage{},
				Code: Overloaded, Message: `say "when"`, RetryAfter: 3,
			}
			require.Zero(t, testing.AllocsPerRun(100, func() { dst = f.Append(dst[:0]) }), "%s named=%t", kind, named)
		}
	}
}

func BenchmarkFrameAppend(b *testing.B) {
	text, answer := []byte("twenty bytes of text"), bytes.Repeat([]byte("twenty bytes of text"), 50)
	for _, bb := range []struct {
		name  string
		frame Frame
	}{
		{"chunk/unnamed", Frame{Type: TypeChunk, Text: text}},
		{"chunk/named", Frame{Type: TypeChunk, Named: true, ID: "1", Seq: 1234, Text: text}},
		{"complete/unnamed", Frame{Type: TypeComplete, Text: answer}},
		{"complete/named", Frame{
			Type: TypeComplete, Named: true, ID: "1", RunID: "w1-run", Seq: 51, Text: answer, Finish: FinishStop,
			Provider: "openai", Model: "gpt-4.1", Attempts: 1, Usage: &Usage{InputTokens: 12, OutputTokens: 250},
		}},
		{"error/named", Frame{Type: TypeError, Named: true, ID: "1", RunID: "w1-run", Code: ShuttingDown, Message: "going away"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			dst := bb.frame.Append(nil)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = bb.frame.Append(dst[:0])
			}
		})
	}
}
