package provider

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const openAIBaseURL = "https://api.openai.com/v1"

// chatRequest is the body of POST /chat/completions.
// https://platform.openai.com/docs/api-reference/chat/create (read in 2026-11)
type chatRequest struct {
	Model         string             `json:"model"`
	Messages      []protocol.Message `json:"messages"`
	Stream        bool               `json:"stream"`
	StreamOptions streamOptions      `json:"stream_options,omitzero"`
	Temperature   *float64           `json:"temperature,omitempty"`

	// One of the two is set: the vendor itself refuses the old name for its
	// newer models, most servers that speak its wire know only the old one.
	MaxCompletionTokens int `json:"max_completion_tokens,omitempty"`
	MaxTokens           int `json:"max_tokens,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// openAI is the wire of chat completions, which OpenAI and everything that
// copies it speak.
type openAI struct {
	endpoint string
	list     string
	newNames bool // max_completion_tokens instead of max_tokens
	azure    bool // the key has a header of its own
	counts   bool // it counts tokens without being asked, and refuses to be asked
}

func newOpenAIWire(base string) (*openAI, error) {
	if base == "" {
		base = openAIBaseURL
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &openAI{
		endpoint: under(u, "/chat/completions"), list: under(u, "/models"),
		newNames: knowsNewNames(u), azure: isAzure(u), counts: isMistral(u),
	}, nil
}

// under is an address below the base; a version that Azure wants stays behind it.
func under(base *url.URL, path string) string {
	u := *base
	u.RawQuery = ""
	at := strings.TrimRight(u.String(), "/") + path
	if base.RawQuery != "" {
		at += "?" + base.RawQuery
	}
	return at
}

func (w *openAI) address(string) string { return w.endpoint }

// sign implements wire.
func (w *openAI) sign(h http.Header, key protocol.Secret) {
	switch {
	case key.Empty():
	case w.azure: // where a bearer is a token of its directory
		h.Set("Api-Key", string(key.Reveal()))
	default:
		h.Set("Authorization", "Bearer "+string(key.Reveal()))
	}
}

// body writes the question as the vendor wants it, the system prompt first.
func (w *openAI) body(model string, q *Question) ([]byte, error) {
	r := chatRequest{Model: model, Stream: true, Temperature: q.Temperature}
	if !w.counts {
		r.StreamOptions.IncludeUsage = true
	}
	r.Messages = make([]protocol.Message, 0, len(q.Messages)+1)
	if q.System != "" {
		r.Messages = append(r.Messages, protocol.Message{Role: protocol.RoleSystem, Content: q.System})
	}
	r.Messages = append(r.Messages, q.Messages...)
	if w.newNames {
		r.MaxCompletionTokens = q.MaxTokens
	} else {
		r.MaxTokens = q.MaxTokens
	}
	return encodeBody(&r)
}

// knowsNewNames tells whether the host wants max_completion_tokens: the vendor
// itself, and Azure, which hosts the same models.
func knowsNewNames(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return host == "api.openai.com" || isAzure(u)
}

// isAzure tells whether the host is Azure's.
// https://learn.microsoft.com/azure/ai-services/openai/reference (read in 2026-11)
func isAzure(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return strings.HasSuffix(host, ".openai.azure.com") || strings.HasSuffix(host, ".cognitiveservices.azure.com") ||
		strings.HasSuffix(host, ".services.ai.azure.com")
}

// isMistral tells whether the host is Mistral's, which refuses stream_options
// with 422 and sends usage with the last chunk in any case.
// https://docs.mistral.ai/api/endpoint/chat (read in 2026-11)
func isMistral(u *url.URL) bool { return strings.EqualFold(u.Hostname(), "api.mistral.ai") }

// take reads one event: a chat.completion.chunk, an error object, or [DONE].
// https://platform.openai.com/docs/api-reference/chat-streaming (read in 2026-11)
func (w *openAI) take(a *answer, ev event) error {
	if ev.data[0] == '[' && string(bytes.TrimSpace(ev.data)) == "[DONE]" {
		a.over = true
		return nil
	}
	root, err := parseObject(ev.data)
	if err != nil {
		return err
	}
	failed := ev.failed
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			takeChoices(a, value)
		case "usage":
			takeOpenAIUsage(a, value)
		case "model":
			a.takeModel(value)
		case "error":
			failed = failed || value.IsObject() || value.Type == gjson.String && value.Str != ""
		case "object":
			failed = failed || value.Str == "error"
		}
		return true
	})
	if failed {
		return parseVendorError(root)
	}
	return nil
}

// takeChoices reads the first choice; no other is ever asked for.
func takeChoices(a *answer, choices gjson.Result) {
	choices.ForEach(func(_, choice gjson.Result) bool {
		choice.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "delta":
				takeDelta(a, value)
			case "finish_reason":
				takeOpenAIFinish(a, value.Str)
			}
			return true
		})
		return false
	})
}

// takeDelta collects text. A refusal is what the model says to the user. The
// vendor itself streams no reasoning on this wire; servers that copy it name the
// field reasoning_content (DeepSeek, vLLM) or reasoning (OpenRouter, Ollama, Groq).
func takeDelta(a *answer, delta gjson.Result) {
	delta.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "content":
			takeOpenAIContent(a, value)
		case "refusal":
			a.addText(value)
		case "reasoning_content", "reasoning":
			if a.thought.bytes == 0 { // some servers send both names with the same text
				a.addThought(value)
			}
		}
		return true
	})
}

// takeOpenAIContent reads a string or, of Mistral's reasoning models, a list of
// parts. What is neither is noted: an answer of which nothing else was read must
// not pass for one that is empty.
// https://docs.mistral.ai/capabilities/reasoning (read in 2026-11)
func takeOpenAIContent(a *answer, content gjson.Result) {
	switch {
	case content.Type == gjson.String:
		a.addText(content)
	case content.IsArray():
		content.ForEach(func(_, part gjson.Result) bool {
			takeOpenAIPart(a, part)
			return true
		})
	case content.Type != gjson.Null:
		a.unread = true
	}
}

// takeOpenAIPart reads one part of a list: text, or thinking, which is a list of
// such texts itself.
func takeOpenAIPart(a *answer, part gjson.Result) {
	text, thinking := part.Get("text"), part.Get("thinking")
	switch kind := part.Get("type").Str; {
	case kind == "text" && text.Type == gjson.String:
		a.addText(text)
	case kind == "thinking" && thinking.Type == gjson.String:
		a.addThought(thinking)
	case kind == "thinking" && thinking.IsArray():
		thinking.ForEach(func(_, thought gjson.Result) bool {
			a.addThought(thought.Get("text"))
			return true
		})
	default: // a reference, an image, …
		a.unread = true
	}
}

// takeOpenAIFinish reads why the answer ends, in the words of the vendor and of
// those that copy its wire. A reason that is no end means that it broke off.
// https://platform.openai.com/docs/api-reference/chat-streaming/streaming (read in 2026-11)
// https://api-docs.deepseek.com/api/create-chat-completion (read in 2026-11)
// https://docs.mistral.ai/api/endpoint/chat (read in 2026-11)
func takeOpenAIFinish(a *answer, reason string) {
	switch reason {
	case "":
	case "stop", "tool_calls", "function_call", "eos", "eos_token", "end_turn", "stop_sequence":
		a.finish = protocol.FinishStop
	case "length", "model_length", "max_tokens":
		a.finish = protocol.FinishLength
	case "content_filter", "safety":
		a.filtered = true
		a.finish = protocol.FinishStop
	default: // error, abort, insufficient_system_resource, … and what nobody knows yet
		a.breakOff("finish_reason", reason)
	}
}

func takeOpenAIUsage(a *answer, usage gjson.Result) {
	in, out := usage.Get("prompt_tokens"), usage.Get("completion_tokens")
	if in.Type == gjson.Number || out.Type == gjson.Number {
		a.usage = &protocol.Usage{InputTokens: tokens(in), OutputTokens: tokens(out)}
	}
}

// models implements wire.
// https://platform.openai.com/docs/api-reference/models/list (read in 2026-11)
func (w *openAI) models(page string) string { return w.list }

// listed implements wire: the list comes in one piece.
func (w *openAI) listed(root gjson.Result) (ids []string, next string) {
	for _, m := range root.Get("data").Array() {
		ids = append(ids, m.Get("id").Str)
	}
	return ids, ""
}
