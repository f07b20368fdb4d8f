package bus

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendText appends text as the body of a JSON string, without quotes and
// without HTML escaping: only what JSON itself demands is escaped. A byte that
// is not UTF-8 becomes U+FFFD. The result never holds a line break, so it can
// be spliced into a line of JSON.
func AppendText(dst, text []byte) []byte {
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = appendEscape(append(dst, text[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, text[start:i]...), "\uFFFD"...)
			start = i + 1
		}
		i += size
	}
	return append(dst, text[start:]...)
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}

// validText tells whether body can stand between two quotes of JSON and mean
// the same to every reader: valid UTF-8, nothing raw that must be escaped, every
// escape complete, no half of a surrogate pair.
func validText(body []byte) bool {
	for i := plainRun(body); i < len(body); i += plainRun(body[i:]) {
		if body[i] != '\\' {
			return false
		}
		n := escapeLen(body[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	return utf8.Valid(body)
}

// plainRun is how many bytes at the start of b are neither a control character
// nor a quote nor a backslash. It looks at eight at a time: subtracting from a
// word borrows from higher bytes alone, so the lowest mark is true.
func plainRun(b []byte) (n int) {
	const (
		ones    = 0x0101010101010101
		marks   = 0x80 * ones
		spaces  = ' ' * ones
		quotes  = '"' * ones
		slashes = '\\' * ones
	)
	for ; n+8 <= len(b); n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		q, s := w^quotes, w^slashes
		if found := ((w-spaces)&^w | (q-ones)&^q | (s-ones)&^s) & marks; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// escapeLen is the length of the escape at the start of b, a surrogate pair
// being one escape; 0 where there is no well-formed one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return 0
	}
	r, ok := hexRune(b)
	switch {
	case !ok || r >= 0xDC00 && r <= 0xDFFF:
		return 0
	case r < 0xD800 || r > 0xDFFF:
		return 6
	}
	if low, ok := hexRune(b[6:]); ok && low >= 0xDC00 && low <= 0xDFFF {
		return 12
	}
	return 0
}

// hexRune reads \uXXXX at the start of b.
func hexRune(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
