package oracle

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genai"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// gemini is Google's library. It retries only where it is told to.
type gemini struct{ models *genai.Models }

func newGemini(t testing.TB, url string, client *http.Client) gemini {
	t.Helper()
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey: testKey, Backend: genai.BackendGeminiAPI, HTTPClient: client,
		HTTPOptions: genai.HTTPOptions{BaseURL: url + "/", APIVersion: "v1beta"},
	})
	require.NoError(t, err)
	return gemini{c.Models}
}

func (o gemini) ask(ctx context.Context, q *provider.Question) heard {
	h := heard{kind: whole}
	contents, config := geminiParams(q)
	for chunk, err := range o.models.GenerateContentStream(ctx, q.Model, contents, config) {
		if err != nil {
			h.err, h.kind = err, kindOfGemini(err)
			break
		}
		h.gemini(chunk)
	}
	return h
}

func geminiParams(q *provider.Question) ([]*genai.Content, *genai.GenerateContentConfig) {
	config := &genai.GenerateContentConfig{MaxOutputTokens: int32(q.MaxTokens), AutomaticContinuation: new(bool)}
	if q.System != "" {
		config.SystemInstruction = &genai.Content{Parts: []*genai.Part{{Text: q.System}}}
	}
	if q.Temperature != nil {
		config.Temperature = genai.Ptr(float32(*q.Temperature))
	}
	if q.Reasoning {
		config.ThinkingConfig = &genai.ThinkingConfig{IncludeThoughts: true}
	}
	contents := make([]*genai.Content, len(q.Messages))
	for i, m := range q.Messages {
		role := genai.Role(genai.RoleUser)
		if m.Role == protocol.RoleAssistant {
			role = genai.RoleModel
		}
		contents[i] = genai.NewContentFromText(m.Content, role)
	}
	return contents, config
}

// gemini takes one chunk. Every chunk counts all tokens so far.
func (h *heard) gemini(c *genai.GenerateContentResponse) {
	h.events++
	h.model = orElse(h.model, c.ModelVersion)
	if u := c.UsageMetadata; u != nil {
		h.tokens = tokens{
			counted: true, in: int(u.PromptTokenCount), besideIn: int(u.ToolUsePromptTokenCount),
			out: int(u.CandidatesTokenCount), besideOut: int(u.ThoughtsTokenCount),
		}
	}
	if f := c.PromptFeedback; f != nil && f.BlockReason != "" {
		h.kind = rejected
	}
	if len(c.Candidates) == 0 {
		return
	}
	one := c.Candidates[0]
	if one.Content != nil {
		for _, p := range one.Content.Parts {
			if p.Thought {
				h.reasoning += p.Text
			} else {
				h.text += p.Text
			}
		}
	}
	h.geminiEnd(one.FinishReason)
}

// geminiEnd is the vendor's list of reasons to end.
// https://ai.google.dev/api/generate-content#FinishReason (read in November 2026)
func (h *heard) geminiEnd(reason genai.FinishReason) {
	switch reason {
	case "":
	case genai.FinishReasonStop:
		h.finish = protocol.FinishStop
	case genai.FinishReasonMaxTokens:
		h.finish = protocol.FinishLength
	case genai.FinishReasonSafety, genai.FinishReasonRecitation, genai.FinishReasonLanguage, genai.FinishReasonBlocklist,
		genai.FinishReasonProhibitedContent, genai.FinishReasonSPII:
		h.kind = rejected
	default:
		h.kind = broken
	}
}

// kindOfGemini reads the library's errors, which have the code of a status
// inside a stream as well.
func kindOfGemini(err error) kind {
	var told genai.APIError
	if errors.As(err, &told) {
		return kindOfStatus(told.Code)
	}
	return kindOfRest(err)
}
