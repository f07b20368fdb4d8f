package provider

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	faults "github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestAnthropicStatuses(t *testing.T) {
	bad := func(message string) string { return errorEvent("invalid_request_error", message) }
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	tests := map[string]struct {
		status int
		header http.Header
		body   string
		code   protocol.Code
		fault  Fault
		retry  int
		says   string
	}{
		"400":                 {status: 400, body: bad("odd"), code: protocol.ProviderRejected, says: "as it was asked: check"},
		"400 temperature":     {status: 400, body: bad("temperature: range: 0..1"), code: protocol.ProviderRejected, says: "because of temperature"},
		"400 no temperature":  {status: 400, body: bad("`temperature` is deprecated for this model."), code: protocol.ProviderRejected, says: "because of temperature"},
		"400 max_tokens":      {status: 400, body: bad("max_tokens: 9 > 8, which is the maximum"), code: protocol.ProviderRejected, says: "because of max_tokens"},
		"400 messages":        {status: 400, body: bad("messages.0.content: too odd"), code: protocol.ProviderRejected, says: "because of messages"},
		"400 another field":   {status: 400, body: bad("metadata.user_id: <b>x</b>"), code: protocol.ProviderRejected, says: "as it was asked: check"},
		"400 prompt too long": {status: 400, body: bad("prompt is too long: 200001 tokens > 200000 maximum"), code: protocol.ProviderRejected, says: "longer than the model's context"},
		"400 both too long":   {status: 400, body: bad("input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000"), code: protocol.ProviderRejected, says: "longer than the model's context"},
		"400 filter":          {status: 400, body: bad("Output blocked by content filtering policy"), code: protocol.ProviderRejected, says: "content filter"},
		"400 no credit":       {status: 400, body: bad("Your credit balance is too low to access the Anthropic API."), code: protocol.ProviderUnauthorized, fault: FaultKeySpent, says: "out of credit"},
		"400 spent":           {status: 400, body: bad("You have reached your specified API usage limits. You will regain access on 2026-12-01."), code: protocol.ProviderUnauthorized, fault: FaultKeySpent, says: "out of credit"},
		"400 disabled":        {status: 400, body: bad("This organization has been disabled."), code: protocol.ProviderUnauthorized, fault: FaultKeyDenied, says: "api_keys.vendor"},
		"400 a stranger's":    {status: 400, body: bad("model: Your credit balance is too low"), code: protocol.ProviderRejected},
		"401":                 {status: 401, body: errorEvent("authentication_error", "invalid x-api-key"), code: protocol.ProviderUnauthorized, fault: FaultKeyRefused, says: "ANTHROPIC_API_KEY"},
		"402":                 {status: 402, body: errorEvent("billing_error", "x"), code: protocol.ProviderUnauthorized, fault: FaultKeySpent, says: "out of credit"},
		"403":                 {status: 403, body: errorEvent("permission_error", "x"), code: protocol.ProviderUnauthorized, fault: FaultKeyDenied},
		"403 HTML":            {status: 403, header: html, body: "<html>", code: protocol.ProviderUnavailable, fault: FaultKeyDenied},
		"404 model":           {status: 404, body: errorEvent("not_found_error", "model: m-1"), code: protocol.UnknownModel, says: `"m-1"`},
		"404":                 {status: 404, body: errorEvent("not_found_error", "Not Found"), code: protocol.ProviderRejected, says: "base_url"},
		"413":                 {status: 413, body: errorEvent("request_too_large", "x"), code: protocol.ProviderRejected, says: "Shorten"},
		"429":                 {status: 429, body: errorEvent("rate_limit_error", "x"), code: protocol.ProviderRateLimited, fault: FaultLimited, retry: defaultRetry},
		"429 seconds":         {status: 429, header: http.Header{"Retry-After": {"17"}}, body: errorEvent("rate_limit_error", "x"), code: protocol.ProviderRateLimited, fault: FaultLimited, retry: 17},
		"500":                 {status: 500, body: errorEvent("api_error", "x"), code: protocol.ProviderUnavailable, fault: FaultVendor},
		"504":                 {status: 504, body: errorEvent("timeout_error", "x"), code: protocol.ProviderUnavailable, fault: FaultVendor},
		"529":                 {status: 529, body: errorEvent("overloaded_error", "Overloaded"), code: protocol.ProviderUnavailable, fault: FaultVendor, retry: defaultRetry},
		"529 seconds":         {status: 529, header: http.Header{"Retry-After": {"3"}}, body: errorEvent("overloaded_error", "x"), code: protocol.ProviderUnavailable, fault: FaultVendor, retry: 3},
		"200, no stream":      {status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: errorEvent("authentication_error", "x"), code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, providertest.Script{Status: tt.status, Header: tt.header, Body: tt.body, Raw: []byte(tt.body)})
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
			got := requireCode(t, err, tt.code)
			require.Equal(t, tt.fault, res.Fault)
			require.Equal(t, tt.retry, got.RetryAfter)
			require.Contains(t, got.Message, tt.says)
			require.Empty(t, e.pieces)
			require.Len(t, srv.Requests(), 1)
		})
	}
}

