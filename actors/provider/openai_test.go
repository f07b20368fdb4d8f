package provider

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func TestOpenAIAnswer(t *testing.T) {
	tests := map[string]struct {
		script providertest.Script
		pieces []string
		want   Result
		alive  bool // at least one sign of life that is no text
	}{
		"plain": {
			script: providertest.Script{Deltas: []string{"Hello", " there", "!"}, Model: "m-1-2026", Usage: &protocol.Usage{InputTokens: 8, OutputTokens: 3}},
			pieces: []string{"Hello", " there", "!"},
			want:   Result{Finish: "stop", Model: "m-1-2026", Usage: &protocol.Usage{InputTokens: 8, OutputTokens: 3}},
		},
		"length": {
			script: providertest.Script{Deltas: []string{"Hel"}, Finish: "length", Usage: &protocol.Usage{}},
			pieces: []string{"Hel"},
			want:   Result{Finish: "length", Model: "m-1", Usage: &protocol.Usage{}},
		},
		"no usage is estimated": {
			script: providertest.Script{Deltas: []string{"12345678", "9"}},
			pieces: []string{"12345678", "9"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 2, OutputTokens: 3, Estimated: true}},
		},
		"huge usage": {
			script: providertest.Script{Raw: []byte(`data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1e300,"completion_tokens":-7}}` + "\n\ndata: [DONE]\n\n")},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: maxTokens}},
		},
		"usage of other types": {
			script: providertest.Script{Raw: []byte(`data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":"9","completion_tokens":[]}}` + "\n\ndata: [DONE]\n\n")},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true}},
		},
		"tool calls end": {
			script: providertest.Script{Deltas: []string{"a"}, Finish: "tool_calls", Usage: &protocol.Usage{}},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
		},
		"an empty answer": {
			script: providertest.Script{Usage: &protocol.Usage{}},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
			alive:  true,
		},
		"reasoning and comments": {
			script: providertest.Script{Reasoning: []string{"hm", "hm"}, Deltas: []string{"a"}, Comments: true, Usage: &protocol.Usage{}},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
			alive:  true,
		},
		"CRLF": {
			script: providertest.Script{Deltas: []string{"a", "b"}, LineEnd: "\r\n", Comments: true, Usage: &protocol.Usage{}},
			pieces: []string{"a", "b"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
			alive:  true,
		},
		"CR": {
			script: providertest.Script{Deltas: []string{"a", "b"}, LineEnd: "\r", Usage: &protocol.Usage{}},
			pieces: []string{"a", "b"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
		},
		"a lingering end": {
			script: providertest.Script{Deltas: []string{"a"}, Linger: true, Usage: &protocol.Usage{}},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{}},
		},
		"bad UTF-8 and a pair in two deltas": {
			script: providertest.Script{Raw: []byte("data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\\ud83d\"}}]}\n\n" +
				"data: {\"choices\":[{\"delta\":{\"content\":\"\\ude42\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n")},
			pieces: []string{"a\uFFFD", "🙂"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}},
		},
		"half a pair at the end": {
			script: providertest.Script{Raw: []byte(`data: {"choices":[{"delta":{"content":"\ud83d"}}],"usage":{"prompt_tokens":1}}` + "\n\ndata: [DONE]\n\n")},
			pieces: []string{"\uFFFD"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1}},
		},
		"a refusal is text": {
			script: providertest.Script{Raw: []byte(`data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}` + "\n\ndata: [DONE]\n\n")},
			pieces: []string{"no"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1}},
		},
		"only the first choice": {
			script: providertest.Script{Raw: []byte(`data: {"error":null,"model":"a\nb","choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}],"usage":{"prompt_tokens":1}}` + "\n\ndata: [DONE] \n\n")},
			pieces: []string{"a"},
			want:   Result{Finish: "stop", Model: "m-1", Usage: &protocol.Usage{InputTokens: 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			e, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("1234567"))
			require.NoError(t, err)
			require.Equal(t, tt.pieces, e.pieces)
			require.Equal(t, tt.want, res)
			require.True(t, !tt.alive || e.progress > 1, "one of them is the stream's beginning")
		})
	}
}

func TestOpenAIRequest(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a"))
	p := newTestOpenAI(t, Config{BaseURL: srv.URL() + "/", DefaultModel: "m-default"})
	half := 0.5
	q := &Question{Key: secret("sk-deployment"), Call: "job.1", System: "be <brief>", Temperature: &half, MaxTokens: 7, Messages: []protocol.Message{
		{Role: protocol.RoleUser, Content: "1"}, {Role: protocol.RoleAssistant, Content: "2"}, {Role: protocol.RoleUser, Content: "3 & \u2028"},
	}}
	_, _, err := stream(t, p, q)
	require.NoError(t, err)
	q = ask("x")
	q.Key = secret("sk-user")
	_, _, err = stream(t, p, q)
	require.NoError(t, err)

	got := srv.Requests()
	require.Len(t, got, 2)
	require.Equal(t, "/v1/chat/completions", got[0].Path)
	require.Equal(t, "Bearer sk-deployment", got[0].Authorization)
	require.JSONEq(t, `{"model":"m-default","stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"max_tokens":7,"messages":[
		{"role":"system","content":"be <brief>"},{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":"3 & \u2028"}]}`, string(got[0].Body))
	require.Contains(t, string(got[0].Body), "be <brief>")
	require.Equal(t, "Bearer sk-user", got[1].Authorization)
	require.JSONEq(t, `{"model":"m-1","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`, string(got[1].Body))
}

