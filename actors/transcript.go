package actors

import "github.com/troupe-chat/troupe/bus"

// transcript is what a run has said: its text, escaped once, with the end of
// each chunk. It is what every gap, every resume and every repetition is filled
// from. The zero value is empty.
type transcript struct {
	text []byte
	ends []uint32 // of chunk seq i+1
}

// seq is the number of the last chunk.
func (t *transcript) seq() uint64 { return uint64(len(t.ends)) }

// add appends one chunk and returns its seq.
func (t *transcript) add(escaped []byte) uint64 {
	t.text = append(t.text, escaped...)
	t.ends = append(t.ends, uint32(len(t.text)))
	return t.seq()
}

// offset is where the text behind chunk seq begins.
func (t *transcript) offset(seq uint64) uint32 {
	if seq == 0 {
		return 0
	}
	return t.ends[seq-1]
}

// parts calls yield with the snapshot of everything behind after: whole chunks,
// at most max bytes of text each, one part ending exactly at cut where it lies
// between. There is always at least one part; only the last has More false.
func (t *transcript) parts(after, cut uint64, max int, yield func(bus.Event)) {
	last := t.seq()
	from := after
	for {
		to := t.reach(from, cut, max)
		yield(bus.Event{
			Type: bus.EventSnapshot, From: from + 1, Seq: to, More: to < last,
			Text: t.text[t.offset(from):t.offset(to)],
		})
		if to >= last {
			return
		}
		from = to
	}
}

// reach is the last chunk of a part that starts behind from: at least one, as
// many as fit, not across cut.
func (t *transcript) reach(from, cut uint64, max int) uint64 {
	last := t.seq()
	if from < cut && cut < last {
		last = cut
	}
	to := from
	for to < last && (to == from || int(t.offset(to+1)-t.offset(from)) <= max) {
		to++
	}
	return to
}

// size is the memory that the transcript holds.
func (t *transcript) size() int { return cap(t.text) + 4*cap(t.ends) }
