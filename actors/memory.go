package actors

import (
	"github.com/troupe-chat/troupe/transport/protocol"
)

// memory is what one socket remembers of its own earlier turns: pairs of a
// question and its answer, escaped, oldest first, bounded in turns and bytes.
// The zero value is empty.
type memory struct {
	pairs []exchange
	bytes int
}

type exchange struct{ question, answer []byte }

func (e exchange) size() int { return len(e.question) + len(e.answer) }

// add remembers one exchange and forgets the oldest above the bounds. It keeps
// the slices.
func (m *memory) add(question, answer []byte, bound MemoryConfig) {
	if bound.Turns <= 0 || len(answer) == 0 {
		return
	}
	e := exchange{question: question, answer: answer}
	m.pairs = append(m.pairs, e)
	m.bytes += e.size()
	for len(m.pairs) > bound.Turns || (m.bytes > bound.Bytes && len(m.pairs) > 0) {
		m.bytes -= m.pairs[0].size()
		m.pairs[0] = exchange{}
		m.pairs = m.pairs[1:]
	}
}

// appendTo writes the remembered turns as JSON messages, each followed by a
// comma, leaving out the oldest so that at most room bytes are written.
func (m *memory) appendTo(dst []byte, room int) []byte {
	const frame = len(`{"role":"user","content":""},{"role":"assistant","content":""},`)
	first := len(m.pairs)
	for first > 0 {
		room -= m.pairs[first-1].size() + frame
		if room < 0 {
			break
		}
		first--
	}
	for _, e := range m.pairs[first:] {
		dst = appendMessage(dst, protocol.RoleUser, e.question)
		dst = appendMessage(append(dst, ','), protocol.RoleAssistant, e.answer)
		dst = append(dst, ',')
	}
	return dst
}

// appendMessage writes one message whose content is escaped already.
func appendMessage(dst []byte, role string, content []byte) []byte {
	dst = append(dst, `{"role":"`...)
	dst = append(dst, role...)
	dst = append(dst, `","content":"`...)
	dst = append(dst, content...)
	return append(dst, `"}`...)
}
