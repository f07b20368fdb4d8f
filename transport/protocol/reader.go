package protocol

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader turns the values of a message into Go's. The first thing that is wrong
// ends it: every later call returns a zero value, so callers ask once, at the
// end. No message of an error repeats a value.
type reader struct {
	bounds Bounds
	err    *Error
}

func (r *reader) fail(code Code, message string) {
	if r.err == nil {
		r.err = NewError(code, message, 0)
	}
}

func (r *reader) invalid(message string) { r.fail(InvalidMessage, message) }

// skip tells that there is nothing to read: no value, null, or an error before.
func (r *reader) skip(raw []byte) bool { return r.err != nil || absent(raw) }

func absent(raw []byte) bool { return len(raw) == 0 || raw[0] == 'n' }

func (r *reader) text(f field, raw []byte) string { return r.textAt(f.String(), raw) }

func (r *reader) textAt(name string, raw []byte) string {
	if r.skip(raw) {
		return ""
	}
	if raw[0] != '"' {
		r.invalid(name + " must be a string")
		return ""
	}
	inner := body(raw)
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	plain, err := Unescape(make([]byte, 0, len(inner)), inner)
	if err != nil {
		r.invalid(name + " must be a string")
	}
	return string(plain)
}

func (r *reader) id(raw []byte) string {
	s := r.text(fieldID, raw)
	if utf8.RuneCountInString(s) > r.bounds.MaxID {
		r.invalid(fmt.Sprintf("id must have at most %d characters", r.bounds.MaxID))
		return ""
	}
	return s
}

// content keeps the question as it was sent, with the space around it.
func (r *reader) content(raw []byte) string {
	s := r.text(fieldContent, raw)
	if limit := r.bounds.MaxContent; limit > 0 && len(s) > limit {
		r.invalid(fmt.Sprintf("content must have at most %d bytes", limit))
	}
	if r.err == nil && strings.TrimSpace(s) == "" {
		r.invalid("content is missing or blank; it must be a string that holds the question")
	}
	return s
}

// maxModel bounds a model's name: it is remembered where a vendor limits it.
const maxModel = 256

func (r *reader) model(raw []byte) string {
	name := r.text(fieldModel, raw)
	if len(name) > maxModel {
		r.invalid(fmt.Sprintf("model is longer than the %d bytes that are allowed", maxModel))
		return ""
	}
	return name
}

func (r *reader) flag(f field, raw []byte) bool {
	if r.skip(raw) {
		return false
	}
	if raw[0] != 't' && raw[0] != 'f' {
		r.invalid(f.String() + " must be true or false")
	}
	return raw[0] == 't'
}

func (r *reader) onDisconnect(raw []byte) string {
	s := r.text(fieldOnDisconnect, raw)
	switch s {
	case "", OnDisconnectCancel, OnDisconnectGrace, OnDisconnectContinue:
	default:
		r.invalid("on_disconnect must be cancel, grace or continue")
	}
	return s
}

// temperature has no upper bound here: chat.max_temperature caps it.
func (r *reader) temperature(raw []byte) *float64 {
	if r.skip(raw) {
		return nil
	}
	t, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || t < 0 {
		r.invalid("temperature must be a number, 0 or above")
		return nil
	}
	t = math.Abs(t) // -0 is 0
	return &t
}

