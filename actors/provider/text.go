package provider

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// textDecoder turns the bodies of JSON strings into UTF-8. It never fails: what
// is no character becomes U+FFFD. A surrogate pair that a vendor cut in two,
// its halves at the end of one delta and the start of the next, is joined.
type textDecoder struct {
	high rune // a high surrogate that waits for its low one; 0 = none
}

// append decodes body, the inside of a valid JSON string, behind dst.
func (t *textDecoder) append(dst []byte, body string) []byte {
	for i := 0; i < len(body); {
		if body[i] == '\\' {
			var n int
			dst, n = t.escape(dst, body[i+1:])
			i += 1 + n
			continue
		}
		dst = t.flush(dst)
		if body[i] >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(body[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		start := i
		for i < len(body) && body[i] < utf8.RuneSelf && body[i] != '\\' {
			i++
		}
		dst = append(dst, body[start:i]...)
	}
	return dst
}

// escape decodes what follows a backslash and says how long it was.
func (t *textDecoder) escape(dst []byte, s string) ([]byte, int) {
	if s[0] == 'u' {
		unit, _ := strconv.ParseUint(s[1:5], 16, 16)
		return t.unit(dst, rune(unit)), 5
	}
	dst = t.flush(dst)
	switch s[0] {
	case 'b':
		return append(dst, '\b'), 1
	case 'f':
		return append(dst, '\f'), 1
	case 'n':
		return append(dst, '\n'), 1
	case 'r':
		return append(dst, '\r'), 1
	case 't':
		return append(dst, '\t'), 1
	default: // " \ /
		return append(dst, s[0]), 1
	}
}

// unit takes one UTF-16 code unit.
func (t *textDecoder) unit(dst []byte, u rune) []byte {
	const lowest, low, highest = 0xD800, 0xDC00, 0xDFFF
	if t.high != 0 && u >= low && u <= highest {
		r := utf16.DecodeRune(t.high, u)
		t.high = 0
		return utf8.AppendRune(dst, r)
	}
	dst = t.flush(dst)
	if u >= lowest && u < low {
		t.high = u
		return dst
	}
	return utf8.AppendRune(dst, u) // a lone low surrogate becomes U+FFFD
}

// flush gives up waiting for a low surrogate.
func (t *textDecoder) flush(dst []byte) []byte {
	if t.high == 0 {
		return dst
	}
	t.high = 0
	return utf8.AppendRune(dst, utf8.RuneError)
}
