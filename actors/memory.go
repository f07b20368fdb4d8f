package actors

import (
	"encoding/binary"
	"iter"
	"math"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// memory is what one socket remembers of its own earlier turns: pairs of a
// question and its answer, escaped, oldest first, bounded in turns and bytes.
// The zero value is empty. It is one piece, exactly as long as what it holds:
// thousands of idle sockets remember their last turn.
type memory struct {
	data  string // for each exchange the lengths of its two texts, then these
	turns uint32
	bytes uint32 // of texts
}

// exchange is one remembered turn; its texts are parts of the memory.
type exchange struct{ question, answer string }

func (e exchange) size() int { return len(e.question) + len(e.answer) }

// exchangeHead is what the two lengths of an exchange take.
const exchangeHead = 8

// all yields the remembered turns, oldest first.
func (m *memory) all() iter.Seq[exchange] {
	return func(yield func(exchange) bool) {
		for data := m.data; len(data) > 0; {
			head := []byte(data[:exchangeHead])
			question := exchangeHead + binary.LittleEndian.Uint32(head)
			end := question + binary.LittleEndian.Uint32(head[4:])
			if !yield(exchange{data[exchangeHead:question], data[question:end]}) {
				return
			}
			data = data[end:]
		}
	}
}

// add copies one exchange and forgets the oldest above the bounds.
func (m *memory) add(question, answer []byte, bound MemoryConfig) {
	size := len(question) + len(answer)
	if bound.Turns <= 0 || len(answer) == 0 {
		return
	}
	bound.Bytes = min(bound.Bytes, math.MaxInt32)
	if size > bound.Bytes {
		*m = memory{}
		return
	}
	turns, bytes, old := int(m.turns)+1, int(m.bytes)+size, m.data
	for e := range m.all() {
		if turns <= bound.Turns && bytes <= bound.Bytes {
			break
		}
		turns, bytes, old = turns-1, bytes-e.size(), old[exchangeHead+e.size():]
	}
	var head [exchangeHead]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(question)))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(answer)))
	var data strings.Builder
	data.Grow(len(old) + exchangeHead + size)
	data.WriteString(old)
	for _, part := range [][]byte{head[:], question, answer} {
		data.Write(part)
	}
	*m = memory{data: data.String(), turns: uint32(turns), bytes: uint32(bytes)}
}

// appendTo writes the remembered turns as JSON messages, each followed by a
// comma, leaving out the oldest so that at most room bytes are written.
func (m *memory) appendTo(dst []byte, room int) []byte {
	const frame = len(`{"role":"user","content":""},{"role":"assistant","content":""},`)
	size := int(m.bytes) + int(m.turns)*frame
	for e := range m.all() {
		if size > room {
			size -= e.size() + frame
			continue
		}
		dst = appendMessage(dst, protocol.RoleUser, e.question)
		dst = appendMessage(append(dst, ','), protocol.RoleAssistant, e.answer)
		dst = append(dst, ',')
	}
	return dst
}

// appendMessage writes one message whose content is escaped already.
func appendMessage[T []byte | string](dst []byte, role string, content T) []byte {
	dst = append(dst, `{"role":"`...)
	dst = append(dst, role...)
	dst = append(dst, `","content":"`...)
	dst = append(dst, content...)
	return append(dst, `"}`...)
}
