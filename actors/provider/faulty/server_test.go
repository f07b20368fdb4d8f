package faulty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewNeedsGo(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "Options.Go is missing")
}

func TestNobodyElseIsServed(t *testing.T) {
	srv, other := start(t, Options{}), start(t, Options{})
	require.NotEqual(t, srv.secret, other.secret)
	host, _, _ := strings.Cut(strings.TrimPrefix(srv.URL(), "http://"), "/")
	for _, base := range []string{"http://" + host, "http://" + host + "/" + other.secret, "http://" + host + "/" + srv.secret[1:]} {
		resp, body, err := whole(t, ask(OpenAI, base+"/v1", "ok", "?"))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.NotContains(t, body, srv.secret)
	}
	n, _ := srv.Counts()
	require.Zero(t, n, "who guesses is not counted")
	ip := net.ParseIP(strings.Split(host, ":")[0])
	require.True(t, ip.IsLoopback())
}

func TestRequestsAreToldBeforeTheyCount(t *testing.T) {
	var got []Request
	var srv *Server
	srv = start(t, Options{
		Script: func(*Request) Script { return Say("a") },
		Asked: func(r *Request) {
			n, _ := srv.Counts()
			require.Equal(t, len(got), n.Requests)
			got = append(got, *r)
		},
	})
	for i, w := range Wires() {
		_, _, err := whole(t, ask(w, srv.BaseURL(w), "m-1", "two words"))
		require.NoError(t, err)
		waitFor(t, srv, "end", func(n Counts) bool { return n.Open == 0 && n.Requests == i+1 && n.Peak == 1 && n.Left == 0 })
		require.Equal(t, w, got[i].Wire)
		require.Equal(t, "m-1", got[i].Model)
		require.Equal(t, "two words", got[i].Text)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.NotContains(t, fmt.Sprintf(verb, got[i]), "sk-k")
			require.NotContains(t, fmt.Sprintf(verb, &got[i]), "two words")
		}
	}
	require.Equal(t, "/v1beta/models/m-1:streamGenerateContent", got[2].Path)
	resp, _, err := whole(t, ask(OpenAI, srv.URL()+"/v2", "m", "?"))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Equal(t, Request{Path: "/v2/chat/completions"}, Request{Wire: got[3].Wire, Path: got[3].Path})
}

// What a wire refuses before a script is asked.
func TestObjections(t *testing.T) {
	srv := start(t, Options{Script: func(*Request) Script { panic("no script is asked") }})
	change := func(w Wire, f func(*http.Request)) *http.Request {
		r := ask(w, srv.BaseURL(w), "ok", "?")
		f(r)
		return r
	}
	without := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }
	body := func(b string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(b)), int64(len(b)) }
	}
	for name, tt := range map[string]struct {
		wire   Wire
		change func(*http.Request)
		status int
		kind   string
		says   string
	}{
		"openai, no key":        {OpenAI, without("Authorization"), 401, "invalid_request_error", "Authorization"},
		"openai, no bearer":     {OpenAI, func(r *http.Request) { r.Header.Set("Authorization", "Basic sk-k") }, 401, "invalid_request_error", "Bearer"},
		"anthropic, no key":     {Anthropic, without("X-Api-Key"), 401, "authentication_error", "x-api-key"},
		"anthropic, no version": {Anthropic, without("Anthropic-Version"), 400, "invalid_request_error", "anthropic-version"},
		"anthropic, no bound":   {Anthropic, body(`{"model":"ok","messages":[]}`), 400, "invalid_request_error", "max_tokens"},
		"gemini, no key":        {Gemini, without("X-Goog-Api-Key"), 403, "PERMISSION_DENIED", "x-goog-api-key"},
		"gemini, no sse":        {Gemini, func(r *http.Request) { r.URL.RawQuery = "" }, 400, "INVALID_ARGUMENT", "alt=sse"},
		"openai, no JSON":       {OpenAI, body("{"), 400, "invalid_request_error", "JSON"},
		"anthropic, no JSON":    {Anthropic, body("[1]"), 400, "invalid_request_error", "JSON"},
		"gemini, no JSON":       {Gemini, body(""), 400, "INVALID_ARGUMENT", "JSON"},
		"openai, odd content":   {OpenAI, body(`{"messages":[{"role":"user","content":7}]}`), 400, "invalid_request_error", "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, text, err := whole(t, change(tt.wire, tt.change))
			require.NoError(t, err)
			got := refusedWith(t, tt.wire, resp, text)
			require.Equal(t, tt.status, got.status)
			require.Equal(t, tt.kind, got.kind)
			require.Contains(t, got.text, tt.says)
		})
	}

	keyless := start(t, Options{Keyless: true})
	each(t, func(t *testing.T, w Wire) {
		r := ask(w, keyless.BaseURL(w), "ok", "?")
		for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key"} {
			r.Header.Del(name)
		}
		resp, _, err := whole(t, r)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	})
}

