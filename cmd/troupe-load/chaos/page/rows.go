package page

import (
	"cmp"
	"slices"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

// States of a client while its question is under way, in the order in which
// they are drawn: a later one lies over an earlier one.
const (
	stateWaiting   = iota // asked, and nothing came yet
	stateStreaming        // on the socket that asked
	stateResumed          // on a later socket
	stateAway             // its socket was lost and it is not back
	stateSilent           // no chunk for longer than the scenario allows
	states
)

// Marks at the end of a question.
const (
	markComplete = iota
	markCancelled
	markError
	markLost
	markNewRun // not an end: the question went to another worker
	marks
)

// row is one client with all its questions, which follow each other.
type row struct {
	Client   int          `json:"client"`
	Streams  []int        `json:"streams"` // numbers of its questions
	Group    string       `json:"group"`
	Gateway  string       `json:"gateway"`
	Worker   string       `json:"worker"` // of its first question
	Touched  bool         `json:"touched"`
	Beyond   bool         `json:"beyond"` // touched, and no fault was meant to
	First    float64      `json:"first"`  // when it was first touched, in ms
	Segments [][3]float64 `json:"segments"`
	Marks    [][2]float64 `json:"marks"`
}

// rows puts together what each client lived through: the touched ones first, by
// when that was, then the others by when they asked.
func rows(r *chaos.Result) []row {
	byClient := map[int]*row{}
	var order []*row
	for i := range r.Streams {
		s := &r.Streams[i]
		of := byClient[s.Client]
		if of == nil {
			of = &row{Client: s.Client, Group: s.Group, Gateway: s.Gateway, Worker: s.Worker, Segments: [][3]float64{}, Marks: [][2]float64{}}
			byClient[s.Client] = of
			order = append(order, of)
		}
		of.take(s, r.Length)
	}
	slices.SortStableFunc(order, func(a, b *row) int {
		if a.Touched != b.Touched {
			if a.Touched {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.First, b.First)
	})
	all := make([]row, 0, len(order))
	for _, of := range order {
		all = append(all, *of)
	}
	return all
}

// take adds one question.
func (of *row) take(s *chaos.StreamResult, length float64) {
	of.Streams = append(of.Streams, s.N)
	if s.Touched {
		if !of.Touched && len(s.Touches) > 0 {
			of.First = s.Touches[0].At
		}
		of.Touched = true
		of.Beyond = of.Beyond || !s.Expected
	}
	end := length
	if s.End != nil {
		end = *s.End
	}
	heard := end
	if s.First != nil {
		heard = min(*s.First, end)
	}
	of.segment(s.Asked, heard, stateWaiting)
	at, state := heard, stateStreaming
	for _, l := range s.Losses {
		back := end
		if l.Back != nil {
			back = min(*l.Back, end)
		}
		lost := min(l.At, end)
		of.segment(at, lost, state)
		of.segment(lost, back, stateAway)
		at, state = max(at, back), stateResumed
	}
	of.segment(at, end, state)
	for _, g := range s.Gaps {
		of.segment(g.From, min(g.To, end), stateSilent)
	}
	for _, t := range s.Touches {
		if t.Kind == chaos.TouchNewRun {
			of.Marks = append(of.Marks, [2]float64{t.At, markNewRun})
		}
	}
	if mark, ended := markOf(s); ended {
		of.Marks = append(of.Marks, [2]float64{end, float64(mark)})
	}
}

func (of *row) segment(from, to float64, state int) {
	if to > from {
		of.Segments = append(of.Segments, [3]float64{from, to, float64(state)})
	}
}

func markOf(s *chaos.StreamResult) (mark int, ended bool) {
	switch s.Outcome {
	case chaos.OutcomeComplete:
		return markComplete, true
	case chaos.OutcomeCancelled:
		return markCancelled, true
	case chaos.OutcomeError, chaos.OutcomeRefused:
		return markError, true
	case chaos.OutcomeLost:
		return markLost, true
	}
	return 0, false
}
