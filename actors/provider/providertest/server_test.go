package providertest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const asked = `{"model":"m","stream_options":{"include_usage":true}}`

func post(t *testing.T, ctx context.Context, s *Server) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/chat/completions", strings.NewReader(asked))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer k")
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestStream(t *testing.T) {
	s := New(t, Script{Deltas: []string{"Hi"}, Repeats: 1, Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}, Piece: 7})
	resp := post(t, t.Context(), s)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	script := Script{Deltas: []string{"Hi"}, Repeats: 1, Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}}
	require.Equal(t, string(script.Stream("m")), string(body))
	require.Equal(t, 2, strings.Count(string(body), `"delta":{"content":"Hi"}`))
	require.Contains(t, string(body), `"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,`)
	require.True(t, strings.HasSuffix(string(body), "data: [DONE]\n\n"))
	require.Len(t, s.Requests(), 1)
	r := s.Requests()[0]
	require.Equal(t, faulty.OpenAI, r.Wire)
	require.Equal(t, "m", r.Model)
	require.Equal(t, "/v1/chat/completions", r.Path)
	require.Equal(t, "Bearer k", r.Authorization)
	require.Equal(t, asked, string(r.Body))
	s.WaitOpen(t, 0, time.Second)
	require.Equal(t, 1, s.Peak())
	require.Zero(t, s.Left())
}

func TestCut(t *testing.T) {
	s := New(t, Script{Deltas: []string{"Hi"}, Cut: 300})
	body, err := io.ReadAll(post(t, t.Context(), s).Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, body, 300)
	s.WaitOpen(t, 0, time.Second)
	require.Zero(t, s.Left())
}

func TestStallEndsWhenTheClientLeaves(t *testing.T) {
	s := New(t, Script{Deltas: []string{"Hi"}, Stall: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := post(t, ctx, s)
	_, err := io.ReadFull(resp.Body, make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, s.Open())
	cancel()
	s.WaitLeft(t, 1, time.Second)
	s.WaitOpen(t, 0, time.Second)
}

func TestRefusal(t *testing.T) {
	s := New(t, Script{Status: 401, Body: "you sent ", EchoAuth: true, Header: http.Header{"Retry-After": {"3"}}})
	resp := post(t, t.Context(), s)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "you sent Bearer k", string(body))
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "3", resp.Header.Get("Retry-After"))
}
