package answer

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// Check holds the text of one turn against what was asked: in order, whole, and
// nothing else. heard gives the turn's frames, each with the socket that it came
// on; resumes are the sockets on which the client asked to go on, in order.
//
// The first thing that does not fit is returned with the index of its frame:
// what follows would only repeat it.
func (q Question) Check(id string, heard iter.Seq2[int, *frames.Body], resumes []int) (index int, err error) {
	r := &reader{next: 1, resumes: resumes}
	want, fits := q.Whole(), 0
	for socket, b := range heard {
		if err := r.take(b, socket, id); err != nil {
			return index, err
		}
		got := r.text.String()
		if !strings.HasPrefix(want[fits:], got[fits:]) && !q.spoilt(got) {
			return index, errors.New("the text is not what was asked for")
		}
		fits = min(len(got), len(want)) // what fitted once is not compared again
		if b.Ends(id) {
			if b.Type == frames.Complete && len(got) != len(want) && !q.spoilt(got) {
				return index, fmt.Errorf("complete after %d of %d bytes", len(got), len(want))
			}
			return index, nil
		}
		index++
	}
	return index, nil
}

// spoilt: a vendor that is broken by itself may have said something else behind
// the first half, which is all that can be told beforehand.
func (q Question) spoilt(got string) bool {
	return q.Model.Fails == "bad-utf8" && strings.HasPrefix(got, q.Head(q.Model.Words/2))
}

// reader follows the text of one turn as a client would put it together.
type reader struct {
	run  string
	next uint64 // seq of the next chunk
	text strings.Builder

	resumes []int // sockets, not yet answered
}

// take adds one frame.
func (r *reader) take(b *frames.Body, socket int, id string) error {
	switch {
	case b.Ends(id):
		return r.end(b)
	case b.Type == frames.NoJSON:
		return errors.New("it is no JSON object")
	case b.Type == frames.Accepted && b.RunID != r.run:
		if r.run != "" && r.next > 1 {
			return fmt.Errorf("another run after %d chunks", r.next-1)
		}
		r.run, r.next = b.RunID, 1
	case b.Type == frames.Chunk:
		return r.chunk(b)
	case b.Type == frames.Snapshot:
		return r.snapshot(b, socket)
	}
	return nil
}

func (r *reader) chunk(b *frames.Body) error {
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
func (r *reader) snapshot(b *frames.Body, socket int) error {
	for len(r.resumes) > 0 && r.resumes[0] < socket {
		r.resumes = r.resumes[1:] // of a socket that died first
	}
	if len(r.resumes) == 0 || r.resumes[0] != socket {
		return errors.New("a snapshot that nobody asked for")
	}
	for len(r.resumes) > 0 && r.resumes[0] == socket {
		r.resumes = r.resumes[1:] // one that was refused was asked again
	}
	if b.Seq+1 < r.next {
		return fmt.Errorf("a snapshot up to %d where %d was there", b.Seq, r.next-1)
	}
	r.next = b.Seq + 1
	r.text.WriteString(b.Content)
	return nil
}

func (r *reader) end(b *frames.Body) error {
	if b.Type != frames.Error && b.Seq != r.next {
		return fmt.Errorf("it has seq %d where %d was due", b.Seq, r.next)
	}
	if b.Text() != r.text.String() {
		return fmt.Errorf("it says %d bytes, the chunks %d, and they differ", len(b.Text()), r.text.Len())
	}
	return nil
}