// The faults as the vendor that fails on demand writes them on this wire.
func TestAnthropicFaultyVendor(t *testing.T) {
	said := []string{"a", "b"}
	for name, tt := range map[string]struct {
		script providertest.Script
		code   protocol.Code
		fault  Fault
		retry  int
		text   string
	}{
		"key":               {script: providertest.Script{Why: faults.KeyRefused}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
		"credit":            {script: providertest.Script{Why: faults.OutOfCredit}, code: protocol.ProviderUnauthorized, fault: FaultKeySpent},
		"permission":        {script: providertest.Refuse(403), code: protocol.ProviderUnauthorized, fault: FaultKeyDenied},
		"model":             {script: providertest.Script{Why: faults.ModelUnknown}, code: protocol.UnknownModel},
		"context":           {script: providertest.Script{Why: faults.ContextTooLong}, code: protocol.ProviderRejected},
		"too large":         {script: providertest.Refuse(413), code: protocol.ProviderRejected},
		"limited":           {script: providertest.Script{Status: 429, RetryAfter: 7}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: 7},
		"overloaded":        {script: providertest.Script{Why: faults.Overloaded}, code: protocol.ProviderUnavailable, fault: FaultVendor, retry: defaultRetry},
		"internal":          {script: providertest.Refuse(500), code: protocol.ProviderUnavailable, fault: FaultVendor},
		"filter":            {script: providertest.Script{Deltas: said, Finish: faults.FinishFilter}, code: protocol.ProviderRejected, text: "ab"},
		"overloaded inside": {script: providertest.Script{Deltas: said, Fault: &faults.Fault{Why: faults.Overloaded}}, code: protocol.ProviderUnavailable, fault: FaultVendor, retry: defaultRetry, text: "ab"},
		"internal inside":   {script: providertest.Script{Deltas: said, Fault: &faults.Fault{Status: 500}}, code: protocol.ProviderUnavailable, fault: FaultVendor, text: "ab"},
		"no end":            {script: providertest.Script{Deltas: said, NoDone: true}, code: protocol.ProviderInterrupted, fault: FaultVendor, text: "ab"},
		"malformed":         {script: providertest.Script{Deltas: said, Malformed: true}, code: protocol.ProviderInterrupted, fault: FaultVendor, text: "a"},
		"cut":               {script: providertest.Script{Deltas: said, CutPercent: 99}, code: protocol.ProviderInterrupted, fault: FaultVendor, text: "ab"},
		"reset":             {script: providertest.Script{Reset: true}, code: protocol.ProviderUnavailable, fault: FaultVendor},
	} {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
			require.Equal(t, tt.retry, requireCode(t, err, tt.code).RetryAfter)
			require.Equal(t, tt.fault, res.Fault)
			require.Equal(t, tt.text, e.text())
		})
	}
}

