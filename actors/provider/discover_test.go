package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// listServer answers with what answer says of the page that is asked for.
func listServer(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	return srv.URL
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func models(t *testing.T, p Provider, key protocol.Secret) ([]string, error) {
	t.Helper()
	return p.(Lister).Models(t.Context(), key)
}

func TestModelsOfGemini(t *testing.T) {
	pages := map[string]string{
		"": `{"models":[{"name":"models/b","supportedGenerationMethods":["embedContent","generateContent"]},
			{"name":"models/embedding","supportedGenerationMethods":["embedContent"]},{"name":"models/none"},7],"nextPageToken":"2 &"}`,
		"2 &": `{"models":[{"name":"models/a","supportedGenerationMethods":["generateContent"]},
			{"name":"models/b","supportedGenerationMethods":["generateContent"]},{"name":"tunedModels/t","supportedGenerationMethods":["generateContent"]}]}`,
	}
	var asked atomic.Int64
	base := listServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodGet || r.URL.Path != "/v1beta/models" || r.URL.Query().Get("pageSize") != "1000" || r.Header.Get("X-Goog-Api-Key") != "AIza-k" {
			http.Error(w, "unexpected "+r.Method+" "+r.URL.Path, http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, pages[r.URL.Query().Get("pageToken")])
	})
	got, err := models(t, newTestGemini(t, Config{BaseURL: base + "/v1beta"}), secret("AIza-k"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "tunedModels/t"}, got)
	require.EqualValues(t, 2, asked.Load())
}

func TestModelsOfOpenAI(t *testing.T) {
	long := strings.Repeat("x", maxModel)
	base := listServer(t, says(`{"data":[{"id":"m-2"},{"id":"m-1"},{"id":"m-2"},{"id":""},{"id":7},{},{"id":"a b"},{"id":"a\u0000"},{"id":"\u007f"},{"id":"`+long+`"},{"id":"`+long+`x"}]}`))
	p := newTestOpenAI(t, Config{BaseURL: base})
	all, open := dials(p)
	for range 3 {
		got, err := models(t, p, protocol.Secret{})
		require.NoError(t, err)
		require.Equal(t, []string{"m-1", "m-2", long}, got)
	}
	require.EqualValues(t, 1, all.Load())
	require.EqualValues(t, 1, open.Load())
}

func TestModelsMayBeNone(t *testing.T) {
	got, err := models(t, newTestOpenAI(t, Config{BaseURL: listServer(t, says(`{"data":[]}`))}), protocol.Secret{})
	require.NoError(t, err)
	require.Empty(t, got)
}

// A list that never ends is read up to its bounds.
func TestModelsAreBounded(t *testing.T) {
	endless := func(each int, asked *atomic.Int64) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			n := int(asked.Add(1))
			names := make([]string, each)
			for i := range names {
				names[i] = fmt.Sprintf(`{"name":"models/m-%07d","supportedGenerationMethods":["generateContent"]}`, n*each-i)
			}
			_, _ = io.WriteString(w, `{"models":[`+strings.Join(names, ",")+`],"nextPageToken":"`+strconv.Itoa(n)+`"}`)
		}
	}
	for each, want := range map[int]struct{ names, pages int }{
		1: {maxListPages, maxListPages}, 100: {maxListed, 6}, 5000: {maxListed, 1},
	} {
		var asked atomic.Int64
		got, err := models(t, newTestGemini(t, Config{BaseURL: listServer(t, endless(each, &asked))}), protocol.Secret{})
		require.NoError(t, err)
		require.Len(t, got, want.names)
		require.True(t, slices.IsSorted(got))
		require.EqualValues(t, want.pages, asked.Load())
	}
}

func TestModelsRefused(t *testing.T) {
	const key = "AIzaCanary+key"
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere?"+key)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := map[string]struct {
		answer http.HandlerFunc
		code   protocol.Code
		says   string
	}{
		"key":                {status(401, "you sent "+key), protocol.ProviderUnauthorized, "api_keys.vendor"},
		"key, as Google":     {status(400, googleError(400, "INVALID_ARGUMENT", "API key not valid", badKeyInfo)), protocol.ProviderUnauthorized, "api_keys.vendor"},
		"an error as a list": {says(googleError(400, "INVALID_ARGUMENT", key, badKeyInfo)), protocol.ProviderUnavailable, "providers.vendor.models"},
		"rate":               {status(429, ""), protocol.ProviderRateLimited, "wait"},
		"down":               {status(503, key), protocol.ProviderUnavailable, "in a moment"},
		"no list":            {status(404, googleError(404, "NOT_FOUND", "x")), protocol.ProviderUnavailable, "providers.vendor.models"},
		"no such address":    {status(404, "nothing"), protocol.ProviderUnavailable, "providers.vendor.models"},
		"bad request":        {status(400, ""), protocol.ProviderUnavailable, "providers.vendor.models"},
		"redirect":           {status(302, ""), protocol.ProviderUnavailable, "base_url"},
		"HTML":               {says("<html>"), protocol.ProviderUnavailable, "providers.vendor.models"},
		"no object":          {says(`["m"]`), protocol.ProviderUnavailable, "providers.vendor.models"},
		"deep":               {says(`{"models":` + strings.Repeat("[", 100<<10) + strings.Repeat("]", 100<<10) + `}`), protocol.ProviderUnavailable, "providers.vendor.models"},
		"too long":           {says(`{"models":"` + strings.Repeat("x", maxListPage) + `"}`), protocol.ProviderUnavailable, "providers.vendor.models"},
		"a long page token":  {says(`{"models":[],"nextPageToken":"` + strings.Repeat("x", maxPageName+1) + `"}`), protocol.ProviderUnavailable, "providers.vendor.models"},
		"broken off":         {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9") }, protocol.ProviderUnavailable, "providers.vendor.models"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			base := listServer(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				tt.answer(w, r)
			})
			p := newTestGemini(t, Config{BaseURL: base})
			got, err := models(t, p, secret(key))
			require.Empty(t, got)
			require.Contains(t, requireCode(t, err, tt.code).Message, tt.says)
			for ; err != nil; err = unwrap(err) {
				require.NotContains(t, err.Error(), "Canary")
			}
			require.EqualValues(t, 1, asked.Load())
		})
	}
}

func TestModelsNeedAKey(t *testing.T) {
	_, err := models(t, newTestGemini(t, Config{}), protocol.Secret{})
	require.Contains(t, requireCode(t, err, protocol.ProviderUnauthorized).Message, "GEMINI_API_KEY")
}

func TestModelsUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	_, err := models(t, newTestGemini(t, Config{BaseURL: srv.URL}), protocol.Secret{})
	require.Contains(t, requireCode(t, err, protocol.ProviderUnavailable).Message, "cannot be reached")
}

// Wherever the vendor falls silent, the caller's clock ends the wait, and the
// connection is closed by then.
func TestModelsInTime(t *testing.T) {
	for name, before := range map[string]func(w http.ResponseWriter){
		"before the headers": func(http.ResponseWriter) {},
		"in the list":        func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"models":[`) },
		"in a refusal":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestGemini(t, Config{BaseURL: listServer(t, func(w http.ResponseWriter, r *http.Request) {
				before(w)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})})
			_, open := dials(p)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, err := p.(Lister).Models(ctx, protocol.Secret{})
			requireCode(t, err, protocol.ProviderTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Zero(t, open.Load())
		})
	}
}
