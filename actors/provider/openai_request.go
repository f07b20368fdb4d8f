package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const openAIBaseURL = "https://api.openai.com/v1"

// chatRequest is the body of POST /chat/completions.
// https://platform.openai.com/docs/api-reference/chat/create
type chatRequest struct {
	Model         string             `json:"model"`
	Messages      []protocol.Message `json:"messages"`
	Stream        bool               `json:"stream"`
	StreamOptions streamOptions      `json:"stream_options"`
	Temperature   *float64           `json:"temperature,omitempty"`

	// One of the two is set: the vendor itself refuses the old name for its
	// newer models, most servers that speak its wire know only the old one.
	MaxCompletionTokens int `json:"max_completion_tokens,omitempty"`
	MaxTokens           int `json:"max_tokens,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// body writes the question as the vendor wants it, the system prompt first.
func (p *openAI) body(model string, q *Question) ([]byte, error) {
	r := chatRequest{Model: model, Stream: true, StreamOptions: streamOptions{IncludeUsage: true}, Temperature: q.Temperature}
	r.Messages = make([]protocol.Message, 0, len(q.Messages)+1)
	if q.System != "" {
		r.Messages = append(r.Messages, protocol.Message{Role: protocol.RoleSystem, Content: q.System})
	}
	r.Messages = append(r.Messages, q.Messages...)
	if p.newNames {
		r.MaxCompletionTokens = q.MaxTokens
	} else {
		r.MaxTokens = q.MaxTokens
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(&r)
	return b.Bytes(), err
}

// request builds the call. The header holds a copy of the key that cannot be
// wiped, and must not be taken out again: after a cancel net/http may still be
// writing it. It is dropped with the request. GetBody, which NewRequest sets,
// lets net/http send again only what the vendor certainly did not get: a call
// that met a closed idle connection before its first byte left.
func (p *openAI) request(ctx context.Context, body []byte, key protocol.Secret) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", "troupe")
	if !key.Empty() {
		req.Header.Set("Authorization", "Bearer "+string(key.Reveal()))
	}
	return req, nil
}

// knowsNewNames tells whether the host wants max_completion_tokens: the vendor
// itself, and Azure, which hosts the same models.
func knowsNewNames(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return host == "api.openai.com" || strings.HasSuffix(host, ".openai.azure.com")
}