func TestAnthropicErrorEvents(t *testing.T) {
	begun := []string{startEvent, blockEvent("text"), textEvent("a")}
	tests := map[string]struct {
		event string
		code  protocol.Code
		fault Fault
		says  string
	}{
		"overloaded":        {errorEvent("overloaded_error", "Overloaded oops"), protocol.ProviderUnavailable, FaultVendor, "ask again"},
		"internal":          {errorEvent("api_error", "oops"), protocol.ProviderUnavailable, FaultVendor, "ask again"},
		"timeout":           {errorEvent("timeout_error", "oops"), protocol.ProviderUnavailable, FaultVendor, "ask again"},
		"rate":              {errorEvent("rate_limit_error", "oops"), protocol.ProviderRateLimited, FaultLimited, "wait"},
		"key":               {errorEvent("authentication_error", "oops"), protocol.ProviderUnauthorized, FaultKeyRefused, "api_keys.vendor"},
		"permission":        {errorEvent("permission_error", "oops"), protocol.ProviderUnauthorized, FaultKeyDenied, "api_keys.vendor"},
		"credit":            {errorEvent("billing_error", "oops"), protocol.ProviderUnauthorized, FaultKeySpent, "out of credit"},
		"no credit":         {errorEvent("invalid_request_error", "Your credit balance is too low, oops"), protocol.ProviderUnauthorized, FaultKeySpent, "out of credit"},
		"model":             {errorEvent("not_found_error", "model: oops"), protocol.UnknownModel, FaultNone, `"m-1"`},
		"too large":         {errorEvent("request_too_large", "oops"), protocol.ProviderRejected, FaultNone, "Shorten"},
		"request":           {errorEvent("invalid_request_error", "oops"), protocol.ProviderRejected, FaultNone, "as it was asked"},
		"filter":            {errorEvent("invalid_request_error", "Output blocked by content filtering policy, oops"), protocol.ProviderRejected, FaultNone, "content filter"},
		"a new one":         {errorEvent("tea_error", "oops"), protocol.ProviderInterrupted, FaultVendor, "broke its answer off"},
		"without its type":  {`{"error":{"type":"overloaded_error","message":"oops"}}`, protocol.ProviderUnavailable, FaultVendor, ""},
		"a string":          {`{"type":"error","error":"oops"}`, protocol.ProviderInterrupted, FaultVendor, ""},
		"bare":              {`{"type":"error"}`, protocol.ProviderInterrupted, FaultVendor, ""},
		"another's, number": {`{"type":"error","error":{"code":502,"message":"oops"}}`, protocol.ProviderUnavailable, FaultVendor, ""},
		"beside text":       {`{"type":"content_block_delta","delta":{"type":"text_delta","text":"b"},"error":{"message":"oops"}}`, protocol.ProviderInterrupted, FaultVendor, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, providertest.Script{Raw: spell("\n", append(begun[:3:3], tt.event, stopEvent)...)})
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
			got := requireCode(t, err, tt.code)
			require.Equal(t, tt.fault, res.Fault)
			require.Contains(t, got.Message, tt.says)
			require.NotContains(t, got.Message, "oops")
			require.Equal(t, "a", e.text())
			require.Equal(t, &protocol.Usage{InputTokens: 327, OutputTokens: 1, Estimated: true}, res.Usage)
			srv.WaitOpen(t, 0, 5*time.Second)
		})
	}

	for _, last := range []string{
		"event: error\ndata: {\"message\":\"by the event's name alone\"}\n\n",
		"data: {\"type\":\"error\",\"message\":\"by its type alone\"}\n\n",
	} {
		srv := providertest.New(t, providertest.Script{Raw: append(spell("\n", begun...), last+string(spell("\n", stopEvent))...)})
		_, _, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
		requireCode(t, err, protocol.ProviderInterrupted)
	}
}

func TestAnthropicBrokenStreams(t *testing.T) {
	first := string(spell("\n", startEvent, textEvent("a")))
	end := string(spell("\n", endEvent("end_turn"), stopEvent))
	tests := map[string]struct {
		script providertest.Script
		code   protocol.Code
		text   string
	}{
		"no message_stop":       {providertest.Script{Raw: []byte(first + string(spell("\n", endEvent("end_turn"))))}, protocol.ProviderInterrupted, "a"},
		"no end at all":         {providertest.Script{Raw: []byte(first)}, protocol.ProviderInterrupted, "a"},
		"nothing":               {providertest.Script{Raw: []byte{}}, protocol.ProviderInterrupted, ""},
		"only message_stop":     {providertest.Script{Raw: spell("\n", stopEvent)}, protocol.ProviderInterrupted, ""},
		"its name without data": {providertest.Script{Raw: []byte(first + "event: message_stop\n\n")}, protocol.ProviderInterrupted, "a"},
		"another wire's end":    {providertest.Script{Raw: []byte(first + "data: [DONE]\n\n")}, protocol.ProviderInterrupted, "a"},
		"cut after the headers": {providertest.Script{Cut: -1}, protocol.ProviderInterrupted, ""},
		"malformed":             {providertest.Script{Raw: []byte(first + "data: {\"type\":\"content_block_delta\",\n\n" + end)}, protocol.ProviderInterrupted, "a"},
		"no object":             {providertest.Script{Raw: []byte(first + "data: 17\n\n" + end)}, protocol.ProviderInterrupted, "a"},
		"deep":                  {providertest.Script{Raw: []byte(first + "data: {\"delta\":" + strings.Repeat("[", 100<<10) + strings.Repeat("]", 100<<10) + "}\n\n" + end)}, protocol.ProviderInterrupted, "a"},
		"10 MB line":            {providertest.Script{Raw: []byte(first + "data: {\"delta\":\"" + strings.Repeat("x", 10<<20) + "\"}\n\n" + end)}, protocol.ProviderInterrupted, "a"},
		"text of another type":  {providertest.Script{Raw: spell("\n", deltaEvent("text_delta", "text", `{"a":1}`), stopEvent)}, protocol.ProviderInterrupted, ""},
		"refusal":               {providertest.Script{Raw: spell("\n", spoken("refusal", "a")...)}, protocol.ProviderRejected, "a"},
		"refusal, cut":          {providertest.Script{Raw: []byte(first + string(spell("\n", endEvent("refusal"))))}, protocol.ProviderRejected, "a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
			requireCode(t, err, tt.code)
			require.Equal(t, tt.code == protocol.ProviderInterrupted, res.Fault == FaultVendor)
			require.Equal(t, tt.text, e.text())
			require.NotNil(t, res.Usage)
			srv.WaitOpen(t, 0, 5*time.Second)
		})
	}
}

