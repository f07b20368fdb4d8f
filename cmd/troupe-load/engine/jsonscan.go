package engine

import (
	"bytes"
	"encoding/json"
)

// The hot path reads JSON by hand: it looks for a few fields and copies nothing.
// It is used on text that a server sent; what it does not understand it does not
// find, and encoding/json decides.

// stringEnd returns the index of the quote that ends the string whose body
// begins at b[0], or -1.
func stringEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '"')
		if i < 0 {
			return -1
		}
		at += i
		slashes := 0
		for at-slashes > 0 && b[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		at++
	}
}

// fieldValue finds the value of a path in a JSON object and returns it as it is
// written, strings without their quotes. A key with an escape is not found.
func fieldValue(b []byte, path []string) (raw []byte, isString, ok bool) {
	for _, key := range path {
		b, ok = member(b, key)
		if !ok {
			return nil, false, false
		}
	}
	if len(b) > 0 && b[0] == '"' {
		return b[1 : len(b)-1], true, true
	}
	return b, false, len(b) > 0
}

// member returns the value of one key of an object, as it is written.
func member(b []byte, key string) (value []byte, ok bool) {
	b = skipSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return nil, false
	}
	b = b[1:]
	for {
		b = skipSpace(b)
		if len(b) == 0 || b[0] != '"' {
			return nil, false
		}
		end := stringEnd(b[1:])
		if end < 0 {
			return nil, false
		}
		name := b[1 : 1+end]
		b = skipSpace(b[end+2:])
		if len(b) == 0 || b[0] != ':' {
			return nil, false
		}
		b = skipSpace(b[1:])
		size := valueSize(b)
		if size <= 0 {
			return nil, false
		}
		if string(name) == key {
			return b[:size], true
		}
		b = skipSpace(b[size:])
		if len(b) == 0 || b[0] != ',' {
			return nil, false
		}
		b = b[1:]
	}
}

// valueSize is the length of the value at the beginning of b; 0 where there is
// no whole one.
func valueSize(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		end := stringEnd(b[1:])
		if end < 0 {
			return 0
		}
		return end + 2
	case '{', '[':
		return nestedSize(b)
	}
	n := 0
	for n < len(b) && b[n] != ',' && b[n] != '}' && b[n] != ']' && b[n] > ' ' {
		n++
	}
	return n
}

func nestedSize(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			end := stringEnd(b[i+1:])
			if end < 0 {
				return 0
			}
			i += end + 1
		}
	}
	return 0
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// digits reads a whole number at the beginning of b.
func digits(b []byte) (n uint64, size int) {
	for size < len(b) && size < 19 && b[size] >= '0' && b[size] <= '9' {
		n = n*10 + uint64(b[size]-'0')
		size++
	}
	return n, size
}

// sameText tells whether two JSON string bodies mean the same text. Most are
// written alike; the others are decoded.
func sameText(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return false
	}
	x, ok1 := unquoted(a)
	y, ok2 := unquoted(b)
	return ok1 && ok2 && x == y
}

func unquoted(body []byte) (text string, ok bool) {
	quoted := append(append([]byte{'"'}, body...), '"')
	err := json.Unmarshal(quoted, &text)
	return text, err == nil
}

// quotedBody is text as the body of a JSON string.
func quotedBody(text string) string {
	b, _ := json.Marshal(text) // a string always is JSON
	return string(b[1 : len(b)-1])
}
