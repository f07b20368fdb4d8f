package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// leftCall is a vendor call whose client was gone before it ended.
type leftCall struct {
	wait time.Duration // from then to its end
	done bool          // the whole answer was said
}

// leftCalls are the calls of clients that left, or whose gateway died, and stayed
// away.
func (v *verdict) leftCalls(onDisconnect string) (list []leftCall) {
	for _, w := range v.views {
		gone := w.gone(v)
		if gone.IsZero() || w.Group.OnDisconnect != onDisconnect {
			continue
		}
		for _, c := range w.calls {
			if c.Start.After(gone) || !c.End.IsZero() && c.End.Before(gone) {
				continue
			}
			end := c.End
			if end.IsZero() {
				end = v.Ended
			}
			list = append(list, leftCall{end.Sub(gone), c.Done})
		}
	}
	return list
}

// boundClears: answers that were to end with their clients end at the vendor, too.
func (v *verdict) boundClears(r *Result, want scenario.Duration) {
	if want == 0 {
		return
	}
	var waits []float64
	for _, c := range v.leftCalls("cancel") {
		waits = append(waits, float64(c.wait.Microseconds())/1000)
	}
	s := spread(waits)
	v.boundTime(r, fmt.Sprintf("vendor calls of %d that left, p99", s.Count), want, s.P99, s.Count)
}

// boundClearsGrace: answers that wait for their clients do so for their grace, and
// end then.
func (v *verdict) boundClearsGrace(r *Result, want scenario.Duration) {
	if want == 0 {
		return
	}
	var waits []float64
	early := 0
	for _, c := range v.leftCalls("grace") {
		switch {
		case c.done:
		case c.wait < v.Plan.grace():
			early++
		default:
			waits = append(waits, float64(c.wait.Microseconds())/1000)
		}
	}
	s := spread(waits)
	v.boundTime(r, fmt.Sprintf("vendor calls of %d that left with grace, p99", s.Count), want, s.P99, s.Count)
	none := 0
	v.boundCount(r, "of these ended before their grace", &none, early)
}

// gone is when the client of a turn left for good, the zero time where it did not.
func (w *view) gone(v *verdict) time.Time {
	switch {
	case !w.Left.IsZero():
		return w.Left
	case w.GaveUp == follow.Left && len(w.Sockets) > 0:
		lost := w.Sockets[len(w.Sockets)-1].Closed
		for _, h := range v.Harms { // what ended the socket is the moment, not when it was noticed
			if slices.Contains(h.Targets, w.Sockets[len(w.Sockets)-1].Gateway) && h.From.Before(lost) {
				return h.From
			}
		}
		return lost
	}
	return time.Time{}
}
