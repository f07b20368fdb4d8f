package provider

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// maxExtract bounds what of a vendor's words reaches the operator's log.
const maxExtract = 200

// redact makes a vendor's or net/http's words fit for the operator's log: no
// key in any common spelling, one line, printable, short. Vendors echo keys,
// some with stars in them, so whatever looks like a key goes too.
func redact(text string, key protocol.Secret) string {
	if !key.Empty() {
		text = strings.NewReplacer(spellings(key)...).Replace(text)
	}
	text = hideTokens(text, "sk-")
	text = hideTokens(text, "Bearer ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return clip(strings.TrimSpace(text), maxExtract)
}

// spellings pairs the ways in which a key may be written with their
// replacement. The encodings of bytes that stand inside a longer encoded text
// cannot be known.
func spellings(key protocol.Secret) []string {
	k := key.Reveal()
	s := string(k)
	forms := []string{
		s,
		url.QueryEscape(s),
		url.PathEscape(s),
		hex.EncodeToString(k),
		strings.ToUpper(hex.EncodeToString(k)),
		base64.StdEncoding.EncodeToString(k),
		base64.RawStdEncoding.EncodeToString(k),
		base64.URLEncoding.EncodeToString(k),
		base64.RawURLEncoding.EncodeToString(k),
	}
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, "[redacted]")
	}
	return pairs
}

// hideTokens replaces what follows mark, where mark starts a word.
func hideTokens(text, mark string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, mark)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(mark)
		for end < len(text) && isTokenByte(text[end]) {
			end++
		}
		if i > 0 && isAlphanumeric(text[i-1]) || end == i+len(mark) {
			b.WriteString(text[:end])
		} else {
			b.WriteString(text[:i] + "[redacted]")
		}
		text = text[end:]
	}
}

func isTokenByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-_*.~+/=", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validKey tells whether a key can stand in a header: visible ASCII only. A key
// that was wiped is not valid either.
func validKey(key protocol.Secret) bool {
	for _, c := range key.Reveal() {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return !key.Empty()
}
