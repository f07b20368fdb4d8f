package main

import "encoding/json"

// body is what the client understands of a frame. It is written from the
// contract, not shared with the server.
type body struct {
	Type       string  `json:"type"`
	ID         string  `json:"id,omitempty"`
	RunID      string  `json:"run_id,omitempty"`
	For        string  `json:"for,omitempty"`
	Seq        uint64  `json:"seq,omitempty"`
	From       uint64  `json:"from,omitempty"`
	State      string  `json:"state,omitempty"`
	Content    string  `json:"content,omitempty"`
	Full       *string `json:"full_response,omitempty"`
	Partial    *string `json:"partial,omitempty"`
	Code       string  `json:"code,omitempty"`
	Message    string  `json:"message,omitempty"`
	Retryable  bool    `json:"retryable,omitempty"`
	RetryAfter int     `json:"retry_after,omitempty"`
	AfterMS    int     `json:"after_ms,omitempty"`
}

// Types of frames.
const (
	typeAccepted  = "accepted"
	typeStatus    = "status"
	typeChunk     = "chunk"
	typeSnapshot  = "snapshot"
	typeComplete  = "complete"
	typeCancelled = "cancelled"
	typeError     = "error"
	typeReconnect = "reconnect"
)

func parseFrame(raw []byte) (body, error) {
	var b body
	err := json.Unmarshal(raw, &b)
	return b, err
}

// terminal tells whether the frame ends the turn with this id.
func (b *body) terminal(id string) bool {
	switch b.Type {
	case typeComplete, typeCancelled:
		return b.ID == id
	case typeError:
		return b.ID == id && b.For == ""
	}
	return false
}

// text is what a terminal frame says the answer was.
func (b *body) text() string {
	switch {
	case b.Full != nil:
		return *b.Full
	case b.Partial != nil:
		return *b.Partial
	}
	return ""
}

// with replaces the message of a frame; controls forge frames with it.
func (f frame) with(change func(*body)) frame {
	b, err := parseFrame(f.Raw)
	if err != nil {
		return f
	}
	change(&b)
	if raw, err := json.Marshal(b); err == nil {
		f.Raw = raw
	}
	return f
}
