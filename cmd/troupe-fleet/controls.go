package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// control forges one thing in a copy of evidence, such that exactly one
// invariant is broken. It returns false where the evidence holds nothing that
// could be forged so.
type control struct {
	invariant string
	about     string
	forge     func(*evidence) bool
}

// controls has one for each invariant, in their order.
func controls() []control {
	return []control{
		{inv1, "an end that is told twice", repeatEnd},
		{inv2, "a chunk that is missing", dropChunk},
		{inv3, "a slot that nobody gave back", leakSlot},
		{inv4, "a vendor call that goes on", leakCall},
		{inv5, "a second call for one question", callTwice},
		{inv6, "a key in a log", leakKey},
		{inv7, "one admission too many", admitOneMore},
		{inv8, "a hundred goroutines more", leakGoroutines},
		{inv9, "text of somebody else's answer", mixText},
	}
}

// tryControls forges a green evidence once for each invariant. It returns how
// many verdicts turned red for the right reason, and what was wrong with the
// others.
func tryControls(e *evidence) (red int, problems []string) {
	for _, c := range controls() {
		if err := c.try(e); err != nil {
			problems = append(problems, fmt.Sprintf("%s (%s): %v", c.invariant, c.about, err))
			continue
		}
		red++
	}
	return red, problems
}

func (c control) try(e *evidence) error {
	forged := e.clone()
	if !c.forge(forged) {
		return fmt.Errorf("the evidence holds nothing to forge")
	}
	named := map[string]bool{}
	for _, b := range judge(forged) {
		named[b.Invariant] = true
	}
	switch {
	case len(named) == 0:
		return fmt.Errorf("the verdict stayed green")
	case len(named) > 1 || !named[c.invariant]:
		return fmt.Errorf("the verdict names %v", named)
	}
	return nil
}

// streamed finds a turn that was told to its end over some chunks, with one
// undisturbed call.
func streamed(e *evidence) (w *view, v *verdict) {
	v = newVerdict(e)
	for i := range v.views {
		t := &v.views[i]
		list := v.calls[t.Ask.N]
		if t.outcome() != frames.Complete || len(list) != 1 || len(t.Sockets) != 1 || len(t.Frames) < 6 {
			continue
		}
		if !v.disturbed(list[0].Start.Add(-recovery), list[0].End, separating(), append(t.Gateways(), list[0].Worker)...) {
			return t, v
		}
	}
	return nil, v
}

func repeatEnd(e *evidence) bool {
	w, _ := streamed(e)
	if w == nil {
		return false
	}
	w.turn.Frames = append(w.turn.Frames, w.Frames[w.end()])
	return true
}

func dropChunk(e *evidence) bool {
	w, _ := streamed(e)
	if w == nil {
		return false
	}
	i := slices.IndexFunc(w.bodies, func(b frames.Body) bool { return b.Type == frames.Chunk })
	w.turn.Frames = slices.Delete(w.turn.Frames, i, i+1)
	return i >= 0
}

func leakSlot(e *evidence) bool {
	for i := range e.Settled {
		if e.Settled[i].Process[:len(roleGateway)] == roleGateway {
			e.Settled[i].Slots++
			return true
		}
	}
	return false
}

func leakCall(e *evidence) bool {
	if len(e.Calls) == 0 {
		return false
	}
	e.Calls[0].End = time.Time{}
	return true
}

func callTwice(e *evidence) bool {
	w, v := streamed(e)
	if w == nil {
		return false
	}
	again := v.calls[w.Ask.N][0]
	again.Start = again.Start.Add(time.Millisecond)
	e.Calls = append(e.Calls, again)
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

// admitOneMore repeats an admission of a window that was full.
func admitOneMore(e *evidence) bool {
	for i := range e.Floods {
		asks := e.Floods[i].Asks
		admitted := 0
		for _, a := range asks {
			if a.Admitted && a.Answered.Before(asks[0].Sent.Add(e.Rules.Window)) {
				admitted++
			}
		}
		if admitted == e.Rules.Messages {
			e.Floods[i].Asks = append(asks, asks[0])
			return true
		}
	}
	return false
}

func leakGoroutines(e *evidence) bool {
	for i, now := range e.Settled {
		for _, before := range e.Baselines {
			if before.Process == now.Process && before.Life == now.Life {
				e.Settled[i].Goroutines += 100
				return true
			}
		}
	}
	return false
}

func mixText(e *evidence) bool {
	w, _ := streamed(e)
	if w == nil {
		return false
	}
	i := slices.IndexFunc(w.bodies, func(b frames.Body) bool { return b.Type == frames.Chunk })
	other := answer.Question{N: w.Ask.N + 1}
	w.turn.Frames[i] = w.turn.Frames[i].with(func(b *frames.Body) { b.Content = other.Piece(1) })
	return true
}

// with replaces the message of a frame.
func (f frame) with(change func(*frames.Body)) frame {
	b := frames.Parse(f.Raw)
	change(&b)
	if raw, err := json.Marshal(b); err == nil {
		f.Raw = raw
	}
	return f
}
