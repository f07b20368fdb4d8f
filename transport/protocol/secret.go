package protocol

import (
	"bytes"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a provider key or an admin token. Every printer shows it as
// [redacted]; Reveal is the only way to the bytes. The zero value is empty.
//
// Copies share their bytes: Zero wipes them for all. Whoever holds the last
// use of a user's key calls Zero; a deployment's key is never zeroed.
//
// The bytes are behind two pointers because fmt calls no methods on an
// unexported field: of a struct that holds a Secret in one, it prints an
// address. One pointer is not enough, as a verb that does not fit a pointer (%s)
// makes fmt follow it. TestSecretHidesFromFmt tries them all.
type Secret struct{ b **[]byte }

// NewSecret takes ownership of b.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	inner := &b
	return Secret{b: &inner}
}

// Reveal returns the bytes themselves, not a copy. The caller does not keep them.
func (s Secret) Reveal() []byte {
	if s.b == nil {
		return nil
	}
	return **s.b
}

// Empty tells whether there is anything to reveal.
func (s Secret) Empty() bool { return len(s.Reveal()) == 0 }

// Zero wipes the bytes in place.
func (s Secret) Zero() { clear(s.Reveal()) }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the bytes.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON implements json.Marshaler; zerolog's Interface uses it too.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText keeps a copy of text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(bytes.Clone(text))
	return nil
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
