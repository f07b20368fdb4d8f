package provider

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// googleError is an error object as Google writes it; details are JSON objects.
func googleError(code int, status, message string, details ...string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q,"details":[%s]}}`, code, message, status, strings.Join(details, ","))
}

const (
	overQuota   = "You exceeded your current quota, please check your plan and billing details."
	badKeyInfo  = `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}`
	retryInfo   = `{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074s"}`
	perDay      = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]}`
	noneADay    = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"0"}]}`
	tooMuchHeat = `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"generation_config.temperature","description":"x"}]}`
	tooManyOut  = `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"generation_config.max_output_tokens","description":"x"}]}`
)

func TestGeminiStatuses(t *testing.T) {
	after := http.Header{"Retry-After": {"17"}}
	tests := map[string]struct {
		script providertest.Script
		code   protocol.Code
		fault  Fault
		retry  int
		says   string
	}{
		"400":                       {script: providertest.Script{Status: 400}, code: protocol.ProviderRejected, says: "temperature"},
		"400 names what":            {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "x", tooMuchHeat)}, code: protocol.ProviderRejected, says: "because of temperature"},
		"400 names max_tokens":      {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "x", tooManyOut)}, code: protocol.ProviderRejected, says: "because of max_tokens"},
		"400 key":                   {script: providertest.Script{Why: faulty.KeyRefused}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused, says: "api_keys.vendor"},
		"400 key, by its reason":    {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "x", badKeyInfo)}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
		"400 key, expired":          {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.")}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
		"400 about keys":            {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "you wrote: API key not valid")}, code: protocol.ProviderRejected},
		"400 in a list":             {script: providertest.Script{Status: 400, Body: "[" + googleError(400, "INVALID_ARGUMENT", "x", badKeyInfo) + "]"}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
		"400 region":                {script: providertest.Script{Status: 400, Body: googleError(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")}, code: protocol.ProviderUnauthorized, fault: FaultKeyDenied, says: "enable billing"},
		"400 context":               {script: providertest.Script{Why: faulty.ContextTooLong}, code: protocol.ProviderRejected, says: "longer than the model's context"},
		"400 request size":          {script: providertest.Script{Status: 400, Body: googleError(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.")}, code: protocol.ProviderRejected, says: "Shorten"},
		"401":                       {script: providertest.Script{Status: 401}, code: protocol.ProviderUnauthorized, fault: FaultKeyRefused},
		"402 credit":                {script: providertest.Script{Status: 402, Body: googleError(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")}, code: protocol.ProviderUnauthorized, fault: FaultKeySpent, says: "out of credit"},
		"403":                       {script: providertest.Script{Status: 403}, code: protocol.ProviderUnauthorized, fault: FaultKeyDenied},
		"403 no key":                {script: providertest.Script{Why: faulty.KeyMissing}, code: protocol.ProviderUnauthorized, fault: FaultKeyDenied},
		"403 another's tuned model": {script: providertest.Script{Status: 403, Body: googleError(403, "PERMISSION_DENIED", "You do not have permission to access tuned model tunedModels/x.")}, code: protocol.UnknownModel, says: `"m-1"`},
		"404 model":                 {script: providertest.Script{Why: faulty.ModelUnknown}, code: protocol.UnknownModel, says: `"m-1"`},
		"404 entity":                {script: providertest.Script{Status: 404, Body: googleError(404, "NOT_FOUND", "Requested entity was not found.")}, code: protocol.UnknownModel},
		"404 HTML":                  {script: providertest.Script{Status: 404, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"}, code: protocol.ProviderUnavailable, says: "base_url"},
		"429":                       {script: providertest.Script{Status: 429}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: defaultRetry},
		"429 waits":                 {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", overQuota, perDay, retryInfo)}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: 35},
		"429 waits, in a header":    {script: providertest.Script{Status: 429, Header: after, Body: googleError(429, "RESOURCE_EXHAUSTED", overQuota, retryInfo)}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: 17},
		"429 a quota, in words":     {script: providertest.Script{Why: faulty.OutOfCredit}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: defaultRetry, says: "wait"},
		"429 no credit":             {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")}, code: protocol.ProviderUnauthorized, fault: FaultKeySpent, says: "out of credit"},
		"429 about credit":          {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", "you wrote: Your prepayment credits are depleted.")}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: defaultRetry},
		"429 the day's quota":       {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", overQuota, perDay)}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: defaultRetry, says: "wait"},
		"429 limit 0":               {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", overQuota+"\n* Quota exceeded for metric: x, limit: 0, model: m-1\nPlease retry in 10.6s.", retryInfo)}, code: protocol.ProviderRateLimited, fault: FaultLimited},
		"429 quota 0":               {script: providertest.Script{Status: 429, Body: googleError(429, "RESOURCE_EXHAUSTED", "x", noneADay, retryInfo)}, code: protocol.ProviderRateLimited, fault: FaultLimited},
		"499":                       {script: providertest.Script{Status: 499, Body: googleError(499, "CANCELLED", "The operation was cancelled.")}, code: protocol.ProviderUnavailable, fault: FaultVendor},
		"500":                       {script: providertest.Script{Status: 500}, code: protocol.ProviderUnavailable, fault: FaultVendor},
		"503":                       {script: providertest.Script{Why: faulty.Overloaded}, code: protocol.ProviderUnavailable, fault: FaultVendor, retry: defaultRetry},
		"503 waits":                 {script: providertest.Script{Status: 503, Body: googleError(503, "UNAVAILABLE", "x", retryInfo)}, code: protocol.ProviderUnavailable, fault: FaultVendor, retry: 35},
		"504":                       {script: providertest.Script{Status: 504}, code: protocol.ProviderUnavailable, fault: FaultVendor},
		"302":                       {script: providertest.Script{Status: 302, Header: http.Header{"Location": {"/v2"}}}, code: protocol.ProviderUnavailable, fault: FaultVendor, says: "base_url"},
		"a list, not a stream":      {script: providertest.Script{Header: http.Header{"Content-Type": {"application/json"}}, Raw: []byte(`[{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}]`)}, code: protocol.ProviderUnavailable, fault: FaultVendor, says: "base_url"},
		"an error with status 200":  {script: providertest.Script{Header: http.Header{"Content-Type": {"application/json"}}, Raw: []byte("[" + googleError(429, "RESOURCE_EXHAUSTED", overQuota, retryInfo) + "]")}, code: protocol.ProviderRateLimited, fault: FaultLimited, retry: 35},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, geminiAt(t, srv), ask("a"))
			got := requireCode(t, err, tt.code)
			require.Equal(t, tt.fault, res.Fault)
			require.Equal(t, tt.retry, got.RetryAfter)
			require.Contains(t, got.Message, tt.says)
			require.Empty(t, e.pieces)
			require.Len(t, srv.Requests(), 1)
		})
	}
}

func TestGeminiBrokenStreams(t *testing.T) {
	const first = `{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"}}],"usageMetadata":{"promptTokenCount":3}}`
	const last = `{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}`
	ends := func(reason string) providertest.Script {
		return rawChunks(first, `{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"`+reason+`"}]}`)
	}
	behind := func(tail string, events ...string) providertest.Script {
		return providertest.Script{Raw: append(chunks(events...), tail...)}
	}
	unavailable := googleError(503, "UNAVAILABLE", "overloaded")
	pretty := gjson.Get(unavailable, "@pretty").Raw
	tests := map[string]struct {
		script providertest.Script
		code   protocol.Code
		text   string
		fault  Fault
	}{
		"no finishReason":         {providertest.Script{Deltas: []string{"a"}, NoDone: true}, protocol.ProviderInterrupted, "a", FaultVendor},
		"finishReason null":       {rawChunks(first, `{"candidates":[{"finishReason":null}]}`), protocol.ProviderInterrupted, "a", FaultVendor},
		"an end taken back":       {rawChunks(last, first), protocol.ProviderInterrupted, "a", FaultVendor},
		"half a line behind":      {behind(`data: {"usageMeta`, first, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"nothing":                 {providertest.Script{Raw: []byte{}}, protocol.ProviderInterrupted, "", FaultVendor},
		"cut after the headers":   {providertest.Script{Cut: -1}, protocol.ProviderInterrupted, "", FaultVendor},
		"malformed":               {providertest.Script{Deltas: []string{"a", "b"}, Malformed: true}, protocol.ProviderInterrupted, "a", FaultVendor},
		"no object":               {rawChunks(first, `[17]`, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"deep":                    {rawChunks(first, `{"candidates":`+strings.Repeat("[", 100<<10)+strings.Repeat("]", 100<<10)+`}`, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"10 MB line":              {rawChunks(first, `{"candidates":"`+strings.Repeat("x", 10<<20)+`"}`, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"safety":                  {ends("SAFETY"), protocol.ProviderRejected, "ab", FaultNone},
		"safety, cut":             {providertest.Script{Raw: chunks(first, `{"candidates":[{"finishReason":"SAFETY"}]}`, last), Cut: len(chunks(first, `{"candidates":[{"finishReason":"SAFETY"}]}`)) + 3}, protocol.ProviderRejected, "a", FaultNone},
		"recitation":              {ends("RECITATION"), protocol.ProviderRejected, "ab", FaultNone},
		"language":                {ends("LANGUAGE"), protocol.ProviderRejected, "ab", FaultNone},
		"an image's safety":       {ends("IMAGE_SAFETY"), protocol.ProviderRejected, "ab", FaultNone},
		"filter, as the wire has": {providertest.Script{Deltas: []string{"a"}, Finish: faulty.FinishFilter}, protocol.ProviderRejected, "a", FaultNone},
		"a blocked question":      {providertest.Script{Finish: faulty.FinishFilter}, protocol.ProviderRejected, "", FaultNone},
		"blocked, no candidates":  {rawChunks(`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":3}}`), protocol.ProviderRejected, "", FaultNone},
		"other":                   {ends("OTHER"), protocol.ProviderInterrupted, "ab", FaultVendor},
		"malformed function call": {ends("MALFORMED_FUNCTION_CALL"), protocol.ProviderInterrupted, "ab", FaultVendor},
		"a reason of tomorrow":    {ends("BORED"), protocol.ProviderInterrupted, "ab", FaultVendor},
		"broken, then an end":     {rawChunks(first, `{"candidates":[{"finishReason":"OTHER"}]}`, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"error":                   {rawChunks(first, `{"error":{"message":"oops"}}`), protocol.ProviderInterrupted, "a", FaultVendor},
		"error: unavailable":      {rawChunks(first, unavailable, last), protocol.ProviderUnavailable, "a", FaultVendor},
		"error: the wire's own":   {providertest.Script{Deltas: []string{"a"}, Fault: &faulty.Fault{Why: faulty.Overloaded}}, protocol.ProviderUnavailable, "a", FaultVendor},
		"error: rate":             {rawChunks(googleError(429, "RESOURCE_EXHAUSTED", overQuota, retryInfo)), protocol.ProviderRateLimited, "", FaultLimited},
		"error: key":              {rawChunks(googleError(400, "INVALID_ARGUMENT", "oops", badKeyInfo)), protocol.ProviderUnauthorized, "", FaultKeyRefused},
		"error: deadline":         {rawChunks(first, googleError(504, "DEADLINE_EXCEEDED", "oops")), protocol.ProviderUnavailable, "a", FaultVendor},
		"error beside text":       {rawChunks(first, `{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"error":{"message":"x"}}`), protocol.ProviderInterrupted, "a", FaultVendor},
		"bare error":              {behind(unavailable, first), protocol.ProviderUnavailable, "a", FaultVendor},
		"bare error, after STOP":  {behind(unavailable+"\n", first, last), protocol.ProviderUnavailable, "a", FaultVendor},
		"bare error, many lines":  {behind(pretty, first, last), protocol.ProviderUnavailable, "a", FaultVendor},
		"bare error, in a list":   {behind("["+pretty+"]\r\n", first, last), protocol.ProviderUnavailable, "a", FaultVendor},
		"half a bare error":       {behind(pretty[:len(pretty)-9], first, last), protocol.ProviderInterrupted, "a", FaultVendor},
		"text of another type":    {rawChunks(first, `{"candidates":[{"content":{"parts":[{"text":{"a":1}}]}}]}`), protocol.ProviderInterrupted, "a", FaultVendor},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, geminiAt(t, srv), ask("a"))
			got := requireCode(t, err, tt.code)
			require.NotContains(t, got.Message, "oops")
			require.Equal(t, tt.text, e.text())
			require.Equal(t, tt.fault, res.Fault)
			require.NotNil(t, res.Usage)
			srv.WaitOpen(t, 0, 5*time.Second)
		})
	}
}

// Chunks count the input alone until the last one: of an answer that broke off
// before, the output is an estimate and says so.
func TestGeminiUsageOfABrokenAnswer(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Raw: chunks(`{"candidates":[{"content":{"parts":[{"text":"12345"}]}}],"usageMetadata":{"promptTokenCount":300,"totalTokenCount":300}}`)})
	_, res, err := stream(t, geminiAt(t, srv), ask("a"))
	requireCode(t, err, protocol.ProviderInterrupted)
	require.Equal(t, &protocol.Usage{InputTokens: 300, OutputTokens: 2, Estimated: true}, res.Usage)
}

func TestGeminiOperatorSeesWhatBroke(t *testing.T) {
	for script, want := range map[string]string{
		string(chunks(`{"candidates":[{"finishReason":"OTHER"}]}`)):                               "finishReason OTHER",
		string(chunks(`{"candidates":[{"finishReason":"` + strings.Repeat("X", 1000) + `"}]}`)):   "finishReason " + strings.Repeat("X", 64),
		string(chunks(googleError(400, "INVALID_ARGUMENT", "odd\nthing", badKeyInfo))):            "error inside the stream: INVALID_ARGUMENT 400 API_KEY_INVALID odd thing",
		string(chunks(googleError(403, "PERMISSION_DENIED", "Consumer 'api_key:AIzaSyB-x_9' …"))): "error inside the stream: PERMISSION_DENIED 403 Consumer 'api_key:[redacted]' …",
	} {
		srv := providertest.New(t, providertest.Script{Raw: []byte(script)})
		_, _, err := stream(t, geminiAt(t, srv), ask("a"))
		var told *protocol.Error
		require.ErrorAs(t, err, &told)
		require.EqualError(t, told.Err, want)
	}
}

// The promise is that nothing that broke off is ever complete. This wire has no
// word for its end, so a connection that breaks anywhere is an interruption.
func TestGeminiCutIsNeverComplete(t *testing.T) {
	script := providertest.Script{Deltas: []string{"Zażółć", " 🙂"}, Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}}
	whole := script.StreamOn(faulty.Gemini, "m-1")
	var cut atomic.Int64
	srv := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		s := script
		s.Cut = int(cut.Load())
		return s
	})
	p := geminiAt(t, srv)
	for n := 1; n <= len(whole); n++ {
		cut.Store(int64(n))
		e, res, err := stream(t, p, ask("a"))
		require.True(t, strings.HasPrefix("Zażółć 🙂", e.text()))
		requireCode(t, err, protocol.ProviderInterrupted)
		require.Equal(t, FaultVendor, res.Fault)
	}

	// The same with an orderly end of the body: only whole lines can complete.
	for n := range len(whole) - len("\n\r\n") {
		var a answer
		a.reset(strings.NewReader(string(whole[:n])))
		require.ErrorIs(t, a.relay(new(gemini), new(ear)), errNoEnd, "end at %d", n)
	}
}

func TestGeminiKeyIsInNoError(t *testing.T) {
	const key = "AIzaCanary+key/with=signs"
	forms := []string{key, base64.StdEncoding.EncodeToString([]byte(key)), hex.EncodeToString([]byte(key)), "AIzaCanary%2Bkey%2Fwith%3Dsigns", "AIzaCanary+key", "Canary"}
	all := strings.Join(forms[:4], " | ")
	info := `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"` + key + `"}`
	for name, script := range map[string]providertest.Script{
		"echoed header":   {Status: 401, Body: "you sent ", EchoAuth: true},
		"error object":    {Status: 400, Body: googleError(400, key, all, info)},
		"in the stream":   rawChunks(googleError(403, key, all, info)),
		"bare":            {Raw: []byte(googleError(403, key, all, info))},
		"finishReason":    rawChunks(`{"candidates":[{"finishReason":"` + key + `"}]}`),
		"body cut inside": {Status: 400, Header: http.Header{"Content-Type": {"text/plain"}}, Body: strings.Repeat(" ", maxErrorBody-10) + key},
	} {
		t.Run(name, func(t *testing.T) {
			q := ask("a")
			q.Key = secret(key)
			_, _, err := stream(t, geminiAt(t, providertest.New(t, script)), q)
			require.Error(t, err)
			for ; err != nil; err = unwrap(err) {
				for _, form := range forms {
					require.NotContains(t, err.Error(), form)
				}
			}
		})
	}
}

func TestGoogleRetryDelay(t *testing.T) {
	for value, want := range map[string]int{
		"": 0, "34s": 34, "34.074824224s": 35, "0s": 0, "-3s": 0, "0.2s": 1, "86400s": maxRetry, "1h0m": maxRetry, "soon": 0, "1e99s": 0,
	} {
		require.Equal(t, want, retryDelay(value), value)
	}
}

func TestGoogleNoQuota(t *testing.T) {
	for message, want := range map[string]bool{
		"limit: 0": true, "x, limit: 0, model: m": true, "limit: 0\nlimit: 20": true, "limit: 05, limit: 0.": true,
		"limit: 20": false, "limit: 05": false, "": false,
	} {
		require.Equal(t, want, saysNoQuota(message), message)
	}
}

func FuzzGeminiEvent(f *testing.F) {
	for _, s := range []string{
		`{"candidates":[{"content":{"parts":[{"text":"Hi\n\ud83d"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4},"modelVersion":"m"}`,
		`{"candidates":[{"content":{"parts":[{"text":"h","thought":true},{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":1e999,"thoughtsTokenCount":-1}}`,
		`{"promptFeedback":{"blockReason":"SAFETY"}}`, `{"candidates":[{"finishReason":"OTHER"}]}`, `{"candidates":{"finishReason":"\ud800"}}`,
		googleError(429, "RESOURCE_EXHAUSTED", "limit: 0", retryInfo, noneADay), googleError(400, "INVALID_ARGUMENT", "x", badKeyInfo, tooMuchHeat),
		`{"error":"x"}`, `null`, `{}`, `[[[[`, `{"candidates":[[]],"candidates":[{"content":{"parts":{"text":"a"}}}]}`,
	} {
		f.Add([]byte(s))
	}
	fuzzEvent(f, TypeGemini, new(gemini))
}
