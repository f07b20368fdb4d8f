package faulty

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// anthropicWire is messages, written after
// https://platform.claude.com/docs/en/build-with-claude/streaming,
// https://platform.claude.com/docs/en/api/messages,
// https://platform.claude.com/docs/en/api/models-list and
// https://platform.claude.com/docs/en/api/errors, read in 2026-11.
type anthropicWire struct{}

func (anthropicWire) wire() Wire { return Anthropic }

func (anthropicWire) route(r *http.Request, path string) route {
	switch {
	case r.Method == http.MethodPost && path == "/v1/messages":
		return route{kind: routeAsk}
	case r.Method == http.MethodGet && path == "/v1/models" && (r.Header.Get("Anthropic-Version") != "" || r.Header.Get("X-Api-Key") != ""):
		return route{kind: routeList}
	}
	return route{}
}

func (anthropicWire) auth(h http.Header) string { return h.Get("X-Api-Key") }

func (anthropicWire) objection(r *http.Request, keyless bool) *Fault {
	switch {
	case r.Header.Get("X-Api-Key") == "" && !keyless:
		return &Fault{Why: KeyMissing}
	case r.Header.Get("Anthropic-Version") == "":
		return &Fault{Status: http.StatusBadRequest, Message: "anthropic-version: header is required"}
	}
	return nil
}

