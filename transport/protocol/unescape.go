package protocol

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Unescape appends the text whose escaped form (the body of a JSON string,
// without its quotes) is given. It undoes AppendEscaped for every text that is
// UTF-8, and reads what any other JSON writer makes of a text: \/, \u00e9 and
// surrogate pairs. As in encoding/json, half a surrogate pair and a byte that
// is not UTF-8 become U+FFFD.
//
// An escape that JSON does not know, a bare quote and a bare control character
// are errors, which name the place and never the text; dst then comes back with
// what was read before. dst and escaped must not overlap. The result is never
// longer than an escaped form that is UTF-8.
func Unescape(dst, escaped []byte) ([]byte, error) {
	start := 0 // of what is not yet copied and means itself
	for i := 0; ; {
		i += plainRun(escaped[i:])
		if i == len(escaped) {
			return append(dst, escaped[start:]...), nil
		}
		var (
			r    rune
			size int
		)
		switch c := escaped[i]; {
		case c >= utf8.RuneSelf:
			var ok bool
			if size, ok = runeAt(escaped, i); ok {
				i += size
				continue
			}
			r = utf8.RuneError
		case c == '\\':
			r, size = readEscape(escaped[i:])
		}
		dst = append(dst, escaped[start:i]...)
		if size == 0 {
			return dst, fmt.Errorf("unescape: broken escape, bare quote or control character at byte %d", i)
		}
		dst = utf8.AppendRune(dst, r)
		i += size
		start = i
	}
}

// readEscape reads the escape that s starts with; size 0 means that it is none.
func readEscape(s []byte) (r rune, size int) {
	if len(s) < shortEscape {
		return 0, 0
	}
	if s[1] != 'u' {
		return shortMeaning(s[1])
	}
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, longEscape
	}
	if low, ok := hex4(s[longEscape:]); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 2 * longEscape
		}
	}
	return utf8.RuneError, longEscape
}

func shortMeaning(letter byte) (rune, int) {
	if i := strings.IndexByte(`"\/nrtbf`, letter); i >= 0 {
		return rune("\"\\/\n\r\t\b\f"[i]), shortEscape
	}
	return 0, 0
}

// hex4 reads \uXXXX at the start of s.
func hex4(s []byte) (rune, bool) {
	if len(s) < longEscape || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:longEscape] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
