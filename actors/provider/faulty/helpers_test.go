package faulty

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server for a test.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	o.Go = func(_ string, f func()) { go f() }
	s, err := New(o)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// scripted answers every question with s.
func scripted(t *testing.T, s Script) *Server {
	t.Helper()
	return start(t, Options{Script: func(*Request) Script { return s }})
}

// ask is a question as a client of the wire w asks it, written after the
// reference and not after the server.
func ask(w Wire, base, model, text string) *http.Request {
	path, body := "/chat/completions", fmt.Sprintf(`{"model":%q,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"brief"},{"role":"user","content":%q}]}`, model, text)
	header := http.Header{"Content-Type": {"application/json"}}
	switch w {
	case Anthropic:
		path, body = "/messages", fmt.Sprintf(`{"model":%q,"stream":true,"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":%q}]}]}`, model, text)
	case Gemini:
		path, body = "/models/"+model+":streamGenerateContent?alt=sse", fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%q}]}]}`, text)
	}
	signWith(w, header)
	r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header = header
	return r
}

func signWith(w Wire, h http.Header) {
	switch w {
	case OpenAI:
		h.Set("Authorization", "Bearer sk-k")
	case Anthropic:
		h.Set("X-Api-Key", "sk-k")
		h.Set("Anthropic-Version", "2023-06-01")
	case Gemini:
		h.Set("X-Goog-Api-Key", "sk-k")
	}
}

// send has no client's retries or redirects between the test and the server.
func send(t *testing.T, r *http.Request) (*http.Response, error) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := tr.RoundTrip(r)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

// whole sends r and reads what comes; err is how the body ended.
func whole(t *testing.T, r *http.Request) (resp *http.Response, body string, err error) {
	t.Helper()
	resp, err = send(t, r)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// waitFor waits until the server's figures are as wanted.
func waitFor(t *testing.T, s *Server, what string, reached func(Counts) bool) {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for {
		n, changed := s.Counts()
		if reached(n) {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("no %s: %+v", what, n)
		}
	}
}

// heard is what a client makes of a stream.
type heard struct {
	text      string
	reasoning string
	model     string
	finish    string
	ended     bool   // by the wire's end marker
	failure   string // the type or code of an error event
	broken    bool   // an event was no JSON
	alive     int    // comments and pings
	blocked   bool   // gemini: the prompt itself

	in, out, cached, written, thought int
}

// frame is one event of a stream as the standard of event streams reads it.
type frame struct{ name, data string }

// frames reads a stream; comments are counted.
func frames(body string) (all []frame, comments int) {
	var f frame
	for line := range strings.Lines(strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
			if f.data != "" {
				all = append(all, f)
			}
			f = frame{}
		case line[0] == ':':
			comments++
		default:
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "event":
				f.name = value
			case "data":
				f.data += value
			}
		}
	}
	return all, comments
}

// hear decodes a stream with structs of its own.
func hear(w Wire, body string) heard {
	all, comments := frames(body)
	h := heard{alive: comments}
	for _, f := range all {
		switch w {
		case OpenAI:
			h.openAI(f)
		case Anthropic:
			h.anthropic(f)
		case Gemini:
			h.gemini(f)
		}
	}
	return h
}

func (h *heard) openAI(f frame) {
	if f.data == "[DONE]" {
		h.ended = true
		return
	}
	var c struct {
		Object, Model string
		Error         *struct{ Type string }
		Choices       []struct {
			Delta struct {
				Content          string
				ReasoningContent string `json:"reasoning_content"`
				Reasoning        string
			}
			FinishReason string `json:"finish_reason"`
		}
		Usage *struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
			In         struct {
				Cached  int `json:"cached_tokens"`
				Written int `json:"cache_write_tokens"`
			} `json:"prompt_tokens_details"`
			Out struct {
				Reasoning int `json:"reasoning_tokens"`
			} `json:"completion_tokens_details"`
		}
	}
	if json.Unmarshal([]byte(f.data), &c) != nil {
		h.broken = true
		return
	}
	if c.Error != nil {
		h.failure = c.Error.Type
		return
	}
	h.model = c.Model
	for _, choice := range c.Choices {
		h.text += choice.Delta.Content
		h.reasoning += choice.Delta.ReasoningContent + choice.Delta.Reasoning
		h.finish += choice.FinishReason
	}
	if u := c.Usage; u != nil {
		h.in, h.out, h.cached, h.written, h.thought = u.Prompt, u.Completion, u.In.Cached, u.In.Written, u.Out.Reasoning
	}
}

type anthropicUsage struct {
	In      int `json:"input_tokens"`
	Out     int `json:"output_tokens"`
	Read    int `json:"cache_read_input_tokens"`
	Written int `json:"cache_creation_input_tokens"`
	Details struct {
		Thinking int `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

