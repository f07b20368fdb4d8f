package protocol

import "unicode/utf8"

// SplitEscaped returns the largest cut, at most limit, that leaves two bodies
// of a JSON string: it splits neither an escape, nor a surrogate pair written
// as two escapes, nor a UTF-8 character. It returns len(escaped) where all of
// it fits, and 0 where not even the first character does.
//
// It looks back from the limit, not forward from the start: six bytes, or as far
// as a run of backslashes reaches.
func SplitEscaped(escaped []byte, limit int) int {
	if limit >= len(escaped) {
		return len(escaped)
	}
	if limit <= 0 {
		return 0
	}
	cut := limit
	if !utf8.RuneStart(escaped[cut]) {
		return characterStart(escaped, cut)
	}
	cut = escapeStart(escaped, cut)
	if splitsPair(escaped, cut) {
		cut -= longEscape
	}
	return cut
}

// characterStart steps back to where the character that holds byte i begins.
// What is not UTF-8 has no whole characters: there every cut is as good.
func characterStart(s []byte, i int) int {
	for back := 1; back < utf8.UTFMax && back <= i; back++ {
		if c := s[i-back]; utf8.RuneStart(c) {
			if c < utf8.RuneSelf {
				return i
			}
			return i - back
		}
	}
	return i
}

// escapeStart returns where the escape that a cut at i would split begins, or i
// where it would split none.
func escapeStart(s []byte, i int) int {
	for p := i - 1; p >= 0 && p > i-longEscape; p-- {
		if !opensEscape(s, p) {
			continue
		}
		size := shortEscape
		if s[p+1] == 'u' {
			size = longEscape
		}
		if p+size > i {
			return p
		}
		return i
	}
	return i
}

// opensEscape tells whether the byte at i is a backslash that begins an escape,
// and not the second one of an escaped backslash.
func opensEscape(s []byte, i int) bool {
	if s[i] != '\\' {
		return false
	}
	before := 0
	for i--; i >= 0 && s[i] == '\\'; i-- {
		before++
	}
	return before%2 == 0
}

// splitsPair tells whether a cut at i, which splits no escape, would part the
// two halves of a surrogate pair.
func splitsPair(s []byte, i int) bool {
	low, ok := hex4(s[i:])
	if !ok || low < 0xdc00 || low > 0xdfff || i < longEscape {
		return false
	}
	high, ok := hex4(s[i-longEscape:])
	return ok && high >= 0xd800 && high <= 0xdbff && opensEscape(s, i-longEscape)
}