// What broke off is never complete: the connection breaks after every single
// byte before the end of message_stop, and the body ends there in good order.
func TestAnthropicCutIsNeverComplete(t *testing.T) {
	whole := spell("\r\n", spoken("end_turn", "Zażółć", " 🙂")...)
	done := len(whole) - len("\r\n")
	var cut atomic.Int64
	srv := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		return providertest.Script{Raw: whole, Cut: int(cut.Load())}
	})
	p := newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)})
	for n := 1; n <= len(whole); n++ {
		cut.Store(int64(n))
		e, _, err := stream(t, p, askAnthropic("a"))
		require.True(t, strings.HasPrefix("Zażółć 🙂", e.text()))
		if n <= done {
			requireCode(t, err, protocol.ProviderInterrupted)
		} else {
			require.NoError(t, err, "cut at %d of %d: message_stop was whole", n, len(whole))
		}
	}
	for n := range len(whole) - len("\r\n\r\n") {
		var a answer
		a.reset(strings.NewReader(string(whole[:n])))
		require.ErrorIs(t, a.relay(new(anthropic), new(ear)), errNoEnd, "end at %d", n)
	}
}

func TestAnthropicKeyIsInNoError(t *testing.T) {
	const key = "canary+key/with=signs"
	forms := []string{key, base64.StdEncoding.EncodeToString([]byte(key)), hex.EncodeToString([]byte(key)), "canary%2Bkey%2Fwith%3Dsigns", "canary+key"}
	all := strings.Join(forms[:4], " | ")
	scripts := map[string]providertest.Script{
		"401 that echoes it":  {Status: 401, Body: "you sent ", EchoAuth: true},
		"error object":        {Status: 400, Body: errorEvent(key, all)},
		"error in the stream": {Raw: spell("\n", startEvent, errorEvent(key, all))},
		"request id":          {Status: 500, Header: http.Header{"Request-Id": {key}}, Body: "{}"},
		"model":               {Raw: spell("\n", `{"type":"message_start","message":{"model":"`+all+`"}}`)},
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			q := ask("a")
			q.Key = secret(key)
			_, res, err := stream(t, newTestAnthropic(t, Config{BaseURL: providertest.New(t, script).BaseURL(faults.Anthropic)}), q)
			require.Error(t, err)
			for ; err != nil; err = unwrap(err) {
				for _, form := range forms {
					require.NotContains(t, err.Error(), form)
				}
			}
			require.NotContains(t, res.Model, key)
		})
	}
}

// The test above would be blind if the extract never reached the operator.
func TestAnthropicOperatorSeesTheExtract(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Status: 400, Header: http.Header{"Request-Id": {"req_7"}}, Body: errorEvent("invalid_request_error", "odd thing")})
	_, _, err := stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
	e := requireCode(t, err, protocol.ProviderRejected)
	require.EqualError(t, e.Err, "HTTP status 400: request req_7: invalid_request_error  odd thing")
	require.NotContains(t, e.Message, "odd")

	srv = providertest.New(t, providertest.Script{Raw: spell("\n", errorEvent("overloaded_error", "odd thing"))})
	_, _, err = stream(t, newTestAnthropic(t, Config{BaseURL: srv.BaseURL(faults.Anthropic)}), askAnthropic("a"))
	e = requireCode(t, err, protocol.ProviderUnavailable)
	require.EqualError(t, e.Err, "error inside the stream: overloaded_error 529 odd thing")
}

func FuzzAnthropicEvent(f *testing.F) {
	for _, s := range []string{
		startEvent, pingEvent, stopEvent, blockEvent("text"), blockEvent("thinking"), textEvent("Hi\n🙂"), endEvent("refusal"),
		deltaEvent("text_delta", "text", `"\ud83d"`), deltaEvent("thinking_delta", "thinking", `"hm"`), deltaEvent("text_delta", "text", `[]`),
		errorEvent("overloaded_error", "Overloaded"), errorEvent("tea_error", "`x"), `{"type":"error"}`, `{"error":"x"}`,
		`{"type":"message_delta","delta":{"stop_reason":7},"usage":{"input_tokens":1e999,"output_tokens":-1}}`,
		`{"type":"content_block_delta","delta":{"type":"text_delta","text":"a","text":"b"},"delta":"c"}`, `{"type":["ping"]}`, `[DONE]`, `null`, `{}`,
	} {
		f.Add([]byte(s))
	}
	fuzzEvent(f, TypeAnthropic, new(anthropic))
}
