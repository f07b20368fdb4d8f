package provider

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestOpenAIStatuses(t *testing.T) {
	object := providertest.ErrorObject
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	jsonType := http.Header{"Content-Type": {"application/json"}}
	tests := map[string]struct {
		status int
		header http.Header
		body   string
		code   protocol.Code
		retry  int
		says   string
	}{
		"400":                    {status: 400, code: protocol.ProviderRejected, says: "temperature"},
		"400 names what":         {status: 400, body: `{"error":{"message":"x","param":"max_completion_tokens"}}`, code: protocol.ProviderRejected, says: "because of max_tokens"},
		"400 context":            {status: 400, body: object("This model's maximum context length is 8192 tokens.", "invalid_request_error", "context_length_exceeded"), code: protocol.ProviderRejected, says: "longer than the model's context"},
		"400 content filter":     {status: 400, body: object("filtered", "", "content_filter"), code: protocol.ProviderRejected, says: "content filter"},
		"400 model":              {status: 400, body: object("no such", "", "model_not_found"), code: protocol.UnknownModel, says: `"m-1"`},
		"401":                    {status: 401, code: protocol.ProviderUnauthorized, says: "api_keys.vendor"},
		"401 without a body":     {status: 401, body: " ", code: protocol.ProviderUnauthorized},
		"402":                    {status: 402, code: protocol.ProviderUnauthorized, says: "out of credit"},
		"403":                    {status: 403, code: protocol.ProviderUnauthorized},
		"403 model":              {status: 403, body: object("Project p does not have access to model m-1", "invalid_request_error", "model_not_found"), code: protocol.UnknownModel, says: `"m-1"`},
		"403 flagged":            {status: 403, body: `{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}`, code: protocol.ProviderRejected, says: "content filter"},
		"404 no chat model":      {status: 404, body: `{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint.","type":"invalid_request_error","param":"model","code":null}}`, code: protocol.UnknownModel, says: `"m-1"`},
		"429 too large":          {status: 429, body: object("Request too large for m-1 on tokens per min (TPM): Limit 30000, Requested 36278.", "tokens", "rate_limit_exceeded"), code: protocol.ProviderRejected, says: "in a minute. Shorten"},
		"429 large in passing":   {status: 429, body: object("Rate limit reached. Request too large for m-1", "tokens", "rate_limit_exceeded"), code: protocol.ProviderRateLimited, retry: defaultRetry},
		"404 model":              {status: 404, body: object("The model `m-1` does not exist", "invalid_request_error", "model_not_found"), code: protocol.UnknownModel, says: `"m-1"`},
		"404 model, in words":    {status: 404, body: `{"error":"model \"m-1\" not found, try pulling it first"}`, code: protocol.UnknownModel},
		"404 model, plain":       {status: 404, body: `model not found`, code: protocol.UnknownModel},
		"404":                    {status: 404, body: `{"detail":"Not Found"}`, code: protocol.ProviderRejected, says: "base_url"},
		"404 HTML":               {status: 404, header: html, body: "<html>model not found", code: protocol.ProviderUnavailable, says: "base_url"},
		"408":                    {status: 408, code: protocol.ProviderUnavailable},
		"413":                    {status: 413, code: protocol.ProviderRejected, says: "Shorten"},
		"418":                    {status: 418, code: protocol.ProviderRejected},
		"422":                    {status: 422, code: protocol.ProviderRejected},
		"429":                    {status: 429, code: protocol.ProviderRateLimited, retry: defaultRetry},
		"429 seconds":            {status: 429, header: http.Header{"Retry-After": {"17"}}, code: protocol.ProviderRateLimited, retry: 17},
		"429 HTML":               {status: 429, header: html, body: "<html>", code: protocol.ProviderRateLimited, retry: defaultRetry},
		"429 out of credit":      {status: 429, body: object("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), code: protocol.ProviderRateLimited, says: "out of credit"},
		"500":                    {status: 500, code: protocol.ProviderUnavailable},
		"502 HTML":               {status: 502, header: html, body: "<html>", code: protocol.ProviderUnavailable},
		"503 seconds":            {status: 503, header: http.Header{"Retry-After": {"2"}}, code: protocol.ProviderUnavailable, retry: 2},
		"529":                    {status: 529, code: protocol.ProviderUnavailable, retry: defaultRetry},
		"204":                    {status: 204, body: "", code: protocol.ProviderUnavailable},
		"302":                    {status: 302, header: http.Header{"Location": {"/v2"}}, code: protocol.ProviderUnavailable, says: "base_url"},
		"200 HTML":               {status: 201, header: html, body: "<html>", code: protocol.ProviderUnavailable, says: "base_url"},
		"error body is no JSON":  {status: 400, header: jsonType, body: `{"error":`, code: protocol.ProviderRejected},
		"error body is huge":     {status: 400, header: jsonType, body: strings.Repeat("[", 10<<20), code: protocol.ProviderRejected},
		"retry-after is garbage": {status: 429, header: http.Header{"Retry-After": {"soon"}}, code: protocol.ProviderRateLimited, retry: defaultRetry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, providertest.Script{Status: tt.status, Header: tt.header, Body: tt.body})
			e, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			got := requireCode(t, err, tt.code)
			require.Equal(t, tt.retry, got.RetryAfter)
			require.Contains(t, got.Message, tt.says)
			require.Less(t, len(got.Error()), 600)
			require.Empty(t, e.pieces)
			require.Len(t, srv.Requests(), 1)
		})
	}
}

