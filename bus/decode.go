package bus

import (
	"bytes"
	"encoding/json"
)

// EventDecoder takes the events of a message apart, line by line. It is for one
// goroutine. The zero value is ready.
type EventDecoder struct{ event Event }

// Decode yields each event of data in order and tells how many lines were
// broken: these are skipped. Empty lines are nothing.
//
// The yielded Event is the decoder's and is overwritten by the next line; Text
// points into data (or into memory of its own, for lines in another spelling
// than ours) and may be kept for as long as data is not written to. Usage may be
// kept too.
func (d *EventDecoder) Decode(data []byte, yield func(*Event)) (broken int) {
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		switch {
		case decodeChunk(line, &d.event), decodeLine(line, &d.event):
			yield(&d.event)
		case len(bytes.TrimSpace(line)) > 0:
			broken++
		}
	}
	return broken
}

// DecodeEvents is EventDecoder.Decode with a decoder of its own.
func DecodeEvents(data []byte, yield func(*Event)) (broken int) {
	return new(EventDecoder).Decode(data, yield)
}

// decodeChunk reads a chunk in exactly the spelling of AppendEvent, without
// allocating. It refuses whatever it is not sure of: decodeLine judges that.
func decodeChunk(line []byte, e *Event) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"type":"chunk","to":"`))
	if !ok {
		return false
	}
	to, rest, ok := cutNumber(rest)
	if !ok {
		return false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`","seq":`))
	if !ok {
		return false
	}
	seq, rest, ok := cutNumber(rest)
	if !ok || seq == 0 { // AppendEvent leaves a zero out
		return false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`,"text":"`))
	if !ok {
		return false
	}
	text, ok := bytes.CutSuffix(rest, []byte(`"}`))
	if !ok || !validText(text) {
		return false
	}
	*e = Event{Type: EventChunk, To: to, Seq: seq, Text: text[:len(text):len(text)]}
	return true
}

// cutNumber reads the digits at the start of b, as many as can be a uint64
// without a thought of overflow.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		n = n*10 + uint64(b[i]-'0')
		i++
	}
	if i == 0 || i > 19 || i > 1 && b[0] == '0' {
		return 0, nil, false
	}
	return n, b[i:], true
}

// wireEvent reads a line in any spelling. Its own To and Text stand before those
// of Event: To must be there and be a number in a string, Text must be a string.
type wireEvent struct {
	Event
	To   *string `json:"to"`
	Text *string `json:"text"`
}

// decodeLine reads a line that any JSON library may have written.
func decodeLine(line []byte, e *Event) bool {
	var w wireEvent
	if err := json.Unmarshal(line, &w); err != nil || w.To == nil || !knownEvent(w.Type) {
		return false
	}
	to, ok := parseNumber(*w.To)
	if !ok {
		return false
	}
	*e = w.Event
	e.To = to
	if w.Text != nil {
		e.Text = AppendText(make([]byte, 0, len(*w.Text)+8), []byte(*w.Text))
	}
	return true
}

func knownEvent(t string) bool {
	switch t {
	case EventStatus, EventChunk, EventReasoning, EventSnapshot, EventComplete, EventCancelled, EventError:
		return true
	}
	return false
}
