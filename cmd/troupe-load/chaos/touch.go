package chaos

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// touch is one thing that reached a client.
type touch struct {
	at   time.Time
	kind string
	harm *harm // that explains it; nil = none does
	told time.Time
}

// touches are what reached the client of a turn, in order.
func (v *verdict) touches(w *view) (list []touch) {
	code := w.code()
	switch {
	case w.end >= 0 && w.Frames[w.end].Type == frames.Error:
		list = append(list, touch{at: w.ended(), kind: TouchError})
	case w.end >= 0 && w.Frames[w.end].Type == frames.Cancelled && w.Stopped.IsZero():
		list = append(list, touch{at: w.ended(), kind: TouchError})
	case w.end < 0 && code == "" && w.GaveUp != "" && !w.away():
		list = append(list, touch{at: w.last(), kind: TouchError})
	case !w.Left.IsZero():
		list = append(list, touch{at: w.Left, kind: TouchSocket})
	}
	for _, s := range w.Sockets {
		if !s.Own && !s.Closed.IsZero() && w.Left.IsZero() && !w.saidGoodbye(s) {
			list = append(list, touch{at: s.Closed, kind: TouchSocket})
		}
	}
	run := ""
	for _, f := range w.Frames {
		if f.Type != frames.Accepted {
			continue
		}
		if run != "" && f.RunID != run {
			list = append(list, touch{at: f.At, kind: TouchNewRun})
		}
		run = f.RunID
	}
	for _, g := range w.Silences {
		list = append(list, touch{at: g.To, kind: TouchGap})
	}
	slices.SortFunc(list, func(a, b touch) int { return a.at.Compare(b.at) })
	return list
}

// saidGoodbye tells whether a socket ended behind the end of its turn, when
// nobody listened any more but for a second end.
func (w *view) saidGoodbye(s follow.Record) bool {
	return w.end >= 0 && !s.Closed.Before(w.ended())
}

// explain finds for every touch the fault that was meant to reach this client.
func (v *verdict) explain(w *view, list []touch) {
	for i := range list {
		t := &list[i]
		for _, h := range slices.Backward(v.Harms) {
			if v.within(h, t) && v.expects(h, w) {
				t.harm = h
				break
			}
		}
		if t.harm == nil {
			t.harm = v.spend(w, t)
		}
		t.told = w.toldAfter(t)
	}
}

// within tells whether traces of the harm may be seen at the moment of the touch.
// A silence counts from its beginning.
func (v *verdict) within(h *harm, t *touch) bool {
	return !t.at.Before(h.From) && !t.at.After(h.over())
}

// spend explains a touch by a hit of which the server could not say whom it
// belongs to; each such hit explains one client.
func (v *verdict) spend(w *view, t *touch) *harm {
	for _, h := range v.Harms {
		if h.Who != TouchesHits || !v.within(h, t) {
			continue
		}
		if v.spent[h] == nil {
			v.spent[h] = map[int]bool{}
		}
		if v.spent[h][w.N] || len(v.spent[h]) < h.Spare {
			v.spent[h][w.N] = true
			return h
		}
	}
	return nil
}

// toldAfter is when the client was told how it goes on: an end, a new run, or the
// resumed stream.
func (w *view) toldAfter(t *touch) time.Time {
	if t.kind != TouchSocket {
		return t.at
	}
	for _, f := range w.Frames {
		if f.At.After(t.at) && (f.Ends(turnID) || f.Type == frames.Accepted || f.Type == frames.Snapshot) {
			return f.At
		}
	}
	return time.Time{}
}

// expects tells whether the harm may touch the turn.
func (v *verdict) expects(h *harm, w *view) bool {
	switch h.Who {
	case TouchesAll:
		return w.lives(h.From, h.over())
	case TouchesGroup:
		return w.Group == h.Group
	case TouchesHits:
		_, hit := h.Streams[w.N]
		return hit
	case TouchesOnTarget:
		if h.Verb == "clients" {
			_, sent := h.Streams[w.N]
			return sent
		}
		return w.lives(h.From, h.over()) && slices.ContainsFunc(h.Targets, func(t string) bool { return v.wasAt(w, h, t) })
	}
	group, ok := strings.CutPrefix(h.Who, "group:")
	return ok && w.Group.Name == group
}

// lives tells whether the turn was under way at some time between two moments.
func (w *view) lives(from, to time.Time) bool {
	ended := w.ended()
	return !w.Asked.After(to) && (ended.IsZero() || !ended.Before(from))
}

const (
	dyingTakes   = 100 * time.Millisecond // from the note of a kill to the end of the process, on a busy machine
	tellingTakes = 250 * time.Millisecond // from the end of a call to its last word at the gateway, likewise
)

// wasAt tells whether a turn had its socket, or its run, at a process when that
// was harmed. A question that was on its way to some worker may have been on its
// way to that one.
func (v *verdict) wasAt(w *view, h *harm, target string) bool {
	if target == memberServe || target == memberNATS {
		return true
	}
	until := h.To
	if h.Verb == "kill" {
		until = h.From.Add(dyingTakes) // what came later met its next life
		if h.Died.After(until) {
			until = h.Died
		}
	}
	if strings.HasPrefix(target, roleGateway) {
		return slices.ContainsFunc(w.Sockets, func(s follow.Record) bool {
			return s.Gateway == target && !s.Opened.After(until) && (s.Closed.IsZero() || !s.Closed.Before(h.From))
		})
	}
	if slices.ContainsFunc(w.calls, func(c mimic.Call) bool {
		return c.Worker == target && !c.Start.After(until) && (c.End.IsZero() || !c.End.Before(h.From.Add(-tellingTakes)))
	}) {
		return true
	}
	const takes = 500 * time.Millisecond // from a question to its call, with room to spare
	return w.Asked.Before(until) && (len(w.calls) == 0 || w.calls[0].Start.Sub(w.Asked) > takes || w.calls[0].Start.After(h.From))
}