// maxTokens has no upper bound but its type's: chat.max_tokens caps it.
func (r *reader) maxTokens(raw []byte) int {
	if r.skip(raw) {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil || n < 1 {
		r.invalid(fmt.Sprintf("max_tokens must be a whole number from 1 to %d", math.MaxInt32))
		return 0
	}
	return int(n)
}

func (r *reader) after(raw []byte) uint64 {
	if r.skip(raw) {
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		r.invalid("after must be the seq of the last chunk you have: a whole number, 0 or above")
		return 0
	}
	return n
}

func (r *reader) messages(raw []byte) []Message {
	if r.skip(raw) {
		return nil
	}
	if raw[0] != '[' {
		r.invalid("messages must be an array of earlier turns")
		return nil
	}
	var turns []Message
	for value := range elements(raw) {
		if len(turns) == r.bounds.MaxMessages {
			r.invalid(fmt.Sprintf("messages must have at most %d entries", r.bounds.MaxMessages))
		}
		if r.err != nil {
			return nil
		}
		turns = append(turns, r.message(len(turns), value))
	}
	return turns
}

func (r *reader) message(at int, raw []byte) Message {
	name := "messages[" + strconv.Itoa(at) + "]"
	if raw[0] != '{' {
		r.invalid(name + " must be an object with role and content")
		return Message{}
	}
	var role, content []byte
	for member, value := range members(raw) {
		switch string(plainName(member)) {
		case "role":
			role = value
		case "content":
			content = value
		}
	}
	if absent(content) {
		r.invalid(name + ".content is missing; it must be a string")
	}
	m := Message{Role: r.textAt(name+".role", role), Content: r.textAt(name+".content", content)}
	switch m.Role {
	case RoleUser, RoleAssistant, RoleSystem:
	default:
		r.invalid(name + ".role must be user, assistant or system")
	}
	return m
}

// clientKey keeps only the hash; the text that was hashed is wiped.
func (r *reader) clientKey(raw []byte) ClientKey {
	if r.skip(raw) {
		return ClientKey{}
	}
	plain := r.secretText(raw, "client_key must be a string")
	defer clear(plain)
	if r.err == nil && utf8.RuneCount(plain) < r.bounds.MinClientKey {
		r.invalid(fmt.Sprintf("client_key must have at least %d characters", r.bounds.MinClientKey))
	}
	if r.err != nil {
		return ClientKey{}
	}
	return sha256.Sum256(plain)
}

// keys reads api_keys. Its errors name neither a key nor a provider: people put
// the one where the other belongs.
func (r *reader) keys(raw []byte) map[string]Secret {
	if r.skip(raw) {
		return nil
	}
	if raw[0] != '{' {
		r.invalid("api_keys must be an object of provider name and key")
		return nil
	}
	keys := make(map[string]Secret)
	for member, value := range members(raw) {
		name := string(plainName(member))
		keys[name].Zero() // of two with one name the last counts
		delete(keys, name)
		if key := r.key(value); !key.Empty() {
			keys[name] = key
		}
	}
	if r.err != nil {
		for _, key := range keys {
			key.Zero()
		}
		return nil
	}
	if len(keys) == 0 {
		return nil
	}
	return keys
}

// key reads one provider key, without the space that pasting leaves around it.
// An empty one counts as not sent, because forms send their empty fields.
func (r *reader) key(raw []byte) Secret {
	if r.skip(raw) {
		return Secret{}
	}
	plain := r.secretText(raw, "each key in api_keys must be a string")
	key := bytes.TrimSpace(plain)
	if r.err == nil && len(key) > r.bounds.MaxKey {
		r.invalid(fmt.Sprintf("each key in api_keys must have at most %d bytes", r.bounds.MaxKey))
	}
	if r.err == nil && bytes.ContainsFunc(key, notInKeys) {
		r.invalid("each key in api_keys must be printable ASCII text")
	}
	if r.err != nil {
		clear(plain)
		return Secret{}
	}
	return NewSecret(key)
}

// notInKeys tells what no header can carry, and so no vendor's key holds.
func notInKeys(c rune) bool { return c < ' ' || c > '~' }

// secretText reads a string into a buffer of its own, which never grows and so
// leaves no copy behind. The caller owns and wipes it.
func (r *reader) secretText(raw []byte, allowed string) []byte {
	if raw[0] != '"' || !utf8.Valid(raw) {
		r.invalid(allowed)
		return nil
	}
	inner := body(raw)
	plain, err := Unescape(make([]byte, 0, len(inner)), inner)
	if err != nil {
		r.invalid(allowed)
	}
	return plain
}
