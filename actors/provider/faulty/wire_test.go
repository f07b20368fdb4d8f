package faulty

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestEveryWireTellsAScript(t *testing.T) {
	script := Script{
		Deltas: []string{"Zażółć ", "<b>🙂"}, Repeats: 1, Reasoning: []string{"h", "m"}, Model: "m-2",
		Usage: &protocol.Usage{InputTokens: 20, OutputTokens: 9}, CacheRead: 5, CacheWritten: 3, Thought: 4,
	}
	finish := map[Wire][3]string{
		OpenAI:    {"stop", "length", "content_filter"},
		Anthropic: {"end_turn", "max_tokens", "refusal"},
		Gemini:    {"STOP", "MAX_TOKENS", "SAFETY"},
	}
	each(t, func(t *testing.T, w Wire) {
		for i, finishes := range []string{FinishStop, FinishLength, FinishFilter} {
			s := script
			s.Finish = finishes
			srv := scripted(t, s)
			resp, body, err := whole(t, ask(w, srv.BaseURL(w), "m-1", "?"))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
			require.Contains(t, body, "<b>", "no escapes for HTML")
			want := heard{
				text: "Zażółć <b>🙂Zażółć <b>🙂", reasoning: "hm", model: "m-2", finish: finish[w][i],
				ended: true, in: 20, out: 9, cached: 5, written: 3, thought: 4,
			}
			if w == Gemini {
				want.written = 0
			}
			require.Equal(t, want, hear(w, body))
			require.Equal(t, string(s.Stream(w, "m-1")), body)
		}
	})
}

func TestEveryWireSaysNoMoreThanTheScript(t *testing.T) {
	each(t, func(t *testing.T, w Wire) {
		say := func(s Script) heard { return hear(w, string(s.Stream(w, "m"))) }
		stop := map[Wire]string{OpenAI: "stop", Anthropic: "end_turn", Gemini: "STOP"}[w]
		require.Equal(t, heard{model: "m", finish: stop, ended: true}, say(Script{}), "nothing to say, nothing counted")
		require.Equal(t, heard{model: "m", text: "a", finish: "odd", ended: true}, say(Script{Deltas: []string{"a"}, Finish: "odd"}))
		require.Empty(t, say(Script{Deltas: []string{"a"}, Finish: FinishNone}).finish)
		require.Equal(t, w != Gemini, say(Script{Finish: FinishNone}).ended)

		unended := say(Script{Deltas: []string{"a"}, NoDone: true})
		require.False(t, unended.ended)
		require.Equal(t, "a", unended.text)
		require.Equal(t, w != Gemini, unended.finish != "", "its finishReason is the gemini wire's end")

		torn := say(Script{Deltas: []string{"a", "b"}, Malformed: true})
		require.True(t, torn.broken)
		require.True(t, torn.ended)
		require.Equal(t, "a", torn.text)
		require.True(t, say(Script{Malformed: true}).broken)

		own := say(Script{Deltas: []string{"a"}, Error: `{"type":"error","error":{"type":"t","status":"t"}}`})
		require.Equal(t, heard{model: "m", text: "a", failure: "t"}, own)
	})
	require.Nil(t, (&Script{}).Stream("morse", "m"))
	require.True(t, hear(Gemini, string((&Script{Finish: FinishFilter}).Stream(Gemini, "m"))).blocked)
	require.Equal(t, "hm", hear(OpenAI, string((&Script{Reasoning: []string{"hm"}, ReasoningField: "reasoning"}).Stream(OpenAI, "m"))).reasoning)
}

// The vendor counts only where it is asked to.
func TestOpenAICountsOnlyWhereAsked(t *testing.T) {
	srv := scripted(t, Say("a"))
	r, err := http.NewRequest(http.MethodPost, srv.URL()+"/chat/completions", strings.NewReader(`{"model":"m","messages":[]}`))
	require.NoError(t, err)
	signWith(OpenAI, r.Header)
	_, got, err := whole(t, r)
	require.NoError(t, err)
	require.NotContains(t, got, "usage")
	require.Equal(t, "a", hear(OpenAI, got).text)
}

func TestLineEndsPiecesAndSignsOfLife(t *testing.T) {
	each(t, func(t *testing.T, w Wire) {
		plain := Say("a", "b")
		want := hear(w, string(plain.Stream(w, "m")))
		for _, end := range []string{"", "\n", "\r\n", "\r"} {
			s := plain
			s.LineEnd, s.Piece, s.Comments = end, 5, true
			srv := scripted(t, s)
			_, body, err := whole(t, ask(w, srv.BaseURL(w), "m", "?"))
			require.NoError(t, err)
			got := hear(w, body)
			require.Positive(t, got.alive)
			got.alive = 0
			require.Equal(t, want, got)
			if end == "\r" {
				require.NotContains(t, body, "\n")
			}
		}
	})
	require.Contains(t, string((&Script{}).Stream(Gemini, "m")), "\r\n\r\n")
	require.Contains(t, string((&Script{Comments: true}).Stream(Anthropic, "m")), "event: ping\ndata: {\"type\":\"ping\"}\n\n")
	require.True(t, strings.HasPrefix(string((&Script{Comments: true}).Stream(Anthropic, "m")), "event: message_start\n"))
}

