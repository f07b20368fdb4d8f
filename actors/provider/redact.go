package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
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
	text = hideTokens(text, "AIza")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return clip(strings.TrimSpace(text), maxExtract)
}

// finder tells of a text whether it holds the key in a common spelling. Servers
// that need no key are often given a word for one, which names of theirs may
// well hold: so what is too short to be a key is never found.
func finder(key protocol.Secret) func(text string) bool {
	if len(key.Reveal()) < minKey {
		return func(string) bool { return false }
	}
	known := strings.NewReplacer(spellings(key)...)
	return func(text string) bool { return known.Replace(text) != text }
}

// minKey is what no vendor's key is shorter than.
const minKey = 16

// spellings pairs the ways in which a key may be written with their
// replacement. At one place in a text the first that fits counts, so a form
// that ends earlier comes later.
func spellings(key protocol.Secret) []string {
	k := key.Reveal()
	s := string(k)
	query, path := url.QueryEscape(s), url.PathEscape(s)
	page := html.EscapeString(s)
	forms := []string{
		s,
		query, lowerEscapes(query),
		path, lowerEscapes(path),
		hex.EncodeToString(k), strings.ToUpper(hex.EncodeToString(k)),
		page, strings.ReplaceAll(page, "+", "&#43;"), // as Go's and others' templates have it
		inJSON(s), strings.ReplaceAll(inJSON(s), "/", `\/`), strings.ReplaceAll(s, "/", `\/`),
		base64.StdEncoding.EncodeToString(k),
		base64.URLEncoding.EncodeToString(k),
	}
	forms = append(forms, insideBase64(k)...)
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, "[redacted]")
	}
	return pairs
}

// lowerEscapes spells a percent-encoded text with small digits, as some do.
func lowerEscapes(text string) string {
	b := []byte(text)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// inJSON is a text as a JSON string that is fit for HTML has it.
func inJSON(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil { // of a string there is none
		return s
	}
	return string(quoted[1 : len(quoted)-1])
}

// insideBase64 is what base64 makes of a key that stands inside a longer text: a
// whole header, say. It can begin at three places of a group; the characters
// that it shares with its neighbours are left out. Short keys would leave so
// little that other words hold it too.
func insideBase64(key []byte) (forms []string) {
	if len(key) < minKey {
		return nil
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before, shared := range []int{0, 2, 3} {
			text := enc.EncodeToString(append(make([]byte, before), key...))
			if (before+len(key))%3 != 0 {
				text = text[:len(text)-1]
			}
			forms = append(forms, text[shared:])
		}
	}
	return forms
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
