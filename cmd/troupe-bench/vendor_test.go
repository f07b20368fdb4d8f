package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func askVendor(t *testing.T, base, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// heard reads a stream: its words, how it finished, whether it counted, and
// whether it ended as it must.
func heard(t *testing.T, body io.Reader) (pieces []string, finish string, tokens int, done bool) {
	t.Helper()
	for lines := bufio.NewScanner(body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case lines.Text() == "":
			continue
		case !ok || done:
			t.Fatalf("unexpected line %q", lines.Text())
		case data == "[DONE]":
			done = true
			continue
		}
		var event struct {
			Choices []struct {
				Delta  struct{ Content string }
				Finish string `json:"finish_reason"`
			}
			Usage struct {
				Tokens int `json:"completion_tokens"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(data), &event))
		tokens += event.Usage.Tokens
		for _, c := range event.Choices {
			finish += c.Finish
			if c.Delta.Content != "" {
				pieces = append(pieces, c.Delta.Content)
			}
		}
	}
	return pieces, finish, tokens, done
}

func TestVendorStreams(t *testing.T) {
	srv := httptest.NewServer(newVendor())
	t.Cleanup(srv.Close)
	for name, tt := range map[string]struct {
		model  string
		usage  bool
		words  int
		tokens int
	}{
		"poured":            {model: "echo-0s-500w", words: 500},
		"paced":             {model: "echo-1ms-20w", words: 20},
		"poured with usage": {model: "echo-0s-3w", usage: true, words: 3, tokens: 3},
		"paced with usage":  {model: "echo-1ms-3w", usage: true, words: 3, tokens: 3},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"model":"` + tt.model + `","stream":true,"messages":[{"role":"system","content":"no"},{"role":"user","content":"a \"b\" ż"}]`
			if tt.usage {
				body += `,"stream_options":{"include_usage":true}`
			}
			for range 2 { // made, and found again
				res := askVendor(t, srv.URL, body+"}")
				require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
				pieces, finish, tokens, done := heard(t, res.Body)
				require.Equal(t, spaced(repeated(`a "b" ż`, tt.words)), pieces)
				require.Equal(t, "stop", finish)
				require.Equal(t, tt.tokens, tokens)
				require.True(t, done)
			}
		})
	}
}

// TestVendorKeepsThePace: the first word comes at once, and not the others.
func TestVendorKeepsThePace(t *testing.T) {
	srv := httptest.NewServer(newVendor())
	t.Cleanup(srv.Close)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/v1/chat/completions",
		strings.NewReader(`{"model":"echo-1h-2w","stream":true,"messages":[{"content":"a b"}]}`))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"content":"a "`)
	leave() // the vendor notices: srv.Close waits for it
}

func TestVendorRefuses(t *testing.T) {
	srv := httptest.NewServer(newVendor())
	t.Cleanup(srv.Close)
	for _, body := range []string{
		"", "{}", `{"model":"echo-0s-1w","messages":[{"content":"a"}]}`, `{"model":"echo-0s-1w","stream":true,"messages":[]}`,
		`{"model":"gpt-4","stream":true,"messages":[{"content":"a"}]}`, `{"model":"echo-0s-1w","stream":true,"messages":[{"content":" "}]}`,
		`{"model":"echo-0s-1w-clock","stream":true,"messages":[{"content":"a"}]}`,
	} {
		res := askVendor(t, srv.URL, body)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, body)
		said, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(said), "invalid_request_error")
	}
}

// TestBareReader: it reads what the vendor says, counts, and finds what is
// missing.
func TestBareReader(t *testing.T) {
	v := newVendor()
	cut := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n\n: no\n\ndata: [DONE]\n\n")
	})
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for name, tt := range map[string]struct {
		vendor http.Handler
		end    string
		count  string
	}{
		"whole": {v, "done", "69"}, // 3 × (20 words + finish + usage + [DONE])
		"cut":   {cut, "error 2 events arrived, 23 were due", ""},
		"down":  {down, "error vendor: 503 Service Unavailable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.vendor)
			defer srv.Close()
			r := &reader{}
			_, err := r.main(t.Context(), nil)
			require.NoError(t, err)
			defer r.client.CloseIdleConnections()
			require.Equal(t, "error unknown line", r.answer("end"))
			require.Equal(t, "started", r.answer("start "+srv.URL+"/v1/chat/completions 3 "+speech{Pace: time.Millisecond, Words: 20}.model()))
			require.Contains(t, r.answer("end"), tt.end)
			if tt.count != "" {
				require.Equal(t, tt.count, r.answer("count"))
			}
		})
	}
}