func TestOpenAIMaxTokensName(t *testing.T) {
	for base, want := range map[string]string{
		"":                                        "max_completion_tokens",
		"https://API.openai.com/v1":               "max_completion_tokens",
		"https://me.openai.azure.com/openai/v1":   "max_completion_tokens",
		"http://localhost:11434/v1":               "max_tokens",
		"https://api.openai.com.example.org/v1":   "max_tokens",
		"https://openrouter.ai/api/v1":            "max_tokens",
		"https://notopenai.azure.com.example/v1/": "max_tokens",
	} {
		w, err := newOpenAIWire(base)
		require.NoError(t, err)
		body, err := w.body("m", &Question{MaxTokens: 9})
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(body, &got))
		require.EqualValues(t, 9, got[want], base)
		require.Len(t, got, 5)
	}
}

// Mistral refuses to be asked for usage, which it tells anyway; Azure's keys have
// a header of their own, and its version stays behind every path.
func TestOpenAIDialects(t *testing.T) {
	for base, tt := range map[string]struct {
		asks    bool
		header  string
		address string // with * for what stands below it
	}{
		"":                           {true, "Authorization", "https://api.openai.com/v1/*"},
		"https://API.mistral.ai/v1":  {false, "Authorization", "https://API.mistral.ai/v1/*"},
		"https://mistral.example/v1": {true, "Authorization", "https://mistral.example/v1/*"},
		"https://me.openai.azure.com/openai/deployments/d?api-version=2024-10-21": {
			true, "Api-Key", "https://me.openai.azure.com/openai/deployments/d/*?api-version=2024-10-21",
		},
		"https://me.services.ai.azure.com/openai/v1/": {true, "Api-Key", "https://me.services.ai.azure.com/openai/v1/*"},
	} {
		w, err := newOpenAIWire(base)
		require.NoError(t, err)
		body, err := w.body("m", &Question{})
		require.NoError(t, err)
		require.Equal(t, tt.asks, strings.Contains(string(body), `"stream_options":{"include_usage":true}`), base)
		require.Equal(t, tt.asks, strings.Contains(string(body), "stream_options"), base)
		require.Equal(t, strings.Replace(tt.address, "*", "chat/completions", 1), w.address("m"))
		require.Equal(t, strings.Replace(tt.address, "*", "models", 1), w.models(""))
		h := http.Header{}
		w.sign(h, secret("k-1"))
		require.Len(t, h, 1)
		require.Contains(t, h.Get(tt.header), "k-1", base)
	}
}

func TestOpenAIKeys(t *testing.T) {
	t.Run("none, and no base_url", func(t *testing.T) {
		_, _, err := stream(t, newTestOpenAI(t, Config{}), ask("a"))
		e := requireCode(t, err, protocol.ProviderUnauthorized)
		require.Contains(t, e.Message, "api_keys.vendor")
		require.Contains(t, e.Message, "OPENAI_API_KEY")
	})
	t.Run("none, with base_url", func(t *testing.T) {
		srv := providertest.New(t, providertest.Say("a"))
		_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
		require.NoError(t, err)
		require.Empty(t, srv.Requests()[0].Authorization)
	})
	t.Run("no key at all", func(t *testing.T) {
		srv := providertest.New(t, providertest.Say("a"))
		for _, key := range []string{"a b", "sk-x\r\nX-Evil: 1", "\x00\x00\x00"} {
			q := ask("a")
			q.Key = secret(key)
			_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), q)
			e := requireCode(t, err, protocol.ProviderUnauthorized)
			require.NotContains(t, e.Error(), key)
		}
		require.Empty(t, srv.Requests())
	})
}

func TestOpenAIModels(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a"))
	t.Run("not offered", func(t *testing.T) {
		p := newTestOpenAI(t, Config{BaseURL: srv.URL(), Models: []string{"m-2", "m-3"}, DefaultModel: "m-3"})
		_, _, err := stream(t, p, ask("a"))
		require.Contains(t, requireCode(t, err, protocol.UnknownModel).Message, "m-2, m-3")
		q := ask("a")
		q.Model = ""
		_, res, err := stream(t, p, q)
		require.NoError(t, err)
		require.Equal(t, "m-3", res.Model)
	})
	t.Run("none named", func(t *testing.T) {
		q := ask("a")
		q.Model = ""
		_, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), q)
		require.Contains(t, requireCode(t, err, protocol.UnknownModel).Message, "providers.vendor.default_model")
	})
	require.Len(t, srv.Requests(), 1)
}

