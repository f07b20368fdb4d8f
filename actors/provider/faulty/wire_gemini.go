package faulty

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// geminiWire is streamGenerateContent, written after
// https://ai.google.dev/api/generate-content, https://ai.google.dev/api/models,
// https://ai.google.dev/gemini-api/docs/thinking and
// https://ai.google.dev/gemini-api/docs/troubleshooting, read in 2026-11. Errors
// have the shape of https://google.aip.dev/193. The wire has no end marker: an
// answer is whole when a chunk said its finishReason.
type geminiWire struct{}

func (geminiWire) wire() Wire { return Gemini }

func (geminiWire) route(r *http.Request, path string) route {
	rest, ok := strings.CutPrefix(path, "/v1beta/models")
	if !ok {
		return route{}
	}
	if rest == "" && r.Method == http.MethodGet {
		return route{kind: routeList}
	}
	model, ok := strings.CutSuffix(rest, ":streamGenerateContent")
	if model = strings.TrimPrefix(model, "/"); ok && model != "" && r.Method == http.MethodPost {
		return route{kind: routeAsk, model: model}
	}
	return route{}
}

func (geminiWire) auth(h http.Header) string { return h.Get("X-Goog-Api-Key") }

func (geminiWire) objection(r *http.Request, keyless bool) *Fault {
	switch {
	case r.Header.Get("X-Goog-Api-Key") == "" && !keyless:
		return &Fault{Why: KeyMissing}
	case r.Method == http.MethodPost && r.URL.Query().Get("alt") != "sse":
		return &Fault{Status: http.StatusBadRequest, Message: "Only event streams are spoken here: ask with alt=sse."}
	}
	return nil
}

