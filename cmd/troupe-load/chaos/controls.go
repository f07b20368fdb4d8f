package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// control forges one thing in a copy of evidence, such that exactly one invariant
// is broken. It returns false where the evidence holds nothing that could be
// forged so.
type control struct {
	invariant string
	about     string
	forge     func(*evidence) bool
}

// controls has one for each invariant, in their order.
func controls() []control {
	return []control{
		{"I1", "an end that is told twice", repeatEnd},
		{"I2", "a chunk that is missing", dropChunk},
		{"I3", "a slot that nobody gave back", leakSlot},
		{"I4", "a vendor call that goes on", leakCall},
		{"I5", "three attempts for one question", callTwice},
		{"I6", "a key in a log", leakKey},
		{"I7", "admissions beyond the limit", admitMore},
		{"I8", "a hundred goroutines more", leakGoroutines},
		{"I9", "text of somebody else's answer", mixText},
	}
}

// tryControls forges evidence once for each invariant. What was said of each is
// by invariant.
func tryControls(e *evidence) (result ControlResult, said map[string]string) {
	genuine := count(judge(e))
	said = map[string]string{}
	result.Problems = []string{}
	for _, c := range controls() {
		forged := e.clone()
		if !c.forge(forged) {
			said[c.invariant] = c.about + ": nothing was seen here in which it could be forged"
			continue
		}
		result.Tried++
		if err := named(c.invariant, genuine, count(judge(forged))); err != nil {
			said[c.invariant] = fmt.Sprintf("%s: %v", c.about, err)
			result.Problems = append(result.Problems, fmt.Sprintf("%s (%s): %v", c.invariant, c.about, err))
			continue
		}
		result.Red++
		said[c.invariant] = c.about + ": red, as it must be"
	}
	return result, said
}

// count counts breaches by rule.
func count(v *verdict) map[string]int {
	n := map[string]int{}
	for _, b := range v.breaches {
		n[b.Rule]++
	}
	return n
}

// named tells whether the forgery is seen as what it is: against the genuine
// verdict, which may be red itself, exactly this invariant is broken more often.
func named(invariant string, genuine, forged map[string]int) error {
	if forged[invariant] <= genuine[invariant] {
		return fmt.Errorf("the verdict did not turn red")
	}
	for rule, n := range forged {
		if rule != invariant && n > genuine[rule] {
			return fmt.Errorf("the verdict names %s, too", rule)
		}
	}
	return nil
}

// streamed finds a turn that was told to its end over some chunks and one socket,
// one that nothing disturbed where there is such a one.
func streamed(e *evidence) (found *view) {
	v := newVerdict(e)
	for _, w := range v.views {
		if w.end < 0 || w.Frames[w.end].Type != frames.Complete || len(w.calls) > 1 || len(w.Sockets) != 1 || len(w.Frames) < 6 || w.Group.Broken {
			continue
		}
		if !v.disturbed(w.Asked.Add(-recovery), w.ended().Add(recovery), hits(append(w.Gateways(), w.workers()...)...)) {
			return w
		}
		if found == nil {
			found = w
		}
	}
	return found
}

func repeatEnd(e *evidence) bool {
	w := streamed(e)
	if w == nil {
		return false
	}
	w.turn.Frames = append(w.turn.Frames, w.Frames[w.end])
	return true
}

func dropChunk(e *evidence) bool {
	w := streamed(e)
	if w == nil {
		return false
	}
	i := slices.IndexFunc(w.Frames, func(f frame) bool { return f.Type == frames.Chunk })
	if i < 0 {
		return false
	}
	w.turn.Frames = slices.Delete(w.turn.Frames, i, i+1)
	return true
}

func leakSlot(e *evidence) bool {
	for i := range e.Settled {
		if e.Settled[i].Slots == 0 && e.Rules.Own {
			e.Settled[i].Slots = 1
			return true
		}
	}
	return false
}

func leakCall(e *evidence) bool {
	w := streamed(e)
	if w == nil || len(w.calls) == 0 {
		return false
	}
	i := slices.IndexFunc(e.Calls, func(c mimic.Call) bool { return c.N == w.N })
	e.Calls[i].End = time.Time{}
	return true
}

func callTwice(e *evidence) bool {
	w := streamed(e)
	if w == nil || len(w.calls) == 0 {
		return false
	}
	again := w.calls[0]
	again.Start, again.Job = again.Start.Add(time.Millisecond), "second"
	third := again
	third.Job = "third" // which is right for nobody
	e.Calls = append(e.Calls, again, third)
	return true
}

func leakKey(e *evidence) bool {
	if len(e.Sinks) == 0 || len(e.Rules.Keys) == 0 {
		return false
	}
	last := &e.Sinks[len(e.Sinks)-1]
	last.Text += "\nrequest failed: Bearer " + e.Rules.Keys[0]
	return true
}

// admitMore repeats admissions of one flood until even a limiter that is away
// would have refused.
func admitMore(e *evidence) bool {
	for i := range e.Floods {
		asks := e.Floods[i].Asks
		first := slices.IndexFunc(asks, func(a flood.Ask) bool { return a.Admitted && !a.Answered.IsZero() })
		if first < 0 || e.Rules.Messages == 0 || asks[first].Answered.Sub(asks[first].Sent) >= e.Rules.Window {
			continue
		}
		e.Floods[i].Asks = append(asks, slices.Repeat(asks[first:first+1], 2*e.Rules.Messages)...)
		return true
	}
	return false
}

func leakGoroutines(e *evidence) bool {
	for i, now := range e.Settled {
		for _, before := range e.Baselines {
			if before.Process == now.Process && before.Life == now.Life && !grown(before, now) {
				e.Settled[i].Goroutines += 100
				return true
			}
		}
	}
	return false
}

func mixText(e *evidence) bool {
	w := streamed(e)
	if w == nil {
		return false
	}
	i := slices.IndexFunc(w.Frames, func(f frame) bool { return f.Type == frames.Chunk })
	if i < 0 {
		return false
	}
	w.turn.Frames[i].Content = answer.Question{N: w.N + 1}.Piece(1)
	return true
}
