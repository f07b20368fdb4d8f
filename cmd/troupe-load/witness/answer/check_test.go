package answer

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// heard is one frame and its socket.
type heard struct {
	socket int
	frames.Body
}

func each(list []heard) iter.Seq2[int, *frames.Body] {
	return func(yield func(int, *frames.Body) bool) {
		for i := range list {
			if !yield(list[i].socket, &list[i].Body) {
				return
			}
		}
	}
}

// told is a turn of four chunks that was told to its end.
func told(q Question) []heard {
	whole := q.Whole()
	list := []heard{{0, frames.Body{Type: frames.Accepted, ID: "1", RunID: "r1"}}}
	for i := range q.Model.Words {
		list = append(list, heard{0, frames.Body{Type: frames.Chunk, ID: "1", Seq: uint64(i + 1), Content: q.Piece(i + 1)}})
	}
	return append(list, heard{0, frames.Body{Type: frames.Complete, ID: "1", Seq: uint64(q.Model.Words + 1), Full: &whole}})
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(q Question, list []heard) []heard
		resumes []int
		at      int
		want    string // in the error; empty = it fits
	}{
		"whole":          {func(_ Question, l []heard) []heard { return l }, nil, 5, ""},
		"not yet ended":  {func(_ Question, l []heard) []heard { return l[:3] }, nil, 3, ""},
		"a chunk missed": {func(_ Question, l []heard) []heard { return append(l[:2], l[3:]...) }, nil, 2, "chunks 3 to 3 where 2 was due"},
		"chunks joined": {func(q Question, l []heard) []heard {
			l[2] = heard{0, frames.Body{Type: frames.Chunk, ID: "1", From: 2, Seq: 3, Content: q.Piece(2) + q.Piece(3)}}
			return append(l[:3], l[4:]...)
		}, nil, 4, ""},
		"another text":  {func(q Question, l []heard) []heard { l[2].Content = q.Piece(3); return l }, nil, 2, "not what was asked for"},
		"more than all": {func(q Question, l []heard) []heard { l[4].Content += "x"; return l }, nil, 4, "not what was asked for"},
		"no JSON":       {func(_ Question, l []heard) []heard { l[2].Type = frames.NoJSON; return l }, nil, 2, "no JSON object"},
		"moved before the first chunk": {func(_ Question, l []heard) []heard {
			return append([]heard{{0, frames.Body{Type: frames.Accepted, ID: "1", RunID: "r0"}}}, l...)
		}, nil, 6, ""},
		"moved after it": {func(_ Question, l []heard) []heard {
			l[2].Body = frames.Body{Type: frames.Accepted, ID: "1", RunID: "r2"}
			return l
		}, nil, 2, "another run after 1 chunks"},
		"resumed": {func(_ Question, l []heard) []heard {
			l[3].Type, l[3].socket, l[4].socket, l[5].socket = frames.Snapshot, 2, 2, 2
			return l
		}, []int{1, 2, 2}, 5, ""},
		"a snapshot of nobody's": {func(_ Question, l []heard) []heard { l[3].Type = frames.Snapshot; return l }, []int{1}, 3, "nobody asked for"},
		"a snapshot from before": {func(_ Question, l []heard) []heard {
			l[3].Type, l[3].Seq = frames.Snapshot, 1
			return l
		}, []int{0}, 3, "a snapshot up to 1 where 2 was there"},
		"an end too early": {func(q Question, l []heard) []heard {
			said := q.Head(1)
			l[2] = l[5]
			l[2].Seq, l[2].Full = 2, &said
			return l[:3]
		}, nil, 2, "complete after"},
		"an end with another text": {func(_ Question, l []heard) []heard { no := "no"; l[5].Full = &no; return l }, nil, 5, "and they differ"},
		"an end with another seq":  {func(_ Question, l []heard) []heard { l[5].Seq = 9; return l }, nil, 5, "seq 9 where 5 was due"},
	} {
		t.Run(name, func(t *testing.T) {
			q := Question{N: 3, Model: Model{Words: 4}}
			at, err := q.Check("1", each(c.change(q, told(q))), c.resumes)
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			require.Equal(t, c.at, at)
		})
	}
}

// TestWhatABrokenVendorSaysBehindTheFirstHalfIsItsOwn: what came before is not.
func TestWhatABrokenVendorSaysBehindTheFirstHalfIsItsOwn(t *testing.T) {
	q := Question{N: 3, Model: Model{Words: 4, Fails: "bad-utf8"}}
	list := told(q)
	list[3].Content = "\ufffd"
	said := q.Head(2) + "\ufffd"
	list[4] = heard{0, frames.Body{Type: frames.Complete, ID: "1", Seq: 4, Full: &said}}
	_, err := q.Check("1", each(list[:5]), nil)
	require.NoError(t, err)
	list[2].Content = "\ufffd"
	_, err = q.Check("1", each(list[:5]), nil)
	require.Error(t, err)
}
