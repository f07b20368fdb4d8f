package oracle

import (
	"context"
	"errors"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/shared"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// anthropicSDK is Anthropic's library. Its services alone read no environment.
type anthropicSDK struct{ messages anthropic.MessageService }

func newAnthropic(url string, client *http.Client) anthropicSDK {
	return anthropicSDK{anthropic.NewMessageService(
		option.WithBaseURL(url+"/"), option.WithAPIKey(testKey), option.WithMaxRetries(0), option.WithHTTPClient(client),
	)}
}

func (o anthropicSDK) ask(ctx context.Context, q *provider.Question) heard {
	s := o.messages.NewStreaming(ctx, anthropicParams(q))
	h := heard{kind: whole}
	if h.err = s.Err(); h.err != nil { // a call that failed has nothing to read or close
		h.kind = kindOfAnthropic(h.err)
		return h
	}
	defer func() { _ = s.Close() }()
	for s.Next() {
		h.anthropic(s.Current())
	}
	if h.err = s.Err(); h.err != nil {
		h.kind = kindOfAnthropic(h.err)
	}
	return h
}

func anthropicParams(q *provider.Question) anthropic.MessageNewParams {
	p := anthropic.MessageNewParams{Model: anthropic.Model(q.Model), MaxTokens: int64(q.MaxTokens)}
	if q.System != "" {
		p.System = append(p.System, anthropic.TextBlockParam{Text: q.System})
	}
	for _, m := range q.Messages {
		switch m.Role {
		case protocol.RoleSystem:
			p.System = append(p.System, anthropic.TextBlockParam{Text: m.Content})
		case protocol.RoleAssistant:
			p.Messages = append(p.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock(m.Content)))
		default:
			p.Messages = append(p.Messages, anthropic.NewUserMessage(anthropic.NewTextBlock(m.Content)))
		}
	}
	if q.Temperature != nil {
		p.Temperature = anthropic.Float(*q.Temperature)
	}
	return p
}

// anthropic takes one event. The counts are cumulative, and those that an event
// leaves out keep their last value.
func (h *heard) anthropic(e anthropic.MessageStreamEventUnion) {
	h.events++
	switch e := e.AsAny().(type) {
	case anthropic.MessageStartEvent:
		h.model = orElse(h.model, string(e.Message.Model))
		if u := e.Message.Usage; e.Message.JSON.Usage.Valid() {
			h.tokens = tokens{
				counted: true, in: int(u.InputTokens), out: int(u.OutputTokens),
				besideIn: int(u.CacheCreationInputTokens + u.CacheReadInputTokens),
			}
		}
	case anthropic.ContentBlockStartEvent:
		h.text += e.ContentBlock.Text
		h.reasoning += e.ContentBlock.Thinking
	case anthropic.ContentBlockDeltaEvent:
		h.text += e.Delta.Text
		h.reasoning += e.Delta.Thinking
	case anthropic.MessageDeltaEvent:
		h.anthropicEnd(e)
	}
}

func (h *heard) anthropicEnd(e anthropic.MessageDeltaEvent) {
	switch e.Delta.StopReason {
	case "":
	case anthropic.StopReasonMaxTokens, anthropic.StopReasonModelContextWindowExceeded:
		h.finish = protocol.FinishLength
	case anthropic.StopReasonRefusal:
		h.kind = rejected
	default:
		h.finish = protocol.FinishStop
	}
	u := e.Usage
	if !e.JSON.Usage.Valid() {
		return
	}
	h.tokens.counted = true
	h.tokens.out = int(u.OutputTokens)
	if u.JSON.InputTokens.Valid() {
		h.tokens.in = int(u.InputTokens)
	}
	if u.JSON.CacheCreationInputTokens.Valid() || u.JSON.CacheReadInputTokens.Valid() {
		h.tokens.besideIn = int(u.CacheCreationInputTokens + u.CacheReadInputTokens)
	}
}

// kindOfAnthropic reads the library's errors by their type, which is the same
// before a stream and inside it, where the status is still that of the stream.
func kindOfAnthropic(err error) kind {
	var told *anthropic.Error
	if !errors.As(err, &told) {
		return kindOfRest(err)
	}
	switch told.Type() {
	case shared.ErrorTypeAuthenticationError, shared.ErrorTypePermissionError, shared.ErrorTypeBillingError:
		return badKey
	case shared.ErrorTypeRateLimitError:
		return limited
	case shared.ErrorTypeNotFoundError:
		return notFound
	case shared.ErrorTypeInvalidRequestError:
		return rejected
	case shared.ErrorTypeOverloadedError, shared.ErrorTypeAPIError, shared.ErrorTypeTimeoutError:
		return unavailable
	}
	if told.StatusCode == http.StatusOK {
		return broken
	}
	return kindOfStatus(told.StatusCode)
}
