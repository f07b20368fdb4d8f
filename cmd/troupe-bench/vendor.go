package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// vendor speaks the wire of chat completions, cheaply: what it says is made
// once for each model and question. Nothing of it is measured, but it shares
// the processors with what is.
type vendor struct {
	mu      sync.Mutex
	scripts map[scriptKey]*script
}

type scriptKey struct {
	model, question string
	usage           bool
}

// script is the body of an answer and where each event in it ends. The last
// ends are those of the finish, of the usage where it was asked for, and of
// "[DONE]".
type script struct {
	speech
	body []byte
	ends []int
}

// vendorWrite is how much a vendor in a hurry sends at once.
const vendorWrite = 8 << 10

func vendorMain(ctx context.Context, _ []string) (string, error) {
	l, err := listenLoopback(ctx)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: newVendor(), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }()
	return l.Addr().String(), nil
}

func newVendor() *vendor { return &vendor{scripts: map[scriptKey]*script{}} }

// vendorRequest is what it looks at of a question.
type vendorRequest struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// ServeHTTP implements http.Handler.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
		http.NotFound(w, r)
		return
	}
	s, err := v.script(r.Body)
	if err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": err.Error(), "type": "invalid_request_error"}})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	if s.Pace > 0 {
		s.recite(r.Context(), w)
		return
	}
	s.pour(w)
}

// recite says a word per pace, each in a write of its own, and what follows the
// last word in one more.
func (s *script) recite(ctx context.Context, w http.ResponseWriter) {
	flush := http.NewResponseController(w)
	beat := time.NewTicker(s.Pace)
	defer beat.Stop()
	at := 0
	for i := range s.Words {
		if i > 0 {
			select {
			case <-beat.C:
			case <-ctx.Done():
				return
			}
		}
		end := s.ends[i]
		if _, err := w.Write(s.body[at:end]); err != nil || flush.Flush() != nil {
			return
		}
		at = end
	}
	_, _ = w.Write(s.body[at:])
}

// pour says everything as fast as it goes.
func (s *script) pour(w http.ResponseWriter) {
	flush := http.NewResponseController(w)
	for rest := s.body; len(rest) > 0; {
		n := min(vendorWrite, len(rest))
		if _, err := w.Write(rest[:n]); err != nil || flush.Flush() != nil {
			return
		}
		rest = rest[n:]
	}
}

// script finds or makes what answers a request.
func (v *vendor) script(body io.Reader) (*script, error) {
	var q vendorRequest
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&q); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if !q.Stream || len(q.Messages) == 0 {
		return nil, errors.New("this vendor only streams, and wants at least one message")
	}
	key := scriptKey{q.Model, q.Messages[len(q.Messages)-1].Content, q.StreamOptions.IncludeUsage}
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.scripts[key]; s != nil {
		return s, nil
	}
	s, err := writeScript(key)
	if err == nil {
		v.scripts[key] = s
	}
	return s, err
}

func writeScript(key scriptKey) (*script, error) {
	says, err := parseSpeech(key.model)
	if err != nil {
		return nil, err
	}
	if says.Clock || strings.TrimSpace(key.question) == "" {
		return nil, errors.New("this vendor says words of the question, and there are none; a clock it does not have")
	}
	s := &script{speech: says}
	for _, piece := range spaced(repeated(key.question, says.Words)) {
		s.event(key.model, `[{"index":0,"delta":{"content":`+quoted(piece)+`},"logprobs":null,"finish_reason":null}]`, "")
	}
	s.event(key.model, `[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]`, "")
	if key.usage {
		s.event(key.model, `[]`, fmt.Sprintf(`,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`,
			len(strings.Fields(key.question)), says.Words, len(strings.Fields(key.question))+says.Words))
	}
	s.line("[DONE]")
	return s, nil
}

// event appends one, as OpenAI spells them.
func (s *script) event(model, choices, more string) {
	s.line(`{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":` + quoted(model) +
		`,"service_tier":"default","system_fingerprint":"fp_bench","choices":` + choices + more + `}`)
}

func (s *script) line(data string) {
	s.body = append(s.body, "data: "+data+"\n\n"...)
	s.ends = append(s.ends, len(s.body))
}

// quoted is text as JSON.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // a string always has a JSON form
	}
	return string(b)
}