func TestRequestsAreBounded(t *testing.T) {
	srv := start(t, Options{})
	large := append([]byte(`{"x":"`), bytes.Repeat([]byte("a"), maxBodyBytes)...)
	for w, kind := range map[Wire]string{OpenAI: "invalid_request_error", Anthropic: "request_too_large", Gemini: "INVALID_ARGUMENT"} {
		r := ask(w, srv.BaseURL(w), "ok", "?")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(large)), int64(len(large))
		resp, err := send(t, r)
		if err != nil { // the server hung up before all was sent, and said why to nobody
			require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, kind, refusedWith(t, w, resp, string(body)).kind)
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	}
	r := ask(OpenAI, srv.BaseURL(OpenAI), "ok", "?")
	r.Header.Set("X-Large", strings.Repeat("a", 2*maxHeaderBytes))
	resp, err := send(t, r)
	if err == nil {
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	}
	n, _ := srv.Counts()
	require.LessOrEqual(t, n.Requests, 3, "a header too large reaches nobody")
}

func TestLists(t *testing.T) {
	srv := start(t, Options{Models: []string{"a", "b", "c", "d", "e"}})
	get := func(w Wire, path string) (*http.Response, string) {
		r, err := http.NewRequest(http.MethodGet, srv.URL()+path, nil)
		require.NoError(t, err)
		signWith(w, r.Header)
		resp, body, err := whole(t, r)
		require.NoError(t, err)
		return resp, body
	}

	for _, path := range []string{"/models", "/v1/models"} {
		_, body := get(OpenAI, path)
		var list struct {
			Object string
			Data   []struct {
				ID, Object string
				Created    int
				OwnedBy    string `json:"owned_by"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		require.Equal(t, "list", list.Object)
		require.Len(t, list.Data, 5)
		require.Equal(t, "e", list.Data[4].ID)
		require.Equal(t, "model", list.Data[4].Object)
		require.NotEmpty(t, list.Data[4].OwnedBy)
	}

	anthropic := func(query string) string {
		resp, body := get(Anthropic, "/v1/models"+query)
		require.Equal(t, 200, resp.StatusCode)
		var page struct {
			Data []struct {
				Type, ID    string
				DisplayName string    `json:"display_name"`
				CreatedAt   time.Time `json:"created_at"`
			}
			HasMore bool    `json:"has_more"`
			First   *string `json:"first_id"`
			Last    *string `json:"last_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		ids := ""
		for _, m := range page.Data {
			require.Equal(t, "model", m.Type)
			ids += m.ID
		}
		if ids != "" {
			require.Equal(t, []string{ids[:1], ids[len(ids)-1:]}, []string{*page.First, *page.Last})
		}
		return fmt.Sprint(ids, " ", page.HasMore)
	}
	require.Equal(t, "abcde false", anthropic(""))
	require.Equal(t, "ab true", anthropic("?limit=2"))
	require.Equal(t, "cd true", anthropic("?limit=2&after_id=b"))
	require.Equal(t, "e false", anthropic("?limit=2&after_id=d"))
	require.Equal(t, " false", anthropic("?after_id=e"))
	require.Equal(t, "cd true", anthropic("?limit=2&before_id=e"))
	require.Equal(t, "a false", anthropic("?limit=2&before_id=b"))

	gemini := func(query string) (names, next string) {
		resp, body := get(Gemini, "/v1beta/models"+query)
		require.Equal(t, 200, resp.StatusCode)
		var page struct {
			Models []struct {
				Name    string
				Methods []string `json:"supportedGenerationMethods"`
			}
			NextPageToken string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		for _, m := range page.Models {
			require.Contains(t, m.Methods, "generateContent")
			names += strings.TrimPrefix(m.Name, "models/")
		}
		return names, page.NextPageToken
	}
	names, next := gemini("")
	require.Equal(t, []string{"abcde", ""}, []string{names, next})
	names, next = gemini("?pageSize=3")
	require.Equal(t, "abc", names)
	names, next = gemini("?pageSize=3&pageToken=" + next)
	require.Equal(t, []string{"de", ""}, []string{names, next})

	for path, w := range map[string]Wire{
		"/v1/models?limit=0": Anthropic, "/v1/models?limit=x": Anthropic, "/v1/models?after_id=z": Anthropic, "/v1/models?before_id=z": Anthropic,
		"/v1beta/models?pageSize=1001": Gemini, "/v1beta/models?pageToken=6": Gemini, "/v1beta/models?pageToken=-1": Gemini,
	} {
		resp, body := get(w, path)
		require.Equal(t, http.StatusBadRequest, refusedWith(t, w, resp, body).status, path)
	}
	resp, body := get("", "/v1/models")
	require.Equal(t, http.StatusUnauthorized, refusedWith(t, OpenAI, resp, body).status)

	bare := start(t, Options{})
	r, err := http.NewRequest(http.MethodGet, bare.URL()+"/models", nil)
	require.NoError(t, err)
	signWith(OpenAI, r.Header)
	_, body, err = whole(t, r)
	require.NoError(t, err)
	for _, name := range Models() {
		require.Contains(t, body, `"id":"`+name+`"`)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	srv := start(t, Options{})
	ended := make(chan error, 3)
	for i, model := range []string{"silent", "stall", "ok-10s"} {
		go func() {
			resp, err := send(t, ask(Wires()[i], srv.BaseURL(Wires()[i]), model, fourWords))
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			ended <- err
		}()
	}
	waitFor(t, srv, "three open answers", func(n Counts) bool { return n.Open == 3 })
	srv.Close()
	for range 3 {
		require.Error(t, <-ended)
	}
	n, _ := srv.Counts()
	require.Equal(t, Counts{Requests: 3, Peak: 3}, n, "nobody left, the server did")
	_, err := send(t, ask(OpenAI, srv.BaseURL(OpenAI), "ok", "?"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	srv.Close()
}
