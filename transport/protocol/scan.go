package protocol

import "iter"

// What follows reads JSON in place: it copies nothing, so that a key is never
// left behind in a buffer that nobody wipes. Except for tooDeep it expects
// text that encoding/json has found valid; on anything else it returns
// nonsense, but ends and does not panic.

// tooDeep tells whether objects and arrays nest deeper than limit. It comes
// before every other look at the data and takes any bytes.
func tooDeep(data []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// members yields name and value of each member of an object. The name is the
// body of a JSON string, still escaped; the value has no space around it.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := nextValue(object, 1); i < len(object) && object[i] == '"'; i = nextValue(object, i) {
			end := stringEnd(object, i)
			name := body(object[i:end])
			i = nextValue(object, end)
			end = valueEnd(object, i)
			if !yield(name, object[i:end]) {
				return
			}
			i = end
		}
	}
}

// elements yields the values of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := nextValue(array, 1); i < len(array) && array[i] != ']'; {
			end := valueEnd(array, i)
			if end == i || !yield(array[i:end]) {
				return
			}
			i = nextValue(array, end)
		}
	}
}

// body returns what is between the quotes of a JSON string.
func body(s []byte) []byte {
	if len(s) < 2 {
		return nil
	}
	return s[1 : len(s)-1]
}

// nextValue skips space and the marks that part values.
func nextValue(data []byte, i int) int {
	for i < len(data) {
		switch data[i] {
		case ' ', '\t', '\n', '\r', ',', ':':
			i++
		default:
			return i
		}
	}
	return len(data)
}

// valueEnd returns the index after the value that begins at i.
func valueEnd(data []byte, i int) int {
	if i >= len(data) {
		return len(data)
	}
	switch data[i] {
	case '"':
		return stringEnd(data, i)
	case '{', '[':
		return nestedEnd(data, i)
	}
	for ; i < len(data); i++ {
		switch data[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i
		}
	}
	return i
}

// nestedEnd returns the index after the object or array that opens at i.
func nestedEnd(data []byte, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(data)
}

// stringEnd returns the index after the string that opens at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
