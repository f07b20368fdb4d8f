package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const geminiBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// Kinds of model, as the vendor's resource names begin.
const (
	geminiModels = "models/"
	geminiTuned  = "tunedModels/"
)

// geminiRequest is the body of models.streamGenerateContent.
// https://ai.google.dev/api/generate-content (read in November 2026)
type geminiRequest struct {
	SystemInstruction *geminiContent   `json:"systemInstruction,omitempty"`
	Contents          []geminiContent  `json:"contents"`
	GenerationConfig  geminiGeneration `json:"generationConfig,omitzero"`
}

type geminiContent struct {
	Role  string       `json:"role,omitempty"`
	Parts []geminiPart `json:"parts"`
}

type geminiPart struct {
	Text string `json:"text"`
}

type geminiGeneration struct {
	Temperature     *float64       `json:"temperature,omitempty"`
	MaxOutputTokens int            `json:"maxOutputTokens,omitempty"`
	ThinkingConfig  geminiThinking `json:"thinkingConfig,omitzero"`
}

// geminiThinking is left out where nobody wants it: a model that does not think
// refuses the field.
type geminiThinking struct {
	IncludeThoughts bool `json:"includeThoughts,omitempty"`
}

// gemini is the wire of Google's generateContent.
type gemini struct {
	base  string // without a slash at its end
	query string // of base_url
}

func newGeminiWire(base string) (*gemini, error) {
	if base == "" {
		base = geminiBaseURL
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	w := &gemini{query: u.RawQuery}
	u.RawQuery = ""
	w.base = strings.TrimRight(u.String(), "/")
	return w, nil
}

// address implements wire. The key is never part of it: addresses end up in the
// logs of everybody on the way.
func (w *gemini) address(model string) string {
	return w.at("/"+geminiResource(model)+":streamGenerateContent", "alt=sse")
}

func (w *gemini) at(path, query string) string {
	if w.query != "" {
		query += "&" + w.query
	}
	return w.base + path + "?" + query
}

// geminiResource spells a model as one segment below its kind, whatever a
// stranger wrote. The colon is escaped too: behind it the vendor reads the
// method.
func geminiResource(model string) string {
	kind, name := geminiModels, strings.TrimPrefix(model, geminiModels)
	if tuned, ok := strings.CutPrefix(model, geminiTuned); ok {
		kind, name = geminiTuned, tuned
	}
	return kind + strings.ReplaceAll(url.PathEscape(name), ":", "%3A")
}

// sign implements wire.
// https://ai.google.dev/gemini-api/docs/api-key (read in November 2026)
func (w *gemini) sign(h http.Header, key protocol.Secret) {
	if !key.Empty() {
		h.Set("X-Goog-Api-Key", string(key.Reveal()))
	}
}

// body implements wire. The model is in the address.
func (w *gemini) body(_ string, q *Question) ([]byte, error) {
	r := geminiRequest{Contents: make([]geminiContent, 0, len(q.Messages))}
	r.instruct(q.System)
	for i := range q.Messages {
		r.add(&q.Messages[i])
	}
	r.GenerationConfig = geminiGeneration{
		Temperature: q.Temperature, MaxOutputTokens: q.MaxTokens,
		ThinkingConfig: geminiThinking{IncludeThoughts: q.Reasoning},
	}
	return encodeBody(&r)
}

// add appends a message. The vendor refuses parts without text and wants the
// roles to take turns: empty messages are dropped, neighbours of one role merged.
func (r *geminiRequest) add(m *protocol.Message) {
	role := "user"
	switch {
	case m.Content == "":
		return
	case m.Role == protocol.RoleSystem:
		r.instruct(m.Content)
		return
	case m.Role == protocol.RoleAssistant:
		role = "model"
	}
	if n := len(r.Contents); n == 0 || r.Contents[n-1].Role != role {
		r.Contents = append(r.Contents, geminiContent{Role: role})
	}
	last := &r.Contents[len(r.Contents)-1]
	last.Parts = append(last.Parts, geminiPart{Text: m.Content})
}

// instruct adds to what the vendor wants apart from the conversation.
func (r *geminiRequest) instruct(text string) {
	if text == "" {
		return
	}
	if r.SystemInstruction == nil {
		r.SystemInstruction = new(geminiContent)
	}
	r.SystemInstruction.Parts = append(r.SystemInstruction.Parts, geminiPart{Text: text})
}

// models implements wire. 1000 is the largest page.
// https://ai.google.dev/api/models#method:-models.list (read in November 2026)
func (w *gemini) models(page string) string {
	query := "pageSize=1000"
	if page != "" {
		query += "&pageToken=" + url.QueryEscape(page)
	}
	return w.at("/models", query)
}

// listed implements wire: the models that answer questions, by the names that
// everybody uses for them.
func (w *gemini) listed(root gjson.Result) (ids []string, next string) {
	for _, m := range root.Get("models").Array() {
		if slices.ContainsFunc(m.Get("supportedGenerationMethods").Array(), answersQuestions) {
			ids = append(ids, strings.TrimPrefix(m.Get("name").Str, geminiModels))
		}
	}
	return ids, root.Get("nextPageToken").Str
}

func answersQuestions(method gjson.Result) bool { return method.Str == "generateContent" }