func (geminiWire) question(body []byte) (question, *Fault) {
	var asked struct {
		Contents []struct {
			Role  string `json:"role"`
			Parts texts  `json:"parts"`
		} `json:"contents"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return question{}, notJSON()
	}
	q := question{usage: true}
	for _, c := range slices.Backward(asked.Contents) {
		if c.Role == "user" || c.Role == "" { // a single turn needs no role
			q.text = string(c.Parts)
			break
		}
	}
	return q, nil
}

type geminiChunk struct {
	Candidates     []geminiCandidate `json:"candidates,omitempty"`
	PromptFeedback *geminiFeedback   `json:"promptFeedback,omitempty"`
	UsageMetadata  *geminiUsage      `json:"usageMetadata,omitempty"`
	ModelVersion   string            `json:"modelVersion"`
	ResponseID     string            `json:"responseId"`
}

type geminiCandidate struct {
	Content       *geminiContent `json:"content,omitempty"`
	FinishReason  string         `json:"finishReason,omitempty"`
	Index         int            `json:"index"`
	SafetyRatings []geminiRating `json:"safetyRatings,omitempty"`
}

type geminiContent struct {
	Parts []geminiPart `json:"parts"`
	Role  string       `json:"role"`
}

type geminiPart struct {
	Text             string `json:"text"`
	Thought          bool   `json:"thought,omitempty"`
	ThoughtSignature string `json:"thoughtSignature,omitempty"`
}

type geminiRating struct {
	Category    string `json:"category"`
	Probability string `json:"probability"`
	Blocked     bool   `json:"blocked,omitempty"`
}

type geminiFeedback struct {
	BlockReason   string         `json:"blockReason"`
	SafetyRatings []geminiRating `json:"safetyRatings,omitempty"`
}

// geminiUsage counts output apart from its thinking.
type geminiUsage struct {
	Prompt        int              `json:"promptTokenCount"`
	Cached        int              `json:"cachedContentTokenCount,omitempty"`
	Candidates    int              `json:"candidatesTokenCount,omitempty"`
	Thoughts      int              `json:"thoughtsTokenCount,omitempty"`
	Total         int              `json:"totalTokenCount"`
	PromptDetails []geminiModality `json:"promptTokensDetails"`
}

type geminiModality struct {
	Modality   string `json:"modality"`
	TokenCount int    `json:"tokenCount"`
}

// geminiSpeech builds the chunks of one answer.
type geminiSpeech struct {
	script *Script
	model  string
	events []event
}

func (geminiWire) stream(s *Script, a asking) []event {
	p := geminiSpeech{script: s, model: a.model, events: make([]event, 0, s.deltas()+len(s.Reasoning)+1)}
	for _, r := range s.Reasoning {
		p.part(geminiPart{Text: r, Thought: true})
	}
	s.said(func(delta string) {
		p.part(geminiPart{Text: delta})
		p.events[len(p.events)-1].delta = true
	})
	if e := s.failure(geminiWire{}, a.model); e != "" {
		p.events = append(p.events, event{data: e})
		return p.events
	}
	p.end()
	return p.events
}

func (p *geminiSpeech) part(part geminiPart) {
	p.chunk(geminiChunk{
		Candidates:    []geminiCandidate{{Content: &geminiContent{Parts: []geminiPart{part}, Role: "model"}}},
		UsageMetadata: geminiCount(p.script, false),
	})
}

func (p *geminiSpeech) chunk(c geminiChunk) {
	c.ModelVersion, c.ResponseID = p.model, "faulty"
	p.events = append(p.events, event{data: encode(c)})
}

// end is the chunk that says how the answer ended. Without the end marker it
// says the count only.
func (p *geminiSpeech) end() {
	blocked := []geminiRating{{Category: "HARM_CATEGORY_DANGEROUS_CONTENT", Probability: "HIGH", Blocked: true}}
	finish := p.script.finish("STOP", "MAX_TOKENS", "SAFETY")
	if p.script.NoDone || finish == FinishNone {
		finish = ""
	}
	c := geminiChunk{UsageMetadata: geminiCount(p.script, true)}
	switch {
	case finish == "SAFETY" && p.script.deltas() == 0: // nothing was said: the question itself was stopped
		c.PromptFeedback = &geminiFeedback{BlockReason: "SAFETY", SafetyRatings: blocked}
	case finish == "SAFETY":
		c.Candidates = []geminiCandidate{{FinishReason: finish, SafetyRatings: blocked}}
	default:
		last := geminiPart{}
		if len(p.script.Reasoning) > 0 {
			last.ThoughtSignature = "ZmF1bHR5"
		}
		c.Candidates = []geminiCandidate{{Content: &geminiContent{Parts: []geminiPart{last}, Role: "model"}, FinishReason: finish}}
	}
	p.chunk(c)
}

// geminiCount is on every chunk; until the last one it knows the input only.
func geminiCount(s *Script, last bool) *geminiUsage {
	if s.Usage == nil {
		return nil
	}
	in := s.Usage.InputTokens
	u := &geminiUsage{Prompt: in, Cached: s.CacheRead, Total: in, PromptDetails: []geminiModality{{"TEXT", in}}}
	if last {
		u.Candidates, u.Thoughts, u.Total = s.Usage.OutputTokens-s.Thought, s.Thought, in+s.Usage.OutputTokens
	}
	return u
}

// alive is a comment. The vendor sends none, and its own client takes one for
// a broken stream.
func (geminiWire) alive(_ bool, end string) string { return comment(end) }

func (geminiWire) lineEnd() string { return "\r\n" }

type geminiError struct {
	Code    int              `json:"code"`
	Message string           `json:"message"`
	Status  string           `json:"status"`
	Details []map[string]any `json:"details,omitempty"`
}

func (geminiWire) refuse(f Fault) (int, any) {
	status := f.status(geminiStatus(f.Why))
	return status, map[string]geminiError{"error": {
		Code:    status,
		Message: f.say(geminiWords(f, status)),
		Status:  geminiState(status),
		Details: geminiDetails(f, status),
	}}
}

func geminiStatus(why Reason) int {
	switch why {
	case KeyMissing:
		return http.StatusForbidden
	case ModelUnknown:
		return http.StatusNotFound
	case OutOfCredit:
		return http.StatusTooManyRequests
	case Overloaded:
		return http.StatusServiceUnavailable
	default: // a key that is refused too
		return http.StatusBadRequest
	}
}

// geminiState is the canonical code of a status.
func geminiState(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if status >= http.StatusInternalServerError {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

func geminiWords(f Fault, status int) string {
	switch f.Why {
	case KeyMissing:
		return "There is no key: send it as x-goog-api-key."
	case KeyRefused:
		return "API key not valid: send one that is."
	case OutOfCredit:
		return "You exceeded your current quota: check plan and billing."
	case ModelUnknown:
		return "models/" + f.Model + " is not found for API version v1beta: ask for one of the list of models."
	case ContextTooLong:
		return "The input token count (" + tooManyWords + ") exceeds the maximum number of tokens allowed (" + strconv.Itoa(windowTokens) + ")."
	case Filtered:
		return "The question stopped at the content filter."
	default:
		return plain(status)
	}
}

// geminiDetails is what machines read: where the vendor says how long to wait.
func geminiDetails(f Fault, status int) []map[string]any {
	const rpc = "type.googleapis.com/google.rpc."
	var details []map[string]any
	if f.Why == KeyRefused {
		details = append(details, map[string]any{
			"@type": rpc + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com",
			"metadata": map[string]string{"service": "generativelanguage.googleapis.com"},
		})
	}
	if status == http.StatusTooManyRequests {
		quota := "GenerateRequestsPerMinutePerProjectPerModel"
		if f.Why == OutOfCredit {
			quota = "GenerateRequestsPerDayPerProjectPerModel"
		}
		details = append(details, map[string]any{
			"@type": rpc + "QuotaFailure", "violations": []map[string]string{{
				"quotaMetric": "generativelanguage.googleapis.com/generate_content_requests", "quotaId": quota,
			}},
		})
	}
	if f.RetryAfter > 0 {
		details = append(details, map[string]any{"@type": rpc + "RetryInfo", "retryDelay": strconv.Itoa(f.RetryAfter) + "s"})
	}
	return details
}

func (geminiWire) header(http.Header) {}

type geminiModel struct {
	Name             string   `json:"name"`
	Version          string   `json:"version"`
	DisplayName      string   `json:"displayName"`
	InputTokenLimit  int      `json:"inputTokenLimit"`
	OutputTokenLimit int      `json:"outputTokenLimit"`
	Methods          []string `json:"supportedGenerationMethods"`
}

// list pages by a token, which is the number of the first model here.
func (geminiWire) list(models []string, query url.Values) (any, *Fault) {
	size, ok := pageSize(query.Get("pageSize"), 50)
	if !ok {
		return nil, &Fault{Status: http.StatusBadRequest, Message: "pageSize: use 1 to 1000"}
	}
	from := 0
	if token := query.Get("pageToken"); token != "" {
		n, err := strconv.Atoi(token)
		if err != nil || n < 0 || n > len(models) {
			return nil, &Fault{Status: http.StatusBadRequest, Message: "pageToken: use one of the page before"}
		}
		from = n
	}
	to := min(len(models), from+size)
	page := struct {
		Models        []geminiModel `json:"models"`
		NextPageToken string        `json:"nextPageToken,omitempty"`
	}{Models: make([]geminiModel, 0, to-from)}
	for _, m := range models[from:to] {
		page.Models = append(page.Models, geminiModel{
			Name: "models/" + m, Version: "001", DisplayName: m, InputTokenLimit: windowTokens,
			OutputTokenLimit: windowTokens, Methods: []string{"generateContent", "countTokens"},
		})
	}
	if to < len(models) {
		page.NextPageToken = strconv.Itoa(to)
	}
	return page, nil
}
