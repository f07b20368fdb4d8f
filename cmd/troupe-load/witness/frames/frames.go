// Package frames is what a client understands of the server's frames. It is
// written from the contract in docs/protocol.md and shares nothing with the
// server, so that one mistake cannot be in both.
package frames

import "encoding/json"

// Types of frames.
const (
	Accepted  = "accepted"
	Status    = "status"
	Chunk     = "chunk"
	Snapshot  = "snapshot"
	Complete  = "complete"
	Cancelled = "cancelled"
	Error     = "error"
	Reconnect = "reconnect"
	Pong      = "pong"

	// NoJSON stands for what is no JSON object; no server may send it.
	NoJSON = "no JSON"
)

// Body is one frame.
type Body struct {
	Type       string  `json:"type"`
	ID         string  `json:"id,omitempty"`
	RunID      string  `json:"run_id,omitempty"`
	For        string  `json:"for,omitempty"`
	Seq        uint64  `json:"seq,omitempty"`
	From       uint64  `json:"from,omitempty"` // 0 = Seq
	State      string  `json:"state,omitempty"`
	Content    string  `json:"content,omitempty"`
	Full       *string `json:"full_response,omitempty"`
	Partial    *string `json:"partial,omitempty"`
	Code       string  `json:"code,omitempty"`
	Message    string  `json:"message,omitempty"`
	Retryable  bool    `json:"retryable,omitempty"`
	RetryAfter int     `json:"retry_after,omitempty"` // seconds
	AfterMS    int     `json:"after_ms,omitempty"`
}

// Parse reads one frame. What is no JSON object has the type NoJSON.
func Parse(raw []byte) (b Body) {
	if err := json.Unmarshal(raw, &b); err != nil {
		b.Type = NoJSON
	}
	return b
}

// Ends tells whether the frame ends the turn with this id.
func (b *Body) Ends(id string) bool {
	switch b.Type {
	case Complete, Cancelled:
		return b.ID == id
	case Error:
		return b.ID == id && b.For == ""
	}
	return false
}

// Text is what a frame that ends a turn says the answer was, "" where it says
// nothing.
func (b *Body) Text() string {
	switch {
	case b.Full != nil:
		return *b.Full
	case b.Partial != nil:
		return *b.Partial
	}
	return ""
}
