// Package flood asks faster than a limit admits, notes what was let in, and tells
// whether that was too much.
package flood

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// Flood is one socket that asks faster than its limit.
type Flood struct {
	Gateway string `json:"gateway"`
	Asks    []Ask  `json:"asks"`
}

// Ask is one question of a flood and what was decided about it.
type Ask struct {
	N        int       `json:"n"`
	Sent     time.Time `json:"sent"`
	Answered time.Time `json:"answered,omitzero"`
	Admitted bool      `json:"admitted"` // what was refused, for whatever reason, has used up nothing
}

// model answers at once.
const model = "echo-0s-1w"

// Run asks a provider so many questions over one socket, a pause between two, and
// listens until every one has ended, the socket is gone, or ctx is over. next
// numbers the questions.
func (f *Flood) Run(ctx context.Context, s *follow.Socket, provider string, times int, pause time.Duration, next func() int) {
	for range times {
		q := answer.Question{N: next()}
		f.Asks = append(f.Asks, Ask{N: q.N, Sent: time.Now()})
		err := s.Say(ctx, map[string]any{
			"type": "chat", "id": strconv.Itoa(q.N), "content": q.String(), "provider": provider, "model": model, "messages": []any{}, "on_disconnect": "cancel",
		})
		if err != nil || !crew.Sleep(ctx, pause) {
			return
		}
	}
	for open := times; open > 0; {
		raw, err := s.Hear(ctx, follow.Silence)
		if err != nil {
			return
		}
		open -= f.note(frames.Parse(raw))
	}
}

// note takes one frame and returns how many questions ended with it.
func (f *Flood) note(b frames.Body) int {
	i := slices.IndexFunc(f.Asks, func(a Ask) bool { return strconv.Itoa(a.N) == b.ID })
	if i < 0 {
		return 0
	}
	a := &f.Asks[i]
	if a.Answered.IsZero() && (b.Type == frames.Accepted || b.Ends(b.ID)) {
		a.Answered, a.Admitted = time.Now(), b.Type == frames.Accepted
	}
	if b.Ends(b.ID) {
		return 1
	}
	return 0
}

// Beyond finds a window in which more were let in than most says for the first of
// them. A decision was made between a question and its answer; so those whose whole
// span fits into one window were all admitted in one. n is how many those were, 0
// where the limit held.
func (f *Flood) Beyond(window time.Duration, most func(first Ask) int) (first Ask, n int) {
	var in []Ask
	for _, a := range f.Asks {
		if a.Admitted && !a.Answered.IsZero() {
			in = append(in, a)
		}
	}
	for _, first := range in {
		n := 0
		for _, a := range in {
			if !a.Sent.Before(first.Sent) && a.Answered.Before(first.Sent.Add(window)) {
				n++
			}
		}
		if n > most(first) {
			return first, n
		}
	}
	return Ask{}, 0
}

// Clone copies a list and its asks.
func Clone(list []Flood) []Flood {
	list = slices.Clone(list)
	for i := range list {
		list[i].Asks = slices.Clone(list[i].Asks)
	}
	return list
}
