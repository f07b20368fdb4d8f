package faulty

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// openAIWire is chat completions, written after
// https://platform.openai.com/docs/api-reference/chat-streaming,
// https://platform.openai.com/docs/api-reference/models/list and
// https://platform.openai.com/docs/guides/error-codes, read in 2026-11.
// Reasoning is no part of that reference: the field is the one that servers
// which copy the wire have in common.
type openAIWire struct{}

// created is when every answer was made: streams are the same every time.
const created = 1700000000

func (openAIWire) wire() Wire { return OpenAI }

func (openAIWire) route(r *http.Request, path string) route {
	path = strings.TrimPrefix(path, "/v1")
	switch {
	case r.Method == http.MethodPost && path == "/chat/completions":
		return route{kind: routeAsk}
	case r.Method == http.MethodGet && path == "/models":
		return route{kind: routeList}
	}
	return route{}
}

func (openAIWire) auth(h http.Header) string { return h.Get("Authorization") }

func (openAIWire) objection(r *http.Request, keyless bool) *Fault {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if (!ok || key == "") && !keyless {
		return &Fault{Why: KeyMissing}
	}
	return nil
}

func (openAIWire) question(body []byte) (question, *Fault) {
	var asked struct {
		Model         string    `json:"model"`
		Messages      []message `json:"messages"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return question{}, notJSON()
	}
	return question{model: asked.Model, text: lastOfUser(asked.Messages), usage: asked.StreamOptions.IncludeUsage}, nil
}

type openAIChunk struct {
	ID                string         `json:"id"`
	Object            string         `json:"object"`
	Created           int            `json:"created"`
	Model             string         `json:"model"`
	ServiceTier       string         `json:"service_tier"`
	SystemFingerprint *string        `json:"system_fingerprint"`
	Choices           []openAIChoice `json:"choices"`
	Usage             any            `json:"usage,omitempty"` // json null, or the count of the last chunk
	Obfuscation       string         `json:"obfuscation,omitempty"`
}

type openAIChoice struct {
	Index        int     `json:"index"`
	Delta        any     `json:"delta"`
	Logprobs     any     `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
}

// openAIRole is the delta that opens an answer.
type openAIRole struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type openAIUsage struct {
	PromptTokens     int                  `json:"prompt_tokens"`
	CompletionTokens int                  `json:"completion_tokens"`
	TotalTokens      int                  `json:"total_tokens"`
	Prompt           openAIPromptTokens   `json:"prompt_tokens_details"`
	Completion       openAICompletionPart `json:"completion_tokens_details"`
}

type openAIPromptTokens struct {
	Cached  int `json:"cached_tokens"`
	Written int `json:"cache_write_tokens"`
	Audio   int `json:"audio_tokens"`
}

type openAICompletionPart struct {
	Reasoning int `json:"reasoning_tokens"`
	Audio     int `json:"audio_tokens"`
	Accepted  int `json:"accepted_prediction_tokens"`
	Rejected  int `json:"rejected_prediction_tokens"`
}

// openAISpeech builds the chunks of one answer.
type openAISpeech struct {
	asking
	events []event
}

func (openAIWire) stream(s *Script, a asking) []event {
	p := openAISpeech{asking: a, events: make([]event, 0, s.deltas()+len(s.Reasoning)+4)}
	p.choice(openAIRole{Role: "assistant"}, nil)
	field := s.ReasoningField
	if field == "" {
		field = "reasoning_content"
	}
	for _, r := range s.Reasoning {
		p.choice(map[string]string{field: r}, nil)
	}
	s.said(func(delta string) {
		p.choice(map[string]string{"content": delta}, nil)
		p.events[len(p.events)-1].delta = true
	})
	if e := s.failure(openAIWire{}, a.model); e != "" {
		p.events = append(p.events, event{data: e})
		return p.events
	}
	if finish := s.finish("stop", "length", "content_filter"); finish != FinishNone {
		p.choice(struct{}{}, &finish)
	}
	if s.Usage != nil && a.usage {
		p.chunk(openAIChunk{Choices: []openAIChoice{}, Usage: openAICount(s)})
	}
	if !s.NoDone {
		p.events = append(p.events, event{data: "[DONE]"})
	}
	return p.events
}

func (p *openAISpeech) choice(delta any, finish *string) {
	c := openAIChunk{Choices: []openAIChoice{{Delta: delta, FinishReason: finish}}, Obfuscation: "Zq3xW8"}
	if p.usage {
		c.Usage = json.RawMessage("null")
	}
	p.chunk(c)
}

func (p *openAISpeech) chunk(c openAIChunk) {
	c.ID, c.Object, c.Created, c.Model, c.ServiceTier = "chatcmpl-faulty", "chat.completion.chunk", created, p.model, "default"
	p.events = append(p.events, event{data: encode(c)})
}

func openAICount(s *Script) openAIUsage {
	return openAIUsage{
		PromptTokens:     s.Usage.InputTokens,
		CompletionTokens: s.Usage.OutputTokens,
		TotalTokens:      s.Usage.InputTokens + s.Usage.OutputTokens,
		Prompt:           openAIPromptTokens{Cached: s.CacheRead, Written: s.CacheWritten},
		Completion:       openAICompletionPart{Reasoning: s.Thought},
	}
}

func (openAIWire) alive(_ bool, end string) string { return comment(end) }

func (openAIWire) lineEnd() string { return "\n" }

// openAIError is the vendor's error object.
type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (openAIWire) refuse(f Fault) (int, any) {
	status := f.status(openAIStatus(f.Why))
	kind, code, param, words := openAIWords(f, status)
	o := openAIError{Message: f.say(words), Type: kind}
	if code != "" {
		o.Code = &code
	}
	if param != "" {
		o.Param = &param
	}
	return status, map[string]openAIError{"error": o}
}

func openAIStatus(why Reason) int {
	switch why {
	case KeyRefused, KeyMissing:
		return http.StatusUnauthorized
	case ModelUnknown:
		return http.StatusNotFound
	case OutOfCredit:
		return http.StatusTooManyRequests
	case Overloaded:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// openAIWords is the object of a fault: type, code, param and message.
func openAIWords(f Fault, status int) (kind, code, param, words string) {
	const invalid = "invalid_request_error"
	switch f.Why {
	case KeyMissing:
		return invalid, "", "", "There is no key: send it as Authorization: Bearer."
	case KeyRefused:
		return invalid, "invalid_api_key", "", plain(http.StatusUnauthorized)
	case ModelUnknown:
		return invalid, "model_not_found", "", "The model `" + f.Model + "` does not exist or is not open to this key."
	case ContextTooLong:
		return invalid, "context_length_exceeded", "messages", "This model's maximum context length is 8192 tokens; the messages have " + tooManyWords + "."
	case OutOfCredit:
		return "insufficient_quota", "insufficient_quota", "", plain(http.StatusPaymentRequired)
	case Filtered:
		return invalid, "content_filter", "", "The question stopped at the content filter."
	}
	switch {
	case status == http.StatusUnauthorized:
		return invalid, "invalid_api_key", "", plain(status)
	case status == http.StatusTooManyRequests:
		return "requests", "rate_limit_exceeded", "", plain(status)
	case status >= http.StatusInternalServerError || f.Why == Overloaded:
		return "server_error", "", "", plain(status)
	}
	return invalid, "", "", plain(status)
}

func (openAIWire) header(h http.Header) { h.Set("X-Request-Id", "req_faulty") }

// list has no pages: the vendor's list has none.
func (openAIWire) list(models []string, _ url.Values) (any, *Fault) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int    `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	data := make([]model, len(models))
	for i, m := range models {
		data[i] = model{ID: m, Object: "model", Created: created, OwnedBy: "faulty"}
	}
	return struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{"list", data}, nil
}

// ErrorObject is the vendor's shape of an error, for scripts that say their own.
func ErrorObject(message, kind, code string) string {
	o := openAIError{Message: message, Type: kind}
	if code != "" {
		o.Code = &code
	}
	return encode(map[string]openAIError{"error": o})
}
