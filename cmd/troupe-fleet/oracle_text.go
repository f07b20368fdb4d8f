package main

import (
	"fmt"
	"strings"
)

// reader follows the text of one turn as a client would put it together.
type reader struct {
	run  string
	next uint64 // seq of the next chunk
	text strings.Builder

	resumes []resume // not yet answered
}

// judgeText: I2. The first thing that does not fit ends the turn's judgement;
// what follows would only repeat it.
func (v *verdict) judgeText(w *view) {
	r := &reader{next: 1, resumes: w.Resumes}
	want := w.Ask.answer()
	for i := range w.bodies {
		b := &w.bodies[i]
		if err := r.take(b, w.Frames[i].Socket, w.ID); err != nil {
			v.add(inv2, w.Ask.N, "frame %d (%s): %v", i, b.Type, err)
			return
		}
		if !strings.HasPrefix(want, r.text.String()) {
			v.add(inv2, w.Ask.N, "frame %d (%s): the text is not what the vendor said", i, b.Type)
			return
		}
		if b.terminal(w.ID) {
			if b.Type == typeComplete && r.text.Len() != len(want) {
				v.add(inv2, w.Ask.N, "complete after %d of %d bytes", r.text.Len(), len(want))
			}
			return
		}
	}
}

// take adds one frame.
func (r *reader) take(b *body, socket int, id string) error {
	switch {
	case b.terminal(id):
		return r.end(b)
	case b.Type == typeAccepted && b.RunID != r.run:
		if r.run != "" && r.next > 1 {
			return fmt.Errorf("another run after %d chunks", r.next-1)
		}
		r.run, r.next = b.RunID, 1
	case b.Type == typeChunk:
		return r.chunk(b)
	case b.Type == typeSnapshot:
		return r.snapshot(b, socket)
	}
	return nil
}

func (r *reader) chunk(b *body) error {
	from := b.Seq
	if b.From > 0 {
		from = b.From
	}
	if from != r.next || b.Seq < from {
		return fmt.Errorf("chunks %d to %d where %d was due", from, b.Seq, r.next)
	}
	r.next = b.Seq + 1
	r.text.WriteString(b.Content)
	return nil
}

// snapshot must answer a resume on its own socket, once, and begin where the
// client's text ended.
func (r *reader) snapshot(b *body, socket int) error {
	for len(r.resumes) > 0 && r.resumes[0].Socket < socket {
		r.resumes = r.resumes[1:] // of a socket that died first
	}
	if len(r.resumes) == 0 || r.resumes[0].Socket != socket {
		return fmt.Errorf("a snapshot that nobody asked for")
	}
	for len(r.resumes) > 0 && r.resumes[0].Socket == socket {
		r.resumes = r.resumes[1:] // one that was refused was asked again
	}
	if b.Seq+1 < r.next {
		return fmt.Errorf("a snapshot up to %d where %d was there", b.Seq, r.next-1)
	}
	r.next = b.Seq + 1
	r.text.WriteString(b.Content)
	return nil
}

func (r *reader) end(b *body) error {
	if b.Type != typeError && b.Seq != r.next {
		return fmt.Errorf("it has seq %d where %d was due", b.Seq, r.next)
	}
	if b.text() != r.text.String() {
		return fmt.Errorf("it says %d bytes, the chunks %d, and they differ", len(b.text()), r.text.Len())
	}
	return nil
}

// judgeOwner: I9.
func (v *verdict) judgeOwner(w *view) bool {
	for i, b := range w.bodies {
		if other, found := w.Ask.foreign(b.Content + b.text()); found {
			v.add(inv9, w.Ask.N, "frame %d (%s) holds text of %s", i, b.Type, other)
			return false
		}
	}
	return true
}