// dials makes p count its connections and the open ones among them.
func dials(p Provider) (all, open *atomic.Int64) {
	all, open = new(atomic.Int64), new(atomic.Int64)
	t := p.(*vendor).transport
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		all.Add(1)
		open.Add(1)
		return &countedConn{Conn: c, open: open}, nil
	}
	return all, open
}

type countedConn struct {
	net.Conn
	once sync.Once
	open *atomic.Int64
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.open.Add(-1) })
	return err
}

func TestOpenAIReusesConnections(t *testing.T) {
	srv := providertest.New(t, providertest.Say("a", "b"))
	p := newTestOpenAI(t, Config{BaseURL: srv.URL()})
	all, _ := dials(p)
	for range 50 {
		_, _, err := stream(t, p, ask("a"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, all.Load())
	require.Zero(t, srv.Left())
}

// A return after a cancel proves that the vendor was stopped: the connection
// is closed by then, so its server sees it at once.
func TestOpenAICancel(t *testing.T) {
	tests := map[string]struct {
		script providertest.Script
		text   string
	}{
		"before the headers":     {script: providertest.Script{Stall: -1}},
		"before the first token": {script: providertest.Script{Stall: 1, Deltas: []string{"a"}}},
		"mid-stream":             {script: providertest.Script{Stall: 3, Deltas: []string{"a", "b", "c"}}, text: "ab"},
		"before a late answer":   {script: providertest.Script{Before: time.Hour}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, tt.script)
			p := newTestOpenAI(t, Config{BaseURL: srv.URL()})
			requireStops(t, srv, p, ask("a"), tt.text)
		})
	}
}

func TestOpenAIDeadline(t *testing.T) {
	srv := providertest.New(t, providertest.Script{Stall: 2, Deltas: []string{"a"}})
	p := newTestOpenAI(t, Config{BaseURL: srv.URL()})
	ours := &protocol.Error{Code: protocol.ProviderTimeout, Message: "No word for 60 s."}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, ours)
	defer cancel()
	_, err := p.Stream(ctx, ask("a"), new(ear))
	require.ErrorIs(t, err, ours)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, ours.Message, requireCode(t, err, protocol.ProviderTimeout).Message)
	srv.WaitLeft(t, 1, time.Second)
}

func TestOpenAISplitAtEveryByte(t *testing.T) {
	script := providertest.Script{Deltas: []string{"Zażółć", " 🙂\n", "\"q\""}, LineEnd: "\r\n", Comments: true, Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}}
	whole := string(script.Stream("m-1"))
	for i := range len(whole) {
		var a answer
		a.reset(&pieces{parts: []string{whole[:i], whole[i:]}})
		e := new(ear)
		require.NoError(t, a.relay(new(openAI), e), "split at %d", i)
		require.Equal(t, script.Deltas, e.pieces, "split at %d", i)
		require.Equal(t, script.Usage, a.result("m-1", ask("a")).Usage)
	}

	script.Piece = 1
	srv := providertest.New(t, script)
	e, _, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
	require.NoError(t, err)
	require.Equal(t, script.Deltas, e.pieces)
}

// pieces is a source that never reads over the end of a part.
type pieces struct{ parts []string }

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.parts) > 0 && p.parts[0] == "" {
		p.parts = p.parts[1:]
	}
	if len(p.parts) == 0 {
		return strings.NewReader("").Read(b)
	}
	n := copy(b, p.parts[0])
	p.parts[0] = p.parts[0][n:]
	return n, nil
}

func TestStoppedTellsCancelFromTimeout(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	require.Equal(t, protocol.ProviderInterrupted, stopped(canceled).Code)
	require.ErrorIs(t, stopped(canceled), context.Canceled)
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	require.Equal(t, protocol.ProviderTimeout, stopped(late).Code)
	require.ErrorIs(t, stopped(late), context.DeadlineExceeded)
	require.NotErrorIs(t, stopped(late), context.Canceled)
}

// The vendor itself is spoken to over HTTP/2, where a call is a stream of a
// shared connection: a cancel ends that stream and leaves the others alone.
func TestOpenAIOverHTTP2(t *testing.T) {
	left := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			http.Error(w, "want HTTP/2", http.StatusHTTPVersionNotSupported)
			return
		}
		body, _ := io.ReadAll(r.Body)
		script := providertest.Say("a", "b")
		if strings.Contains(string(body), "stall") {
			script.NoDone = true
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(script.Stream("m-1"))
		_ = http.NewResponseController(w).Flush()
		if script.NoDone {
			<-r.Context().Done()
			close(left)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	p := newTestOpenAI(t, Config{BaseURL: srv.URL}).(*vendor)
	p.transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	p.transport.TLSClientConfig.NextProtos = nil

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heard, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := p.Stream(ctx, ask("stall"), &ear{onText: func(n int) {
			if n == 2 {
				close(heard)
			}
		}})
		done <- err
	}()
	<-heard
	e, _, err := stream(t, p, ask("a"))
	require.NoError(t, err)
	require.Equal(t, "ab", e.text())
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	<-left
}