// The order of a stream's events is part of the wire.
func TestAnthropicEventsComeInOrder(t *testing.T) {
	s := Say("a", "b")
	s.Reasoning = []string{"hm"}
	all, _ := frames(string(s.Stream(Anthropic, "m")))
	var names []string
	for _, f := range all {
		names = append(names, f.name)
	}
	require.Equal(t, []string{
		"message_start",
		"content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
		"content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
		"message_delta", "message_stop",
	}, names)
	require.JSONEq(t, `{"type":"message_start","message":{"id":"msg_faulty","type":"message","role":"assistant","model":"m","content":[],
		"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":0,
		"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},
		"output_tokens":1,"service_tier":"standard"}}}`, all[0].data)
	require.JSONEq(t, `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`, all[1].data)
	require.JSONEq(t, `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`, all[2].data)
	require.Contains(t, all[3].data, `"signature_delta"`)
	require.JSONEq(t, `{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`, all[5].data)
	require.JSONEq(t, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"}}`, all[7].data)
	require.JSONEq(t, `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},
		"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2,
		"output_tokens_details":{"thinking_tokens":0}}}`, all[9].data)
	require.JSONEq(t, `{"type":"message_stop"}`, all[10].data)
}

func TestOpenAIAndGeminiChunks(t *testing.T) {
	s := Say("a")
	s.Reasoning = []string{"hm"}
	all, _ := frames(string(s.Stream(OpenAI, "m")))
	require.JSONEq(t, `{"id":"chatcmpl-faulty","object":"chat.completion.chunk","created":1700000000,"model":"m","service_tier":"default",
		"system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,
		"finish_reason":null}],"usage":null,"obfuscation":"Zq3xW8"}`, all[0].data)
	require.JSONEq(t, `{"id":"chatcmpl-faulty","object":"chat.completion.chunk","created":1700000000,"model":"m","service_tier":"default",
		"system_fingerprint":null,"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9,
		"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,
		"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}`, all[4].data)
	require.Equal(t, "[DONE]", all[5].data)
	require.Len(t, all, 6)

	all, _ = frames(string(s.Stream(Gemini, "m")))
	require.JSONEq(t, `{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"},"index":0}],
		"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8}]},
		"modelVersion":"m","responseId":"faulty"}`, all[0].data)
	require.JSONEq(t, `{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"ZmF1bHR5"}],"role":"model"},"finishReason":"STOP","index":0}],
		"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":1,"totalTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8}]},
		"modelVersion":"m","responseId":"faulty"}`, all[2].data)
	require.Len(t, all, 3)
}

// Every status and reason has the wire's own object.
func TestRefusals(t *testing.T) {
	type told struct {
		status     int
		kind, code string
		says       string
	}
	const invalid, bad = "invalid_request_error", "INVALID_ARGUMENT"
	for name, tt := range map[string]struct {
		script Script
		want   map[Wire]told
	}{
		"400": {Script{Status: 400}, map[Wire]told{OpenAI: {400, invalid, "", ""}, Anthropic: {400, invalid, "", ""}, Gemini: {400, bad, "", ""}}},
		"401": {Script{Status: 401}, map[Wire]told{OpenAI: {401, invalid, "invalid_api_key", ""}, Anthropic: {401, "authentication_error", "", ""}, Gemini: {401, "UNAUTHENTICATED", "", ""}}},
		"402": {Script{Status: 402}, map[Wire]told{OpenAI: {402, invalid, "", ""}, Anthropic: {402, "billing_error", "", ""}, Gemini: {402, bad, "", ""}}},
		"403": {Script{Status: 403}, map[Wire]told{OpenAI: {403, invalid, "", ""}, Anthropic: {403, "permission_error", "", ""}, Gemini: {403, "PERMISSION_DENIED", "", ""}}},
		"404": {Script{Status: 404}, map[Wire]told{OpenAI: {404, invalid, "", ""}, Anthropic: {404, "not_found_error", "", ""}, Gemini: {404, "NOT_FOUND", "", ""}}},
		"413": {Script{Status: 413}, map[Wire]told{OpenAI: {413, invalid, "", ""}, Anthropic: {413, "request_too_large", "", ""}, Gemini: {413, bad, "", ""}}},
		"429": {Script{Status: 429}, map[Wire]told{OpenAI: {429, "requests", "rate_limit_exceeded", ""}, Anthropic: {429, "rate_limit_error", "", ""}, Gemini: {429, "RESOURCE_EXHAUSTED", "", ""}}},
		"500": {Script{Status: 500}, map[Wire]told{OpenAI: {500, "server_error", "", ""}, Anthropic: {500, "api_error", "", ""}, Gemini: {500, "INTERNAL", "", ""}}},
		"503": {Script{Status: 503}, map[Wire]told{OpenAI: {503, "server_error", "", ""}, Anthropic: {503, "overloaded_error", "", ""}, Gemini: {503, "UNAVAILABLE", "", ""}}},
		"504": {Script{Status: 504}, map[Wire]told{OpenAI: {504, "server_error", "", ""}, Anthropic: {504, "timeout_error", "", ""}, Gemini: {504, "DEADLINE_EXCEEDED", "", ""}}},
		"529": {Script{Status: 529}, map[Wire]told{OpenAI: {529, "server_error", "", ""}, Anthropic: {529, "overloaded_error", "", ""}, Gemini: {529, "INTERNAL", "", ""}}},

		"key":        {Script{Why: KeyRefused}, map[Wire]told{OpenAI: {401, invalid, "invalid_api_key", ""}, Anthropic: {401, "authentication_error", "", ""}, Gemini: {400, bad, "", "API key not valid"}}},
		"credit":     {Script{Why: OutOfCredit}, map[Wire]told{OpenAI: {429, "insufficient_quota", "insufficient_quota", ""}, Anthropic: {402, "billing_error", "", ""}, Gemini: {429, "RESOURCE_EXHAUSTED", "", "quota"}}},
		"model":      {Script{Why: ModelUnknown}, map[Wire]told{OpenAI: {404, invalid, "model_not_found", "`m-1`"}, Anthropic: {404, "not_found_error", "", "model: m-1"}, Gemini: {404, "NOT_FOUND", "", "models/m-1 is not found"}}},
		"context":    {Script{Why: ContextTooLong}, map[Wire]told{OpenAI: {400, invalid, "context_length_exceeded", "maximum context length"}, Anthropic: {400, invalid, "", "prompt is too long: "}, Gemini: {400, bad, "", "exceeds the maximum number of tokens"}}},
		"filter":     {Script{Why: Filtered}, map[Wire]told{OpenAI: {400, invalid, "content_filter", ""}, Anthropic: {400, invalid, "", ""}, Gemini: {400, bad, "", ""}}},
		"overloaded": {Script{Why: Overloaded}, map[Wire]told{OpenAI: {503, "server_error", "", ""}, Anthropic: {529, "overloaded_error", "", ""}, Gemini: {503, "UNAVAILABLE", "", ""}}},
		"both":       {Script{Status: 403, Why: KeyRefused}, map[Wire]told{OpenAI: {403, invalid, "invalid_api_key", ""}, Anthropic: {403, "permission_error", "", ""}, Gemini: {403, "PERMISSION_DENIED", "", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := scripted(t, tt.script)
			for w, want := range tt.want {
				resp, body, err := whole(t, ask(w, srv.BaseURL(w), "m-1", "?"))
				require.NoError(t, err)
				got := refusedWith(t, w, resp, body)
				require.Equal(t, want, told{got.status, got.kind, got.code, want.says}, "%s: %s", w, body)
				require.Contains(t, got.text, want.says)
				require.Empty(t, resp.Header.Get("Retry-After"))
			}
		})
	}
}

func TestRefusalsSayHowLongToWait(t *testing.T) {
	srv := scripted(t, Script{Status: 429, RetryAfter: 7})
	each(t, func(t *testing.T, w Wire) {
		resp, body, err := whole(t, ask(w, srv.BaseURL(w), "m", "?"))
		require.NoError(t, err)
		require.Equal(t, "7", resp.Header.Get("Retry-After"))
		if w == Gemini {
			details := refusedWith(t, w, resp, body).details
			require.Contains(t, details, `"@type":"type.googleapis.com/google.rpc.RetryInfo"`)
			require.Contains(t, details, `"retryDelay":"7s"`)
		}
	})
	srv = scripted(t, Script{Status: 503, RetryAfter: 7, Header: http.Header{"retry-after": {"soon"}}, Body: "plain ", EchoAuth: true})
	each(t, func(t *testing.T, w Wire) {
		resp, body, err := whole(t, ask(w, srv.BaseURL(w), "m", "?"))
		require.NoError(t, err)
		require.Equal(t, "soon", resp.Header.Get("Retry-After"))
		require.Equal(t, "plain "+map[Wire]string{OpenAI: "Bearer sk-k", Anthropic: "sk-k", Gemini: "sk-k"}[w], body)
	})
}