func TestOpenAIJSONInsteadOfAStream(t *testing.T) {
	header := http.Header{"Content-Type": {"application/json"}}
	for body, want := range map[string]protocol.Code{
		`{"choices":[{"message":{"content":"not streamed"}}]}`: protocol.ProviderUnavailable,
		`{"error":{"message":"slow down","code":429}}`:         protocol.ProviderRateLimited,
		`null`: protocol.ProviderUnavailable,
		``:     protocol.ProviderUnavailable,
	} {
		srv := providertest.New(t, providertest.Script{Header: header, Raw: []byte(body)})
		_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
		requireCode(t, err, want)
	}
	srv := providertest.New(t, providertest.Script{Header: http.Header{"Content-Type": {"text/html"}}, Raw: []byte("<html>data: [DONE]")})
	_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
	requireCode(t, err, protocol.ProviderUnavailable)
}

func TestOpenAIBrokenStreams(t *testing.T) {
	const first = `data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	raw := func(s string) providertest.Script { return providertest.Script{Raw: []byte(first + s)} }
	tests := map[string]struct {
		script providertest.Script
		code   protocol.Code
		text   string
	}{
		"no DONE":                 {providertest.Script{Deltas: []string{"a"}, NoDone: true}, protocol.ProviderInterrupted, "a"},
		"no DONE, no finish":      {providertest.Script{Deltas: []string{"a"}, NoDone: true, Finish: "-"}, protocol.ProviderInterrupted, "a"},
		"nothing":                 {providertest.Script{Raw: []byte{}}, protocol.ProviderInterrupted, ""},
		"only DONE":               {providertest.Script{Raw: []byte("data: [DONE]\n\n")}, protocol.ProviderInterrupted, ""},
		"cut after the headers":   {providertest.Script{Cut: -1}, protocol.ProviderInterrupted, ""},
		"malformed":               {raw("data: {\"choices\":[\n\ndata: [DONE]\n\n"), protocol.ProviderInterrupted, "a"},
		"no object":               {raw("data: 17\n\ndata: [DONE]\n\n"), protocol.ProviderInterrupted, "a"},
		"deep":                    {raw("data: {\"choices\":" + strings.Repeat("[", 100<<10) + strings.Repeat("]", 100<<10) + "}\n\ndata: [DONE]\n\n"), protocol.ProviderInterrupted, "a"},
		"10 MB line":              {raw("data: {\"choices\":\"" + strings.Repeat("x", 10<<20) + "\"}\n\ndata: [DONE]\n\n"), protocol.ProviderInterrupted, "a"},
		"content filter":          {providertest.Script{Deltas: []string{"a"}, Finish: "content_filter"}, protocol.ProviderRejected, "a"},
		"content filter, cut":     {providertest.Script{Deltas: []string{"a"}, Finish: "content_filter", NoDone: true}, protocol.ProviderRejected, "a"},
		"error":                   {providertest.Script{Deltas: []string{"a"}, Error: providertest.ErrorObject("oops", "whatever", "")}, protocol.ProviderInterrupted, "a"},
		"error: server":           {providertest.Script{Deltas: []string{"a"}, Error: providertest.ErrorObject("oops", "server_error", "")}, protocol.ProviderUnavailable, "a"},
		"error: rate":             {providertest.Script{Error: providertest.ErrorObject("oops", "requests", "rate_limit_exceeded")}, protocol.ProviderRateLimited, ""},
		"error: key":              {providertest.Script{Error: providertest.ErrorObject("oops", "", "invalid_api_key")}, protocol.ProviderUnauthorized, ""},
		"error: context":          {providertest.Script{Error: providertest.ErrorObject("oops", "invalid_request_error", "context_length_exceeded")}, protocol.ProviderRejected, ""},
		"error: filter":           {providertest.Script{Error: providertest.ErrorObject("oops", "", "content_filter")}, protocol.ProviderRejected, ""},
		"error: number":           {raw(`data: {"error":{"code":502,"message":"upstream"}}` + "\n\n"), protocol.ProviderUnavailable, "a"},
		"error: string":           {raw(`data: {"error":"overloaded"}` + "\n\ndata: [DONE]\n\n"), protocol.ProviderUnavailable, "a"},
		"error: by event's name":  {raw("event: error\ndata: {\"message\":\"x\"}\n\ndata: [DONE]\n\n"), protocol.ProviderInterrupted, "a"},
		"error: bare object":      {raw(`data: {"object":"error","message":"too many requests","code":429}` + "\n\n"), protocol.ProviderRateLimited, "a"},
		"error beside text":       {raw(`data: {"choices":[{"delta":{"content":"b"}}],"error":{"message":"x"}}` + "\n\n"), protocol.ProviderInterrupted, "a"},
		"content of another type": {raw(`data: {"choices":[{"delta":{"content":{"a":1}}}]}` + "\n\n"), protocol.ProviderInterrupted, "a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			got := requireCode(t, err, tt.code)
			require.NotContains(t, got.Message, "oops")
			require.Equal(t, tt.text, e.text())
			require.NotNil(t, res.Usage)
			srv.WaitOpen(t, 0, 5*time.Second)
		})
	}
}

// The promise is that nothing that broke off is ever complete: here the
// connection breaks after every single byte before the end of [DONE].
func TestCutIsNeverComplete(t *testing.T) {
	script := providertest.Script{Deltas: []string{"Zażółć", " 🙂"}, LineEnd: "\r\n", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}}
	whole := len(script.Stream("m-1"))
	done := whole - len("\r\n")
	var cut atomic.Int64
	srv := providertest.NewFunc(t, func(providertest.Request) providertest.Script {
		s := script
		s.Cut = int(cut.Load())
		return s
	})
	p := newTestOpenAI(t, Config{BaseURL: srv.URL()})
	for n := 1; n <= whole; n++ {
		cut.Store(int64(n))
		e, _, err := stream(t, p, ask("a"))
		require.True(t, strings.HasPrefix("Zażółć 🙂", e.text()))
		if n <= done {
			requireCode(t, err, protocol.ProviderInterrupted)
		} else {
			require.NoError(t, err, "cut at %d of %d: [DONE] was whole", n, whole)
		}
	}

	// The same with an orderly end of the body: only whole lines can complete.
	stream := script.Stream("m-1")
	for n := range len(stream) - len("\r\n\r\n") {
		var a answer
		a.reset(strings.NewReader(string(stream[:n])))
		require.ErrorIs(t, a.relay(new(openAI), new(ear)), errNoEnd, "end at %d", n)
	}
}

func TestOpenAIUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, _, err = stream(t, newTestOpenAI(t, Config{BaseURL: "http://" + addr}), ask("a"))
	e := requireCode(t, err, protocol.ProviderUnavailable)
	require.Contains(t, e.Message, "providers.vendor.base_url")
	require.NotContains(t, e.Message, addr)
}

func TestOpenAINoRedirectWithAKey(t *testing.T) {
	other := providertest.New(t, providertest.Say("stolen"))
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := providertest.New(t, providertest.Script{Status: status, Header: http.Header{"Location": {other.URL() + "/chat/completions"}}})
		q := ask("a")
		q.Key = secret("sk-user")
		_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), q)
		requireCode(t, err, protocol.ProviderUnavailable)
		require.Len(t, srv.Requests(), 1)
	}
	require.Empty(t, other.Requests())
}

// rawServer answers every connection with these bytes, key spelled in by the
// caller, and hangs up: what no HTTP library would send.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// What an error inside a stream says about a key counts only where the vendor has
// a word for it: its sentence may repeat what a stranger asked, who must not be
// able to take the key out of service.
func TestAStrangersWordsBlameNoKey(t *testing.T) {
	tests := map[string]struct {
		object string
		code   protocol.Code
		fault  Fault
	}{
		"words of the question": {providertest.ErrorObject("Invalid prompt: 'how do I set file permission bits'", "invalid_request_error", ""), protocol.ProviderRejected, FaultNone},
		"rate in the question":  {providertest.ErrorObject("Invalid prompt: 'what is a rate limit'", "invalid_request_error", ""), protocol.ProviderRejected, FaultNone},
		"a sentence alone":      {`{"error":"authentication of permission and billing"}`, protocol.ProviderRateLimited, FaultVendor},
		"its own word":          {providertest.ErrorObject("no", "authentication_error", ""), protocol.ProviderUnauthorized, FaultKeyRefused},
		"its own word, denied":  {providertest.ErrorObject("this key may not use claude-x", "permission_error", ""), protocol.ProviderUnauthorized, FaultKeyDenied},
		"its own code":          {providertest.ErrorObject("no", "invalid_request_error", "invalid_api_key"), protocol.ProviderUnauthorized, FaultKeyRefused},
		"out of credit":         {providertest.ErrorObject("no", "insufficient_quota", "insufficient_quota"), protocol.ProviderRateLimited, FaultKeySpent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, providertest.Script{Deltas: []string{"a"}, Error: tt.object})
			_, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("q"))
			requireCode(t, err, tt.code)
			require.Equal(t, tt.fault, res.Fault)
		})
	}
}

// A vendor that says the key where a model's name or a request's belongs is not
// believed: the one goes to clients and bills, the other into the log.
func TestAKeyIsNoName(t *testing.T) {
	const key = "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-tail"
	srv := providertest.New(t, providertest.Script{Deltas: []string{"a"}, Model: key})
	q := ask("q")
	q.Key = secret(key)
	_, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), q)
	require.NoError(t, err)
	require.Equal(t, "m-1", res.Model)

	srv = providertest.New(t, providertest.Script{Status: 500, Header: http.Header{"X-Request-Id": {"id " + key}}})
	_, _, err = stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), q)
	for _, part := range []string{key[:8], key[20:30], "tail"} {
		require.NotContains(t, requireCode(t, err, protocol.ProviderUnavailable).Error(), part)
	}
}

func TestOpenAIKeyIsInNoError(t *testing.T) {
	const key = "canary+key/with=signs"
	forms := []string{key, base64.StdEncoding.EncodeToString([]byte(key)), hex.EncodeToString([]byte(key)), "canary%2Bkey%2Fwith%3Dsigns", "canary+key"}
	all := strings.Join(forms[:4], " | ")
	where := map[string]func(t *testing.T) string{
		"401 that echoes the header": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Status: 401, Body: "you sent ", EchoAuth: true}).URL()
		},
		"error object": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Status: 400, Body: providertest.ErrorObject(all, key, key)}).URL()
		},
		"error in the stream": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Error: providertest.ErrorObject(all, key, "")}).URL()
		},
		"request id": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Status: 500, Header: http.Header{"X-Request-Id": {key}}}).URL()
		},
		"body cut inside the key": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Status: 400, Header: http.Header{"Content-Type": {"text/plain"}}, Body: strings.Repeat(" ", maxErrorBody-10) + key}).URL()
		},
		"redirect": func(t *testing.T) string {
			return providertest.New(t, providertest.Script{Status: 302, Header: http.Header{"Location": {"http://x/?" + key}}}).URL()
		},
		"malformed status line": func(t *testing.T) string { return rawServer(t, key+"\r\n\r\n") },
		"malformed header":      func(t *testing.T) string { return rawServer(t, "HTTP/1.1 200 OK\r\n"+key+"\r\n\r\n") },
		"malformed chunk length": func(t *testing.T) string {
			return rawServer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+key+"\r\n")
		},
		"malformed length": func(t *testing.T) string { return rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: "+key+"\r\n\r\n") },
	}
	for name, start := range where {
		t.Run(name, func(t *testing.T) {
			q := ask("a")
			q.Key = secret(key)
			_, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: start(t)}), q)
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

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// The test above would be blind if the extract never reached the operator.
func TestOpenAIOperatorSeesTheExtract(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Status: 400, Header: http.Header{"X-Request-Id": {"req_7"}}, Body: providertest.ErrorObject("odd\nthing", "kind", "code")})
	_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
	e := requireCode(t, err, protocol.ProviderRejected)
	require.EqualError(t, e.Err, "HTTP status 400: request req_7: kind code odd thing")
	require.NotContains(t, e.Message, "odd")
}

// A refusal is told though its body never comes.
func TestOpenAIRefusalWithASilentBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(http.StatusUnauthorized)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := newTestOpenAI(t, Config{BaseURL: srv.URL}).Stream(ctx, ask("a"), new(ear))
	requireCode(t, err, protocol.ProviderUnauthorized)
}

func TestRetryAfter(t *testing.T) {
	h := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	for value, want := range map[string]int{
		"": 5, "0": 1, "-9": 1, "1": 1, "1.2": 2, "3600": 3600, "3601": 3600, "1e99": 3600, "NaN": 3600, "+Inf": 3600, "x": 5,
		"Thu, 01 Jan 1970 00:00:00 GMT": 1, "Fri, 31 Dec 9999 23:59:59 GMT": 3600,
	} {
		require.Equal(t, want, retryAfter(h(value), defaultRetry), value)
	}
	soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	require.InDelta(t, 90, retryAfter(h(soon), 0), 2)
	require.Zero(t, retryAfter(nil, 0))
}

func FuzzOpenAIDelta(f *testing.F) {
	for _, s := range []string{
		`{"choices":[{"index":0,"delta":{"content":"Hi\n\ud83d"},"finish_reason":null}],"usage":null}`,
		`{"choices":[],"usage":{"prompt_tokens":1e999,"completion_tokens":-1}}`,
		`{"error":{"message":"x","code":429}}`, `{"error":"x"}`, `{"object":"error"}`, `[DONE]`, `null`, `{}`, `[[[[`,
		`{"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"b"}}]}`,
		`{"choices":{"delta":{"content":"a"}}}`, `{"model":"\ud800","choices":[[]]}`,
	} {
		f.Add([]byte(s))
	}
	fuzzEvent(f, TypeOpenAI, new(openAI))
}
