package engine

import (
	"fmt"
	"strconv"
)

// turn is one question and what came of it. The client's shard guards it.
type turn struct {
	id         int
	content    string // as the body of a JSON string
	model      *model
	want       expectation
	due        int64 // when the question was to be asked; all moments are nanoseconds since the run began
	sent       int64
	last       int64  // of the newest chunk; 0 = none yet
	seq        uint64 // of the newest chunk
	text       []byte // as JSON
	runID      string
	measured   bool  // it counts
	endless    bool  // its text is too long to be kept
	named      bool  // its chunks must have numbers
	stopDue    int64 // when it was to be stopped; 0 = it was not
	backDue    int64 // when its client was to come back; 0 = no resume is under way
	unnumbered bool  // a chunk came without its number
	repeated   bool  // asked again on a new socket
	resumed    bool  // a socket was lost under it, and the server may have stopped it meanwhile
}

// breach is a broken promise: which one, and what was seen.
type breach struct{ name, text string }

// Names of breaches and of the checks that they fail.
const (
	breachOrder = "order"
	breachLoss  = "loss"
	breachText  = "text"
	breachEnds  = "ends"
)

// chunk takes a chunk. free lets the first one have any number. It returns how
// many texts the provider said with it. Of a named turn a chunk without a number is
// a breach, told once an answer: without it nobody sees what is lost or swapped.
func (t *turn) chunk(e *event, free bool) (texts int64, b *breach) {
	texts = 1
	if e.seq > 0 {
		first := e.seq
		if e.from > 0 {
			first = e.from
		}
		switch due := t.seq + 1; {
		case first > e.seq:
			b = &breach{breachOrder, fmt.Sprintf("a chunk from %d to %d", first, e.seq)}
		case first < due:
			b = &breach{breachOrder, fmt.Sprintf("chunk %d came when %d was due", first, due)}
		case first > due && (t.seq > 0 || !free):
			b = &breach{breachLoss, fmt.Sprintf("chunk %d came when %d was due", first, due)}
		}
		texts = int64(e.seq-min(first, e.seq)) + 1
		t.seq = max(t.seq, e.seq)
	} else if t.named && !t.unnumbered {
		t.unnumbered = true
		b = &breach{breachOrder, "a chunk of a named question has no number"}
	}
	if !t.say(e.text) && b == nil {
		b = t.tooLong()
	}
	return texts, b
}

// say adds to the answer's text; false where that would be too long to be kept.
func (t *turn) say(text []byte) bool {
	if t.endless || len(t.text)+len(text) > mostMessage {
		return false
	}
	t.text = append(t.text, text...)
	return true
}

// tooLong gives up a text that is longer than one message could repeat: it is a
// breach, told once, and what was kept is compared with nothing.
func (t *turn) tooLong() *breach {
	if t.endless {
		return nil
	}
	t.endless, t.text = true, nil
	return &breach{breachText, fmt.Sprintf("an answer of more than %d bytes, which no end could repeat", mostMessage)}
}

// ended judges the end of an answer: complete, cancelled, or an error.
func (t *turn) ended(e *event) *breach {
	switch {
	case e.kind != evError && e.seq > 0 && e.seq < t.seq+1:
		return &breach{breachOrder, fmt.Sprintf("the end has number %d when %d was due", e.seq, t.seq+1)}
	case e.kind != evError && e.seq > t.seq+1:
		return &breach{breachLoss, fmt.Sprintf("the end has number %d when %d was due", e.seq, t.seq+1)}
	case t.endless: // which was told
		return nil
	case e.hasFull && !sameText(t.text, e.full):
		return &breach{breachText, differ("the chunks make", t.text, "the end says", e.full)}
	case e.kind == evError && e.hasText && !sameText(t.text, e.text):
		return &breach{breachText, differ("the chunks make", t.text, "the error says", e.text)}
	case e.kind == evComplete && !t.want.met(t.text):
		return &breach{breachText, fmt.Sprintf("the echo is not what was asked: %d bytes in %d words, %s were due, from %q", len(t.text), wordsIn(t.text), t.want, t.text[:min(len(t.text), 60)])}
	case e.kind != evComplete && !t.want.begins(t.text):
		return &breach{breachText, fmt.Sprintf("what was said of the echo is not its beginning: %q", t.text[:min(len(t.text), 60)])}
	}
	return nil
}

// differ tells where two texts part.
func differ(what1 string, a []byte, what2 string, b []byte) string {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	cut := func(s []byte) string { return strconv.Quote(string(s[min(at, len(s)):min(at+40, len(s))])) }
	return fmt.Sprintf("%s %d bytes, %s %d; they part at %d: %s, %s", what1, len(a), what2, len(b), at, cut(a), cut(b))
}
