package protocol

import (
	"math/bits"
	"unicode/utf8"
)

// Sizes of what the escaper writes.
const (
	shortEscape = len(`\n`)
	longEscape  = len(`\u0000`)
)

// AppendEscaped appends src as the body of a JSON string, without the quotes.
//
// Escaped are the quote, the backslash, the control characters below 0x20, and
// each byte that is not UTF-8, as \ufffd. Everything else stays as it is, also
// <, >, & and U+2028, so text grows as little as JSON allows. src must hold
// whole characters: half of one is not UTF-8. Allocates only where dst is too
// small; dst and src must not overlap.
func AppendEscaped(dst, src []byte) []byte { return appendEscaped(dst, src) }

// AppendEscapedString is AppendEscaped for a string.
func AppendEscapedString(dst []byte, src string) []byte { return appendEscaped(dst, src) }

// EscapedLen returns how many bytes AppendEscaped would append.
func EscapedLen(src []byte) int {
	n := len(src)
	for i := 0; ; {
		i += plainRun(src[i:])
		if i == len(src) {
			return n
		}
		if c := src[i]; c < utf8.RuneSelf {
			if shortLetter(c) != 0 {
				n += shortEscape - 1
			} else {
				n += longEscape - 1
			}
			i++
			continue
		}
		size, ok := runeAt(src, i)
		if !ok {
			n += longEscape - 1
		}
		i += size
	}
}

func appendEscaped[S []byte | string](dst []byte, src S) []byte {
	start := 0 // of what is not yet copied and needs no escape
	for i := 0; ; {
		i += plainRun(src[i:])
		if i == len(src) {
			return append(dst, src[start:]...)
		}
		if c := src[i]; c < utf8.RuneSelf {
			dst = appendEscape(append(dst, src[start:i]...), c)
			i++
			start = i
			continue
		}
		size, ok := runeAt(src, i)
		if !ok {
			dst = append(append(dst, src[start:i]...), `\ufffd`...)
			start = i + size
		}
		i += size
	}
}

// appendEscape appends the escape of one ASCII character that needs one.
func appendEscape(dst []byte, c byte) []byte {
	if letter := shortLetter(c); letter != 0 {
		return append(dst, '\\', letter)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// shortLetter returns what follows the backslash where two characters are
// enough, and 0 where \u00XX is needed.
func shortLetter(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	}
	return 0
}

// runeAt returns the size of the character at i, which is not ASCII, and whether
// it is UTF-8. What is not counts as one byte. It is utf8.DecodeRune for both
// kinds of text, without a conversion between them.
func runeAt[S []byte | string](s S, i int) (size int, ok bool) {
	low, high := byte(0x80), byte(0xbf) // of the second byte
	switch c := s[i]; {
	case c < 0xc2, c > 0xf4:
		return 1, false
	case c < 0xe0:
		size = 2
	case c < 0xf0:
		size = 3
		if c == 0xe0 {
			low = 0xa0 // below: too long
		} else if c == 0xed {
			high = 0x9f // above: surrogates
		}
	default:
		size = 4
		if c == 0xf0 {
			low = 0x90 // below: too long
		} else if c == 0xf4 {
			high = 0x8f // above: no Unicode
		}
	}
	if i+size > len(s) || s[i+1] < low || s[i+1] > high {
		return 1, false
	}
	for k := i + 2; k < i+size; k++ {
		if s[k]&0xc0 != 0x80 {
			return 1, false
		}
	}
	return size, true
}

// plainRun returns the length of the longest prefix of s that is ASCII and
// needs no escape. It looks at eight bytes at a time; the compiler makes one
// load of them.
func plainRun[S []byte | string](s S) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if m := special(w); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// special returns a word whose lowest set bit is in the first byte of w that is
// below 0x20, a quote, a backslash or not ASCII; 0 where there is none. Bits
// above the lowest mean nothing, because a subtraction borrows upwards.
func special(w uint64) uint64 {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	quote := w ^ '"'*ones
	backslash := w ^ '\\'*ones
	return (w | (w-0x20*ones)&^w | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
}