func (anthropicWire) question(body []byte) (question, *Fault) {
	var asked struct {
		Model     string    `json:"model"`
		Messages  []message `json:"messages"`
		MaxTokens *int      `json:"max_tokens"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return question{}, notJSON()
	}
	q := question{model: asked.Model, text: lastOfUser(asked.Messages), usage: true}
	if asked.MaxTokens == nil {
		return q, &Fault{Status: http.StatusBadRequest, Message: "max_tokens: field required"}
	}
	return q, nil
}

type anthropicMessage struct {
	ID           string           `json:"id"`
	Type         string           `json:"type"`
	Role         string           `json:"role"`
	Model        string           `json:"model"`
	Content      []any            `json:"content"`
	StopReason   *string          `json:"stop_reason"`
	StopSequence *string          `json:"stop_sequence"`
	StopDetails  *anthropicStop   `json:"stop_details"`
	Usage        *anthropicTokens `json:"usage,omitempty"`
}

// anthropicStop says more about a refusal.
type anthropicStop struct {
	Type        string  `json:"type"`
	Category    *string `json:"category"`
	Explanation *string `json:"explanation"`
}

// anthropicTokens counts input without what was read from or written to a
// cache, and output with its thinking.
type anthropicTokens struct {
	Input        int                `json:"input_tokens"`
	CacheWritten int                `json:"cache_creation_input_tokens"`
	CacheRead    int                `json:"cache_read_input_tokens"`
	Creation     *anthropicCreation `json:"cache_creation,omitempty"` // message_start only
	Output       int                `json:"output_tokens"`
	Details      *anthropicDetails  `json:"output_tokens_details,omitempty"` // message_delta only
	ServiceTier  string             `json:"service_tier,omitempty"`          // message_start only
}

type anthropicCreation struct {
	FiveMinutes int `json:"ephemeral_5m_input_tokens"`
	OneHour     int `json:"ephemeral_1h_input_tokens"`
}

type anthropicDetails struct {
	Thinking int `json:"thinking_tokens"`
}

// anthropicBlock starts a block of content or is a delta of one.
type anthropicBlock struct {
	Type      string  `json:"type"`
	Text      *string `json:"text,omitempty"`
	Thinking  *string `json:"thinking,omitempty"`
	Signature *string `json:"signature,omitempty"`
}

// anthropicEvent is the data of an event; which fields it has follows from Type.
type anthropicEvent struct {
	Type         string            `json:"type"`
	Message      *anthropicMessage `json:"message,omitempty"`
	Index        *int              `json:"index,omitempty"`
	ContentBlock *anthropicBlock   `json:"content_block,omitempty"`
	Delta        any               `json:"delta,omitempty"`
	Usage        *anthropicTokens  `json:"usage,omitempty"`
}

// anthropicSpeech builds the events of one answer.
type anthropicSpeech struct {
	script *Script
	blocks int
	events []event
}

func (anthropicWire) stream(s *Script, a asking) []event {
	p := anthropicSpeech{script: s, events: make([]event, 0, s.deltas()+len(s.Reasoning)+8)}
	p.say(anthropicEvent{Type: "message_start", Message: &anthropicMessage{
		ID: "msg_faulty", Type: "message", Role: "assistant", Model: a.model, Content: []any{}, Usage: anthropicStart(s),
	}})
	if len(s.Reasoning) > 0 {
		p.thinking()
	}
	e := s.failure(anthropicWire{}, a.model)
	if s.deltas() > 0 {
		p.text(e == "")
	}
	if e != "" {
		p.events = append(p.events, event{name: "error", data: e})
		return p.events
	}
	p.end()
	return p.events
}

func (p *anthropicSpeech) say(e anthropicEvent) {
	p.events = append(p.events, event{name: e.Type, data: encode(e)})
}

// open starts a block and returns its index.
func (p *anthropicSpeech) open(b anthropicBlock) *int {
	index := p.blocks
	p.blocks++
	p.say(anthropicEvent{Type: "content_block_start", Index: &index, ContentBlock: &b})
	return &index
}

func (p *anthropicSpeech) thinking() {
	empty, signature := "", "ZmF1bHR5"
	index := p.open(anthropicBlock{Type: "thinking", Thinking: &empty, Signature: &empty})
	for _, r := range p.script.Reasoning {
		p.say(anthropicEvent{Type: "content_block_delta", Index: index, Delta: anthropicBlock{Type: "thinking_delta", Thinking: &r}})
	}
	p.say(anthropicEvent{Type: "content_block_delta", Index: index, Delta: anthropicBlock{Type: "signature_delta", Signature: &signature}})
	p.say(anthropicEvent{Type: "content_block_stop", Index: index})
}

// text says the answer; an error leaves its block open.
func (p *anthropicSpeech) text(closed bool) {
	empty := ""
	index := p.open(anthropicBlock{Type: "text", Text: &empty})
	p.script.said(func(delta string) {
		p.say(anthropicEvent{Type: "content_block_delta", Index: index, Delta: anthropicBlock{Type: "text_delta", Text: &delta}})
		p.events[len(p.events)-1].delta = true
	})
	if closed {
		p.say(anthropicEvent{Type: "content_block_stop", Index: index})
	}
}

func (p *anthropicSpeech) end() {
	type delta struct {
		StopReason   *string        `json:"stop_reason"`
		StopSequence *string        `json:"stop_sequence"`
		StopDetails  *anthropicStop `json:"stop_details"`
	}
	d := delta{}
	if finish := p.script.finish("end_turn", "max_tokens", "refusal"); finish != FinishNone {
		d.StopReason = &finish
		if finish == "refusal" {
			d.StopDetails = &anthropicStop{Type: "refusal"}
		}
	}
	if d.StopReason != nil || p.script.Usage != nil {
		p.say(anthropicEvent{Type: "message_delta", Delta: d, Usage: anthropicEnd(p.script)})
	}
	if !p.script.NoDone {
		p.say(anthropicEvent{Type: "message_stop"})
	}
}

// anthropicStart is the count before the answer: the output is a first token.
func anthropicStart(s *Script) *anthropicTokens {
	t := anthropicCount(s)
	if t != nil {
		t.Creation = &anthropicCreation{FiveMinutes: s.CacheWritten}
		t.Output = min(1, t.Output)
		t.ServiceTier = "standard"
	}
	return t
}

func anthropicEnd(s *Script) *anthropicTokens {
	t := anthropicCount(s)
	if t != nil {
		t.Details = &anthropicDetails{Thinking: s.Thought}
	}
	return t
}

func anthropicCount(s *Script) *anthropicTokens {
	if s.Usage == nil {
		return nil
	}
	return &anthropicTokens{
		Input:        s.Usage.InputTokens - s.CacheRead - s.CacheWritten,
		CacheWritten: s.CacheWritten,
		CacheRead:    s.CacheRead,
		Output:       s.Usage.OutputTokens,
	}
}

// alive is a ping; the stream itself starts with message_start.
func (anthropicWire) alive(first bool, end string) string {
	if first {
		return ""
	}
	return event{name: "ping", data: `{"type":"ping"}`}.text(end)
}

func (anthropicWire) lineEnd() string { return "\n" }

type anthropicError struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

func (anthropicWire) refuse(f Fault) (int, any) {
	status := f.status(anthropicStatus(f.Why))
	o := anthropicError{Type: "error", RequestID: anthropicRequest}
	o.Error.Type = anthropicKind(status)
	o.Error.Message = f.say(anthropicWords(f, status))
	return status, o
}

func anthropicStatus(why Reason) int {
	switch why {
	case KeyRefused, KeyMissing:
		return http.StatusUnauthorized
	case OutOfCredit:
		return http.StatusPaymentRequired
	case ModelUnknown:
		return http.StatusNotFound
	case Overloaded:
		return statusOverloaded
	default:
		return http.StatusBadRequest
	}
}

func anthropicKind(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusServiceUnavailable, statusOverloaded:
		return "overloaded_error"
	}
	if status >= http.StatusInternalServerError {
		return "api_error"
	}
	return "invalid_request_error"
}

func anthropicWords(f Fault, status int) string {
	switch f.Why {
	case KeyMissing:
		return "x-api-key: header is required"
	case ModelUnknown:
		return "model: " + f.Model
	case ContextTooLong:
		return "prompt is too long: " + tooManyWords + " tokens > " + strconv.Itoa(windowTokens) + " maximum"
	case Filtered:
		return "The question stopped at the content filter."
	default:
		return plain(status)
	}
}

const anthropicRequest = "req_faulty"

func (anthropicWire) header(h http.Header) { h.Set("Request-Id", anthropicRequest) }

type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

type anthropicPage struct {
	Data    []anthropicModel `json:"data"`
	HasMore bool             `json:"has_more"`
	FirstID *string          `json:"first_id"`
	LastID  *string          `json:"last_id"`
}

// list pages by ids: limit models after after_id or before before_id.
func (anthropicWire) list(models []string, query url.Values) (any, *Fault) {
	limit, ok := pageSize(query.Get("limit"), 20)
	if !ok {
		return nil, &Fault{Status: http.StatusBadRequest, Message: "limit: use 1 to 1000"}
	}
	from, to := 0, len(models)
	backwards := false
	if id := query.Get("after_id"); id != "" {
		if from = slices.Index(models, id) + 1; from == 0 {
			return nil, &Fault{Status: http.StatusBadRequest, Message: "after_id: there is no such model"}
		}
	} else if id := query.Get("before_id"); id != "" {
		backwards = true
		if to = slices.Index(models, id); to < 0 {
			return nil, &Fault{Status: http.StatusBadRequest, Message: "before_id: there is no such model"}
		}
	}
	more := to-from > limit
	if backwards {
		from = max(from, to-limit)
	} else {
		to = min(to, from+limit)
	}
	page := anthropicPage{Data: make([]anthropicModel, 0, to-from), HasMore: more}
	for _, m := range models[from:to] {
		page.Data = append(page.Data, anthropicModel{Type: "model", ID: m, DisplayName: m, CreatedAt: "2026-11-01T00:00:00Z"})
	}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = &page.Data[0].ID, &page.Data[n-1].ID
	}
	return page, nil
}

// pageSize reads how many a page may hold, 1 to 1000.
func pageSize(asked string, otherwise int) (int, bool) {
	if asked == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(asked)
	return n, err == nil && n >= 1 && n <= 1000
}
