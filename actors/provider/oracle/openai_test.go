package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// openAI is OpenAI's library. Its services alone read no environment.
type openAI struct{ chat openai.ChatCompletionService }

func newOpenAI(base string, client *http.Client) openAI {
	return openAI{openai.NewChatCompletionService(
		option.WithBaseURL(base+"/v1/"), option.WithAPIKey(testKey), option.WithMaxRetries(0), option.WithHTTPClient(client),
	)}
}

func (o openAI) ask(ctx context.Context, q *provider.Question) heard {
	s := o.chat.NewStreaming(ctx, openAIParams(q))
	defer func() { _ = s.Close() }()
	h := heard{kind: whole}
	for s.Next() {
		h.openAI(s.Current())
	}
	if h.err = s.Err(); h.err != nil {
		h.kind = kindOfOpenAI(h.err)
	}
	return h
}

func openAIParams(q *provider.Question) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model:         q.Model,
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	if q.System != "" {
		p.Messages = append(p.Messages, openai.SystemMessage(q.System))
	}
	for _, m := range q.Messages {
		switch m.Role {
		case protocol.RoleSystem:
			p.Messages = append(p.Messages, openai.SystemMessage(m.Content))
		case protocol.RoleAssistant:
			p.Messages = append(p.Messages, openai.AssistantMessage(m.Content))
		default:
			p.Messages = append(p.Messages, openai.UserMessage(m.Content))
		}
	}
	if q.Temperature != nil {
		p.Temperature = openai.Float(*q.Temperature)
	}
	if q.MaxTokens > 0 {
		p.MaxTokens = openai.Int(int64(q.MaxTokens))
	}
	return p
}

// openAI takes one chunk. Reasoning is no part of the vendor's reference: the
// library keeps it among the fields that it does not know.
func (h *heard) openAI(c openai.ChatCompletionChunk) {
	h.events++
	h.model = orElse(h.model, c.Model)
	if c.JSON.Usage.Valid() {
		h.tokens = tokens{counted: true, in: int(c.Usage.PromptTokens), out: int(c.Usage.CompletionTokens)}
	}
	if len(c.Choices) == 0 {
		return
	}
	choice := c.Choices[0]
	h.text += choice.Delta.Content + choice.Delta.Refusal
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if field, ok := choice.Delta.JSON.ExtraFields[name]; ok {
			var text string
			if json.Unmarshal([]byte(field.Raw()), &text) == nil {
				h.reasoning += text
				break
			}
		}
	}
	switch choice.FinishReason {
	case "":
	case "length":
		h.finish = protocol.FinishLength
	case "content_filter":
		h.kind = rejected
	default:
		h.finish = protocol.FinishStop
	}
}

// kindOfOpenAI reads the library's errors: one of a status, one inside a stream,
// whose object it hands over as it came, and the rest, which is of the stream.
func kindOfOpenAI(err error) kind {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return kindOfStatus(refused.StatusCode)
	}
	var inside *ssestream.StreamError
	if !errors.As(err, &inside) {
		return kindOfRest(err)
	}
	var object struct {
		Error struct {
			Type string `json:"type"`
			Code any    `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(inside.Event.Data, &object) != nil {
		return broken
	}
	if status, ok := object.Error.Code.(float64); ok {
		return kindOfStatus(int(status))
	}
	return kindOfOpenAIWords(object.Error.Type, object.Error.Code)
}

// kindOfOpenAIWords is the vendor's list of codes and types.
// https://platform.openai.com/docs/guides/error-codes (read in 2026-11)
func kindOfOpenAIWords(typ string, code any) kind {
	switch code {
	case "invalid_api_key":
		return badKey
	case "rate_limit_exceeded", "insufficient_quota":
		return limited
	case "model_not_found":
		return notFound
	}
	switch typ {
	case "server_error":
		return unavailable
	case "invalid_request_error":
		return rejected
	}
	return broken
}

// kindOfRest tells a call that got no answer, which net/http wraps, from what
// happened to a stream.
func kindOfRest(err error) kind {
	var call *url.Error
	if errors.As(err, &call) {
		return unavailable
	}
	return broken
}
