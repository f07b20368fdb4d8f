package engine

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
)

// model is one of the scenario's, with what its answers must be where it is an
// echo.
type model struct {
	name  string // as the body of a JSON string
	echo  bool
	clock bool // its words are the time
	words int  // 0 = as the question
	bytes int  // 0 = as the question
}

// newModel reads echo-20ms-200w and its like. Anything that is not exactly such
// a name makes no promise about its answers.
func newModel(provider, name string, shortened bool) *model {
	m := &model{name: quotedBody(name)}
	head, rest, more := strings.Cut(name, "-")
	if provider != "echo" || head != "echo" {
		return m
	}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, "-")
		switch {
		case part == "clock":
			m.clock = true
		case strings.HasSuffix(part, "kb"):
			kib, err := strconv.Atoi(strings.TrimSuffix(part, "kb"))
			if err != nil {
				return m
			}
			m.bytes = kib << 10
		case strings.HasSuffix(part, "w"):
			var err error
			if m.words, err = strconv.Atoi(strings.TrimSuffix(part, "w")); err != nil {
				return m
			}
		}
	}
	m.echo = !shortened
	return m
}

// expectation is the text of an answer: unit over and over, size bytes of it, or
// so many words that nobody can know before.
type expectation struct {
	unit  string // the beginning of the answer, which is repeated; "" = no text is expected
	size  int
	words int // where they are the time; 0 = they are not counted
}

// expect says what m answers to content, a line of plain words.
func (m *model) expect(content string, words int) expectation {
	switch {
	case !m.echo || content == "":
		return expectation{}
	case m.clock:
		return expectation{words: cmp.Or(m.words, words)}
	case m.bytes > 0:
		return expectation{unit: content, size: m.bytes}
	case m.words == 0:
		return expectation{unit: content, size: len(content)}
	}
	unit := content + " "
	size := m.words / words * len(unit)
	rest := unit
	for range m.words % words {
		end := strings.IndexByte(rest, ' ') + 1
		size += end
		rest = rest[end:]
	}
	return expectation{unit: unit, size: size - 1} // nothing behind the last word
}

// met tells whether text is what was expected.
func (e expectation) met(text []byte) bool {
	if e.unit == "" {
		return e.words == 0 || wordsIn(text) == e.words
	}
	return len(text) == e.size && e.begins(text)
}

// begins tells whether text is the beginning of what was expected.
func (e expectation) begins(text []byte) bool {
	if e.unit == "" {
		return e.words == 0 || wordsIn(text) <= e.words
	}
	if len(text) > e.size {
		return false
	}
	for len(text) > 0 {
		n := min(len(text), len(e.unit))
		if string(text[:n]) != e.unit[:n] {
			return false
		}
		text = text[n:]
	}
	return true
}

// String tells how much is expected.
func (e expectation) String() string {
	if e.words > 0 {
		return strconv.Itoa(e.words) + " words"
	}
	return strconv.Itoa(e.size) + " bytes"
}

// wordsIn counts the words of an answer to a line of plain words.
func wordsIn(text []byte) int { return len(bytes.Fields(text)) }

// plainWords counts the words of text; 0 where it is not a line of plain words
// with single spaces, which alone an expectation can be told for.
func plainWords(text string) int {
	words := strings.Split(text, " ")
	for _, w := range words {
		if w == "" {
			return 0
		}
		for i := range len(w) {
			if c := w[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return 0
			}
		}
	}
	return len(words)
}
