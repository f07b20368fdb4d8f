package provider

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestGeminiRequest(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a"))
	p := newTestGemini(t, Config{BaseURL: srv.BaseURL(faulty.Gemini) + "/", DefaultModel: "m-default"})
	half := 0.5
	q := &Question{Key: secret("AIza-deployment"), Call: "job.1", System: "be <brief>", Temperature: &half, MaxTokens: 7, Reasoning: true, Messages: []protocol.Message{
		{Role: protocol.RoleUser, Content: "1"},
		{Role: protocol.RoleUser, Content: "2"},
		{Role: protocol.RoleAssistant, Content: ""},
		{Role: protocol.RoleSystem, Content: "in Polish"},
		{Role: protocol.RoleUser, Content: "3"},
		{Role: protocol.RoleAssistant, Content: "4"},
		{Role: protocol.RoleUser, Content: "5 & \u2028"},
	}}
	_, _, err := stream(t, p, q)
	require.NoError(t, err)
	q = ask("x")
	q.Key = secret("AIza-user")
	_, _, err = stream(t, p, q)
	require.NoError(t, err)

	got := srv.Requests()
	require.Len(t, got, 2)
	require.Equal(t, "/v1beta/models/m-default:streamGenerateContent", got[0].Path)
	require.Equal(t, []string{"AIza-deployment"}, got[0].Header["X-Goog-Api-Key"])
	require.Equal(t, "job.1", got[0].Header.Get(CallHeader))
	require.Empty(t, got[0].Authorization)
	require.JSONEq(t, `{"systemInstruction":{"parts":[{"text":"be <brief>"},{"text":"in Polish"}]},
		"contents":[{"role":"user","parts":[{"text":"1"},{"text":"2"},{"text":"3"}]},{"role":"model","parts":[{"text":"4"}]},{"role":"user","parts":[{"text":"5 & \u2028"}]}],
		"generationConfig":{"temperature":0.5,"maxOutputTokens":7,"thinkingConfig":{"includeThoughts":true}}}`, string(got[0].Body))
	require.Contains(t, string(got[0].Body), "be <brief>")
	require.Equal(t, "AIza-user", got[1].Header.Get("X-Goog-Api-Key"))
	require.JSONEq(t, `{"contents":[{"role":"user","parts":[{"text":"x"}]}]}`, string(got[1].Body))
}

func TestGeminiBodyWithoutText(t *testing.T) {
	body, err := new(gemini).body("m", &Question{Messages: []protocol.Message{{Role: protocol.RoleUser}}})
	require.NoError(t, err)
	require.JSONEq(t, `{"contents":[]}`, string(body))
}

// The model is what a stranger wrote: on the wire it stays in its segment, and
// the key stays out of the address.
func TestGeminiModelStaysInItsSegment(t *testing.T) {
	var uri, key string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		uri, key = r.RequestURI, r.Header.Get("X-Goog-Api-Key")
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(chunks(`{"candidates":[{"finishReason":"STOP"}]}`))
	}))
	t.Cleanup(srv.Close)
	p := newTestGemini(t, Config{BaseURL: srv.URL + "/v1beta"})
	for model, want := range map[string]string{
		"gemini-2.5-flash":    "models/gemini-2.5-flash",
		"models/x":            "models/x",
		"models/models/x":     "models/models%2Fx",
		"tunedModels/x-1":     "tunedModels/x-1",
		"tunedModels/../x":    "tunedModels/..%2Fx",
		"../x":                "models/..%2Fx",
		"..":                  "models/..",
		"a/b":                 "models/a%2Fb",
		"a?b":                 "models/a%3Fb",
		"a#b":                 "models/a%23b",
		"a:generateContent":   "models/a%3AgenerateContent",
		"a:generateContent?x": "models/a%3AgenerateContent%3Fx",
		"%2e%2e":              "models/%252e%252e",
		"a b\r\nX-Evil: 1":    "models/a%20b%0D%0AX-Evil%3A%201",
		"\xff":                "models/%FF",
	} {
		q := ask("a")
		q.Model, q.Key = model, secret("AIza-canary")
		_, _, err := stream(t, p, q)
		require.NoError(t, err, "%q", model)
		require.Equal(t, "/v1beta/"+want+":streamGenerateContent?alt=sse", uri, "%q", model)
		require.Equal(t, "AIza-canary", key)
	}
}

func TestGeminiAddresses(t *testing.T) {
	for base, want := range map[string]string{
		"":                             "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
		"http://localhost:1/x/":        "http://localhost:1/x/models/m:streamGenerateContent?alt=sse",
		"https://h/v1?api-version=2-b": "https://h/v1/models/m:streamGenerateContent?alt=sse&api-version=2-b",
	} {
		w, err := newGeminiWire(base)
		require.NoError(t, err)
		require.Equal(t, want, w.address("m"))
		next, err := url.Parse(w.models("a&b=c"))
		require.NoError(t, err)
		require.Equal(t, "a&b=c", next.Query().Get("pageToken"))
		require.Equal(t, "1000", next.Query().Get("pageSize"))
		require.True(t, strings.HasSuffix(next.Path, "/models"))
		require.NotContains(t, w.models(""), "pageToken")
	}
}

func TestGeminiKeys(t *testing.T) {
	t.Run("none, and no base_url", func(t *testing.T) {
		_, _, err := stream(t, newTestGemini(t, Config{}), ask("a"))
		e := requireCode(t, err, protocol.ProviderUnauthorized)
		require.Contains(t, e.Message, "api_keys.vendor")
		require.Contains(t, e.Message, "GEMINI_API_KEY")
	})
	t.Run("none, with base_url", func(t *testing.T) {
		srv := providertest.New(t, providertest.Say("a"))
		_, _, err := stream(t, geminiAt(t, srv), ask("a"))
		require.NoError(t, err)
		require.NotContains(t, srv.Requests()[0].Header, "X-Goog-Api-Key")
	})
}
