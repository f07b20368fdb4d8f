package protocol

import "bytes"

// field is one field that a client's message may have.
type field uint8

const (
	fieldType field = iota
	fieldID
	fieldContent
	fieldProvider
	fieldModel
	fieldKeys
	fieldClientKey
	fieldRepeat
	fieldMessages
	fieldSystem
	fieldTemperature
	fieldMaxTokens
	fieldOnDisconnect
	fieldReasoning
	fieldTraceParent
	fieldRunID
	fieldAfter
	fieldSession
	fieldProduct
	fieldCount
)

// fields holds the value of each field as it stands in the message; nil where
// the field was not sent.
type fields [fieldCount][]byte

// String is the field's name on the wire.
func (f field) String() string { return fieldNames()[f] }

func fieldNames() [fieldCount]string {
	return [fieldCount]string{
		fieldType:         "type",
		fieldID:           "id",
		fieldContent:      "content",
		fieldProvider:     "provider",
		fieldModel:        "model",
		fieldKeys:         "api_keys",
		fieldClientKey:    "client_key",
		fieldRepeat:       "repeat",
		fieldMessages:     "messages",
		fieldSystem:       "system",
		fieldTemperature:  "temperature",
		fieldMaxTokens:    "max_tokens",
		fieldOnDisconnect: "on_disconnect",
		fieldReasoning:    "reasoning",
		fieldTraceParent:  "traceparent",
		fieldRunID:        "run_id",
		fieldAfter:        "after",
		fieldSession:      "session_id",
		fieldProduct:      "product_id",
	}
}

// fieldOf finds the field that a member's name means.
func fieldOf(name []byte) (field, bool) {
	name = plainName(name)
	for f, want := range fieldNames() {
		if string(name) == want {
			return field(f), true
		}
	}
	return 0, false
}

// plainName undoes the escapes of a member's name, so that "\u0074ype" is
// "type" too. Almost always there are none and the name comes back as it is.
func plainName(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	plain, _ := Unescape(nil, name) // valid JSON has no broken escapes
	return plain
}
