package protocol

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Bounds are what a client's message may hold. A zero field means the bound of
// the contract, see DefaultBounds. The length of the whole message is bounded
// by whoever reads it.
type Bounds struct {
	MaxContent   int // bytes of content; 0 = as long as the message may be
	MaxMessages  int // earlier turns
	MaxDepth     int // objects and arrays inside each other; the message itself is 1
	MaxID        int // characters of an id
	MaxKey       int // bytes of one provider key
	MinClientKey int // characters of a client_key
}

// DefaultBounds returns the bounds of the contract.
func DefaultBounds() Bounds {
	return Bounds{MaxMessages: 256, MaxDepth: 32, MaxID: 64, MaxKey: 8192, MinClientKey: 22}
}

func (b Bounds) orDefault() Bounds {
	d := DefaultBounds()
	b.MaxMessages = cmp.Or(b.MaxMessages, d.MaxMessages)
	b.MaxDepth = cmp.Or(b.MaxDepth, d.MaxDepth)
	b.MaxID = cmp.Or(b.MaxID, d.MaxID)
	b.MaxKey = cmp.Or(b.MaxKey, d.MaxKey)
	b.MinClientKey = cmp.Or(b.MinClientKey, d.MinClientKey)
	return b
}

// Decode reads one message of a client. What cannot be understood comes back
// as *Bad, with a message that names the field and what is allowed and repeats
// nothing of what was sent, but for the first characters of an unknown type.
//
// Unknown fields are ignored, null is the same as not sent, names are exact
// (no folding of case), and of a field that is sent twice the last one counts.
// Broken surrogates and bytes that are not UTF-8 become U+FFFD.
//
// The result shares nothing with data: the caller wipes or reuses it. No copy
// of a provider key is left but the Secret's own.
func Decode(data []byte, b Bounds) Request {
	r := reader{bounds: b.orDefault()}
	f := r.fields(data)
	kind := r.text(fieldType, f[fieldType])
	if kind == "" {
		r.invalid("type is missing; send chat, cancel, stop, resume or ping")
	}
	if r.err != nil {
		return &Bad{Err: r.err}
	}
	switch Type(kind) {
	case TypeChat:
		c := r.chat(&f)
		return r.or(c, Bad{ID: c.ID})
	case TypeCancel, TypeStop:
		return r.or(r.cancel(&f), Bad{For: ForCancel})
	case TypeResume:
		return r.or(r.resume(&f), Bad{For: ForResume})
	case TypePing:
		return &Ping{}
	}
	return &Bad{Err: NewError(UnsupportedType,
		"type "+quote(kind)+" is not known; send chat, cancel, stop, resume or ping", 0)}
}

// DecodeHTTPChat reads the body of POST /api/chat: the fields of a chat, plus
// session_id and product_id, which are returned as sent and not yet judged by
// ValidLabel. A type may be left out. Everything else is as in Decode; chat is
// nil where err is not.
func DecodeHTTPChat(data []byte, b Bounds) (chat *Chat, sessionID, productID string, err *Error) {
	r := reader{bounds: b.orDefault()}
	f := r.fields(data)
	kind := r.text(fieldType, f[fieldType])
	if r.err == nil && kind != "" && Type(kind) != TypeChat {
		r.fail(UnsupportedType, "type "+quote(kind)+` is not known here; leave it out or send "chat"`)
	}
	sessionID = r.text(fieldSession, f[fieldSession])
	productID = r.text(fieldProduct, f[fieldProduct])
	chat = r.chat(&f) // last, because it may hold keys
	if r.err != nil {
		return nil, "", "", r.err
	}
	return chat, sessionID, productID, nil
}

// or returns what was read or, where something was wrong, bad with the reason.
func (r *reader) or(q Request, bad Bad) Request {
	if r.err != nil {
		bad.Err = r.err
		return &bad
	}
	return q
}

func (r *reader) chat(f *fields) *Chat {
	c := &Chat{
		ID:           r.id(f[fieldID]), // first: the error of any other field can name the turn
		Content:      r.content(f[fieldContent]),
		Provider:     r.text(fieldProvider, f[fieldProvider]),
		Model:        r.model(f[fieldModel]),
		ClientKey:    r.clientKey(f[fieldClientKey]),
		Repeat:       r.flag(fieldRepeat, f[fieldRepeat]),
		Messages:     r.messages(f[fieldMessages]),
		HasMessages:  !absent(f[fieldMessages]),
		System:       r.text(fieldSystem, f[fieldSystem]),
		Temperature:  r.temperature(f[fieldTemperature]),
		MaxTokens:    r.maxTokens(f[fieldMaxTokens]),
		OnDisconnect: r.onDisconnect(f[fieldOnDisconnect]),
		Reasoning:    r.flag(fieldReasoning, f[fieldReasoning]),
		Trace:        r.traceParent(f[fieldTraceParent]),
	}
	c.Keys = r.keys(f[fieldKeys]) // last: nothing can fail any more and leave them unwiped
	return c
}

func (r *reader) cancel(f *fields) *Cancel {
	return &Cancel{
		ID:        r.id(f[fieldID]),
		RunID:     r.text(fieldRunID, f[fieldRunID]),
		ClientKey: r.clientKey(f[fieldClientKey]),
	}
}

func (r *reader) resume(f *fields) *Resume {
	q := &Resume{
		ID:        r.id(f[fieldID]),
		RunID:     r.text(fieldRunID, f[fieldRunID]),
		After:     r.after(f[fieldAfter]),
		ClientKey: r.clientKey(f[fieldClientKey]),
	}
	if q.RunID == "" && q.ClientKey == (ClientKey{}) {
		r.invalid("run_id is missing: a resume names its run by run_id, or proves it by client_key")
	}
	return q
}

// fields finds the fields of the message. Depth comes first, so that nothing
// that recurses ever sees deep nesting.
func (r *reader) fields(data []byte) (f fields) {
	if tooDeep(data, r.bounds.MaxDepth) {
		r.invalid(fmt.Sprintf("the message nests deeper than the %d levels that are allowed", r.bounds.MaxDepth))
		return f
	}
	if !json.Valid(data) {
		r.invalid("the message is not valid JSON" + place(data))
		return f
	}
	data = bytes.TrimLeft(data, " \t\r\n")
	if data[0] != '{' {
		r.invalid(`the message must be a JSON object such as {"type":"chat","content":"Hello"}`)
		return f
	}
	for name, value := range members(data) {
		if at, ok := fieldOf(name); ok {
			f[at] = value
		}
	}
	return f
}

// place tells where broken JSON breaks. It repeats nothing of the data.
func place(data []byte) string {
	var none struct{}
	if err, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(data, &none)); ok {
		return fmt.Sprintf(": it breaks at byte %d of %d", err.Offset, len(data))
	}
	return ""
}

// quote shows a word of a client: cut, in quotes, without control characters.
func quote(word string) string {
	const most = 40
	n := 0
	for i := range word {
		if n++; n > most {
			return strconv.Quote(word[:i] + "…")
		}
	}
	return strconv.Quote(word)
}
