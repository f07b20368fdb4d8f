package engine

import (
	"encoding/json"
	"strconv"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// troupe speaks docs/protocol.md.
type troupe struct {
	named    bool
	resumes  bool
	memory   bool // earlier turns count: every question is longer than the one before
	provider string
	most     int // max_tokens; 0 = not sent
}

func newTroupe(s *scenario.Scenario) *troupe {
	q := &s.Questions
	return &troupe{named: q.Named, resumes: s.Reconnect.Resume, memory: q.Memory, provider: quotedBody(q.Provider), most: q.MaxTokens}
}

// The beginnings of the frames that come in numbers.
const (
	chunkLead    = `{"type":"chunk",`
	completeLead = `{"type":"complete",`
)

// parse implements dialect.
func (d *troupe) parse(b []byte, e *event) {
	if len(b) > len(chunkLead) && string(b[:len(chunkLead)]) == chunkLead && parseChunk(b[len(chunkLead):], e) {
		return
	}
	if len(b) > len(completeLead) && string(b[:len(completeLead)]) == completeLead && parseComplete(b[len(completeLead):], e) {
		return
	}
	*e = event{}
	parseAny(b, e)
}

// parseChunk reads exactly what a server writes; false for everything else.
func parseChunk(b []byte, e *event) bool {
	b, ok := textMember(b, `"id":"`, &e.id)
	if ok {
		if b, ok = numberMember(b, `"seq":`, &e.seq); !ok {
			return false
		}
		b, _ = numberMember(b, `"from":`, &e.from)
	}
	const lead = `"content":"`
	if len(b) < len(lead)+2 || string(b[:len(lead)]) != lead {
		return false
	}
	b = b[len(lead):]
	end := stringEnd(b)
	if end < 0 || string(b[end:]) != `"}` {
		return false
	}
	e.kind, e.text, e.hasText = evChunk, b[:end], true
	return true
}

// parseComplete reads up to the text; what follows it is of no interest here.
func parseComplete(b []byte, e *event) bool {
	b, _ = textMember(b, `"id":"`, &e.id)
	b, _ = textMember(b, `"run_id":"`, &e.runID)
	b, _ = numberMember(b, `"seq":`, &e.seq)
	const lead = `"full_response":"`
	if len(b) < len(lead) || string(b[:len(lead)]) != lead {
		return false
	}
	b = b[len(lead):]
	end := stringEnd(b)
	if end < 0 || b[len(b)-1] != '}' {
		return false
	}
	e.kind, e.full, e.hasFull = evComplete, b[:end], true
	return true
}

// textMember reads lead, a text without escapes, and `",`.
func textMember(b []byte, lead string, into *[]byte) (rest []byte, ok bool) {
	if len(b) < len(lead) || string(b[:len(lead)]) != lead {
		return b, false
	}
	end := stringEnd(b[len(lead):])
	if end < 0 || len(b) < len(lead)+end+2 || b[len(lead)+end+1] != ',' {
		return b, false
	}
	*into = b[len(lead) : len(lead)+end]
	return b[len(lead)+end+2:], true
}

// numberMember reads lead, a number, and a comma.
func numberMember(b []byte, lead string, into *uint64) (rest []byte, ok bool) {
	if len(b) < len(lead) || string(b[:len(lead)]) != lead {
		return b, false
	}
	n, size := digits(b[len(lead):])
	if size == 0 || len(b) <= len(lead)+size || b[len(lead)+size] != ',' {
		return b, false
	}
	*into = n
	return b[len(lead)+size+1:], true
}

// wireFrame is every frame of a server. Text stays as it was written, so that it
// can be compared byte by byte.
type wireFrame struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	RunID      string          `json:"run_id"`
	Seq        uint64          `json:"seq"`
	From       uint64          `json:"from"`
	Content    json.RawMessage `json:"content"`
	Full       json.RawMessage `json:"full_response"`
	Partial    json.RawMessage `json:"partial"`
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	For        string          `json:"for"`
	RetryAfter float64         `json:"retry_after"`
	AfterMS    float64         `json:"after_ms"`
}

func parseAny(b []byte, e *event) {
	var f wireFrame
	if err := json.Unmarshal(b, &f); err != nil {
		e.kind, e.detail = evBad, "no JSON: "+err.Error()
		return
	}
	e.id, e.runID, e.seq, e.from = []byte(f.ID), []byte(f.RunID), f.Seq, f.From
	e.full, e.hasFull = body(f.Full)
	switch f.Type {
	case "chunk":
		e.kind = evChunk
		e.text, e.hasText = body(f.Content)
	case "snapshot":
		e.kind = evSnapshot
		e.text, e.hasText = body(f.Content)
	case "complete":
		e.kind = evComplete
	case "cancelled":
		e.kind = evCancelled
	case "accepted":
		e.kind = evAccepted
	case "reconnect":
		e.kind, e.after = evReconnect, stayAway(f.AfterMS/1000)
	case "error":
		e.kind, e.code, e.detail, e.about = evError, f.Code, f.Message, f.For
		e.after = stayAway(f.RetryAfter)
		e.text, e.hasText = body(f.Partial)
	case "pong", "status", "reasoning":
		e.kind = evOther
	default:
		e.kind, e.detail = evBad, "a frame of the unknown type "+strconv.Quote(f.Type)
	}
}

// body is a JSON string without its quotes.
func body(raw json.RawMessage) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

// question implements dialect.
func (d *troupe) question(dst []byte, c *client, t *turn) []byte {
	dst = append(dst, `{"type":"chat"`...)
	if d.named {
		dst = strconv.AppendInt(append(dst, `,"id":"`...), int64(t.id), 10)
		dst = append(dst, '"')
	}
	if d.resumes {
		dst = append(append(dst, `,"on_disconnect":"grace","client_key":"`...), c.key...)
		dst = append(dst, '"')
		if t.repeated {
			dst = append(dst, `,"repeat":true`...)
		}
	}
	if d.provider != "" {
		dst = append(append(dst, `,"provider":"`...), d.provider...)
		dst = append(dst, '"')
	}
	if t.model != nil && t.model.name != "" {
		dst = append(append(dst, `,"model":"`...), t.model.name...)
		dst = append(dst, '"')
	}
	if d.most > 0 {
		dst = strconv.AppendInt(append(dst, `,"max_tokens":`...), int64(d.most), 10)
	}
	if !d.memory {
		dst = append(dst, `,"messages":[]`...)
	}
	dst = append(append(dst, `,"content":"`...), t.content...)
	return append(dst, `"}`...)
}

// cancel implements dialect.
func (d *troupe) cancel(dst []byte, t *turn) ([]byte, bool) {
	if !d.named {
		return append(dst, `{"type":"cancel"}`...), true
	}
	dst = strconv.AppendInt(append(dst, `{"type":"cancel","id":"`...), int64(t.id), 10)
	return append(dst, `"}`...), true
}

// resume implements dialect. A question whose accept never came is asked again
// as a repeat: nobody but the server knows whether it has arrived.
func (d *troupe) resume(dst []byte, c *client, t *turn) ([]byte, bool) {
	if t.runID == "" {
		t.repeated = true
		return d.question(dst, c, t), true
	}
	dst = strconv.AppendInt(append(dst, `{"type":"resume","id":"`...), int64(t.id), 10)
	dst = append(append(dst, `","run_id":"`...), t.runID...)
	dst = strconv.AppendUint(append(dst, `","after":`...), t.seq, 10)
	return append(dst, '}'), true
}