func (h *heard) anthropic(f frame) {
	var e struct {
		Type    string
		Message struct{ Model string }
		Delta   struct {
			Type, Text, Thinking string
			StopReason           string `json:"stop_reason"`
		}
		Usage *anthropicUsage
		Error struct{ Type string }
	}
	if json.Unmarshal([]byte(f.data), &e) != nil {
		h.broken = true
		return
	}
	if e.Type != f.name {
		h.broken = true // the name of an event and its type are one
	}
	switch e.Type {
	case "message_start":
		h.model = e.Message.Model
	case "content_block_delta":
		h.text += e.Delta.Text
		h.reasoning += e.Delta.Thinking
	case "message_delta":
		h.finish = e.Delta.StopReason
	case "message_stop":
		h.ended = true
	case "ping":
		h.alive++
	case "error":
		h.failure = e.Error.Type
	}
	if u := e.Usage; u != nil {
		h.in, h.out, h.cached, h.written, h.thought = u.In+u.Read+u.Written, u.Out, u.Read, u.Written, u.Details.Thinking
	}
}

func (h *heard) gemini(f frame) {
	var c struct {
		Candidates []struct {
			Content struct {
				Parts []struct {
					Text    string
					Thought bool
				}
			}
			FinishReason string
		}
		PromptFeedback *struct{ BlockReason string }
		ModelVersion   string
		Usage          *struct {
			P int `json:"promptTokenCount"`
			C int `json:"candidatesTokenCount"`
			T int `json:"thoughtsTokenCount"`
			R int `json:"cachedContentTokenCount"`
		} `json:"usageMetadata"`
		Error *struct{ Status string }
	}
	if json.Unmarshal([]byte(f.data), &c) != nil {
		h.broken = true
		return
	}
	if c.Error != nil {
		h.failure = c.Error.Status
		return
	}
	h.model = c.ModelVersion
	for _, one := range c.Candidates {
		for _, p := range one.Content.Parts {
			if p.Thought {
				h.reasoning += p.Text
			} else {
				h.text += p.Text
			}
		}
		h.finish += one.FinishReason
	}
	h.ended = h.ended || h.finish != ""
	h.blocked = h.blocked || c.PromptFeedback != nil && c.PromptFeedback.BlockReason == "SAFETY"
	if u := c.Usage; u != nil {
		h.in, h.out, h.cached, h.thought = u.P, u.C+u.T, u.R, u.T
	}
}

// refused is an error object.
type refused struct {
	status           int
	kind, code, text string // the wire's words for what went wrong
	details          string
}

func refusedWith(t *testing.T, w Wire, resp *http.Response, body string) refused {
	t.Helper()
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	var o struct {
		Type      string
		RequestID string `json:"request_id"`
		Error     struct {
			Type, Status, Message string
			Code                  any
			Details               json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &o), body)
	r := refused{status: resp.StatusCode, kind: o.Error.Type, text: o.Error.Message, details: string(o.Error.Details)}
	require.NotEmpty(t, r.text)
	switch w {
	case OpenAI:
		r.code, _ = o.Error.Code.(string)
	case Anthropic:
		require.Equal(t, "error", o.Type)
		require.Equal(t, resp.Header.Get("Request-Id"), o.RequestID)
	case Gemini:
		require.EqualValues(t, resp.StatusCode, o.Error.Code)
		r.kind = o.Error.Status
	}
	return r
}

// each runs a test on every wire.
func each(t *testing.T, f func(t *testing.T, w Wire)) {
	t.Helper()
	for _, w := range Wires() {
		t.Run(string(w), func(t *testing.T) { f(t, w) })
	}
}

// leaving is a request of a client that can leave.
func leaving(t *testing.T, r *http.Request) (*http.Request, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return r.WithContext(ctx), cancel
}
