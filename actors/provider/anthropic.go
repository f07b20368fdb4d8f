package provider

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	anthropicBaseURL = "https://api.anthropic.com/v1"

	// anthropicVersion is the one version of the wire that has named events.
	// https://platform.claude.com/docs/en/api/versioning (read in 2026-11)
	anthropicVersion = "2023-06-01"

	// anthropicMaxTokens bounds the answer to a question that names no bound:
	// the vendor wants one, and every model it still serves takes this one.
	anthropicMaxTokens = 4096

	// anthropicOpening stands for the user where a history starts with the
	// assistant, see anthropicTurns.
	anthropicOpening = "."
)

// messagesRequest is the body of POST /messages.
// https://platform.claude.com/docs/en/api/messages/create (read in 2026-11)
type messagesRequest struct {
	Model       string             `json:"model"`
	MaxTokens   int                `json:"max_tokens"`
	System      string             `json:"system,omitempty"`
	Messages    []protocol.Message `json:"messages"`
	Temperature *float64           `json:"temperature,omitempty"`
	Stream      bool               `json:"stream"`
}

// anthropic is the wire of messages, which Anthropic and those that copy it
// speak.
type anthropic struct {
	endpoint string
	list     url.URL
}

func newAnthropicWire(base string) (*anthropic, error) {
	if base == "" {
		base = anthropicBaseURL
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &anthropic{endpoint: under(u, "/messages"), list: *u.JoinPath("models")}, nil
}

func (w *anthropic) address(string) string { return w.endpoint }

// sign implements wire. The version goes along without a key too: the vendor
// answers nobody who does not name it.
func (w *anthropic) sign(h http.Header, key protocol.Secret) {
	h.Set("Anthropic-Version", anthropicVersion)
	if !key.Empty() {
		h.Set("X-Api-Key", string(key.Reveal()))
	}
}

// body implements wire.
func (w *anthropic) body(model string, q *Question) ([]byte, error) {
	r := messagesRequest{
		Model: model, MaxTokens: q.MaxTokens, Stream: true,
		System: anthropicSystem(q), Messages: anthropicTurns(q.Messages),
		Temperature: anthropicTemperature(q.Temperature),
	}
	if r.MaxTokens <= 0 {
		r.MaxTokens = anthropicMaxTokens
	}
	return encodeBody(&r)
}

// anthropicTemperature brings a temperature, which elsewhere goes up to 2, into
// the vendor's range of 0 to 1. Models released after Claude Opus 4.6 refuse all
// but 1; which those are is the vendor's to say, so what was asked for is sent
// and its refusal names the temperature.
func anthropicTemperature(asked *float64) *float64 {
	if asked == nil {
		return nil
	}
	fit := min(max(*asked, 0), 1)
	return &fit
}

// anthropicSystem is everything that was said as system, in its order: this
// wire has one place for it, beside the messages.
func anthropicSystem(q *Question) string {
	var parts []string
	if !blank(q.System) {
		parts = append(parts, q.System)
	}
	for i := range q.Messages {
		if m := &q.Messages[i]; m.Role == protocol.RoleSystem && !blank(m.Content) {
			parts = append(parts, m.Content)
		}
	}
	return strings.Join(parts, "\n\n")
}

// anthropicTurns makes a history fit: messages without text are dropped, since
// the vendor refuses them, and neighbours of one role become one message with a
// blank line between. Its reference wanted roles to alternate and the first to
// be the user's; by now the vendor joins neighbours itself and takes any first
// role, but servers that copy its wire need not. So a history that starts with
// the assistant gets a first message that says next to nothing: leaving the
// assistant's words out would change what it answers.
// https://platform.claude.com/docs/en/build-with-claude/working-with-messages (read in 2026-11)
func anthropicTurns(history []protocol.Message) []protocol.Message {
	turns := make([]protocol.Message, 0, len(history)+1)
	var said []string // by the last of turns
	for i := range history {
		m := &history[i]
		if m.Role == protocol.RoleSystem || blank(m.Content) {
			continue
		}
		if n := len(turns); n > 0 && turns[n-1].Role == m.Role {
			said = append(said, m.Content)
			continue
		}
		if len(turns) == 0 && m.Role == protocol.RoleAssistant {
			turns = append(turns, protocol.Message{Role: protocol.RoleUser, Content: anthropicOpening})
			said = []string{anthropicOpening}
		}
		turns = closeTurn(turns, said)
		turns = append(turns, protocol.Message{Role: m.Role})
		said = append(said[:0], m.Content)
	}
	return closeTurn(turns, said)
}

// closeTurn gives the last turn its text: once, or many short messages of one
// role would be copied over and over.
func closeTurn(turns []protocol.Message, said []string) []protocol.Message {
	if n := len(turns); n > 0 {
		turns[n-1].Content = strings.Join(said, "\n\n")
	}
	return turns
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// models implements wire. A page holds at most a thousand.
// https://platform.claude.com/docs/en/api/models/list (read in 2026-11)
func (w *anthropic) models(page string) string {
	u := w.list
	q := u.Query()
	q.Set("limit", "1000")
	if page != "" {
		q.Set("after_id", page)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// listed implements wire: the next page starts behind the last model of this one.
func (w *anthropic) listed(root gjson.Result) (ids []string, next string) {
	for _, m := range root.Get("data").Array() {
		ids = append(ids, m.Get("id").Str)
	}
	if root.Get("has_more").Bool() {
		next = root.Get("last_id").Str
	}
	return ids, next
}
