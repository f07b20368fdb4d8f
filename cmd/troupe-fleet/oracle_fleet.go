package main

import (
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// Bounds of I4.
const (
	closeTime  = time.Second     // from a turn's end to the end of its call
	returnTime = 3 * time.Second // from the end of a harm until what it hid is cleared
)

// judgeSlots: I3. What the gateway says is compared with what it may hold, and,
// where nothing moves, with the sockets that the harness has there.
func (v *verdict) judgeSlots() {
	for _, s := range v.Samples {
		for gateway, slots := range s.Slots {
			if slots > v.Rules.Slots {
				v.add(inv3, 0, "%s holds %d slots, the limit is %d", gateway, slots, v.Rules.Slots)
			}
			if open := s.Sockets[gateway]; s.Quiet && slots != open && !v.disturbed(s.At.Add(-recovery), s.At, everyKind(), gateway) {
				v.add(inv3, 0, "%s holds %d slots for %d sockets at %s", gateway, slots, open, s.At.Format(time.TimeOnly))
			}
		}
	}
	for _, c := range v.Crowds {
		if beside := v.inside(c.Gateway, c.At); c.Admitted+beside > v.Rules.Slots {
			v.add(inv3, 0, "%s let %d of a crowd in beside %d other sockets, the limit is %d", c.Gateway, c.Admitted, beside, v.Rules.Slots)
		}
	}
	for _, r := range v.Settled {
		if r.Slots != 0 {
			v.add(inv3, 0, "%s holds %d slots at rest", r.Process, r.Slots)
		}
	}
}

// inside counts the sockets of clients that a gateway had let in and that stayed
// in: one that closed soon after may have been given back already.
func (v *verdict) inside(gateway string, at time.Time) (n int) {
	for i := range v.views {
		w := &v.views[i]
		for j, s := range w.Sockets {
			if s.Gateway == gateway && s.Closed.After(at.Add(closeTime)) && w.heardOn(j, at) {
				n++
			}
		}
	}
	return n
}

// heardOn tells whether a socket of the turn had been let in: it heard more than a
// refusal.
func (w *view) heardOn(socket int, before time.Time) bool {
	for i, f := range w.Frames {
		if f.Socket == socket && f.At.Before(before) && w.bodies[i].Type != frames.Error {
			return true
		}
	}
	return false
}

// crowdsRefused: a crowd met the bound at every gateway, and whoever did not get
// in was told why.
func crowdsRefused(v *verdict) {
	if len(v.Crowds) == 0 {
		v.add(expected, 0, "no crowd came")
	}
	for _, c := range v.Crowds {
		switch {
		case c.Refused == 0:
			v.add(expected, 0, "%s let all %d of a crowd in, more than fit", c.Gateway, c.Asked)
		case len(c.Strange) > 0:
			v.add(expected, 0, "%d of %d of a crowd met something else at %s: %s", len(c.Strange), c.Asked, c.Gateway, c.Strange[0])
		}
	}
}

func everyKind() []string {
	return append(separating(), harmDrain, harmTamper)
}

// judgeCalls: I4.
func (v *verdict) judgeCalls() {
	ends := map[int]time.Time{} // when the last view of a question was told
	for i := range v.views {
		if w := &v.views[i]; w.ended().After(ends[w.Ask.N]) {
			ends[w.Ask.N] = w.ended()
		}
	}
	for _, list := range v.calls {
		for _, c := range list {
			v.judgeCall(c, ends[c.N])
		}
	}
	v.judgeOpenCalls()
}

func (v *verdict) judgeCall(c mimic.Call, told time.Time) {
	switch {
	case c.End.IsZero():
		v.add(inv4, c.N, "a call of %s is open at rest", c.Worker)
	case told.IsZero(), c.End.Before(told.Add(closeTime)):
	case c.End.Before(v.allowed(c, told)):
	default:
		v.add(inv4, c.N, "the call of %s ended %s after the client was told", c.Worker, c.End.Sub(told).Round(time.Millisecond))
	}
}

// allowed is how long a call may go on whose worker could not be told: until the
// harm is over and cleared, or until the answer has ended by itself.
func (v *verdict) allowed(c mimic.Call, told time.Time) time.Time {
	until := told.Add(closeTime)
	for _, h := range v.Harms {
		hit := h.Target == c.Worker || h.Target == targetBus
		if hit && h.From.Before(told.Add(closeTime)) && h.To.After(c.Start.Add(-recovery)) {
			until = latest(until, h.To.Add(returnTime), c.Start.Add(c.Lasts*3/2+closeTime))
		}
	}
	return until
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

// judgeOpenCalls compares what the vendor has open with what workers say runs.
// Both are counted one after the other, so only what lasts is a breach.
func (v *verdict) judgeOpenCalls() {
	var since time.Time // when there were too many first
	for _, s := range v.Samples {
		if !s.Known || s.Calls <= s.Runs || v.disturbed(s.At.Add(-recovery), s.At, everyKind(), v.everyProcess()...) {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = s.At
		}
		if s.At.Sub(since) >= closeTime {
			v.add(inv4, 0, "the vendor has %d open calls for %d live runs at %s", s.Calls, s.Runs, s.At.Format(time.TimeOnly))
			return
		}
	}
}

func (v *verdict) everyProcess() (names []string) {
	for _, r := range v.Settled {
		names = append(names, r.Process)
	}
	return names
}

// judgeAttempts: I5.
func (v *verdict) judgeAttempts() {
	known := map[int]*view{}
	for i := range v.views {
		if w := &v.views[i]; !w.Second {
			known[w.Ask.N] = w
		}
	}
	floods := map[int]string{}
	for _, f := range v.Floods {
		for _, a := range f.Asks {
			floods[a.N] = f.Gateway
		}
	}
	for n, list := range v.calls {
		w := known[n]
		switch {
		case w == nil && floods[n] == "":
			v.add(inv5, n, "a call for a question that nobody asked")
		case len(list) > 2:
			v.add(inv5, n, "%d calls", len(list))
		case len(list) == 2 && w == nil:
			v.judgeSecond(n, list, []string{floods[n]}, time.Time{})
		case len(list) == 2:
			v.judgeSecond(n, list, w.Gateways(), w.firstText())
		}
	}
}

// judgeSecond: a second call needs a first worker that was lost, and a client
// that had seen nothing.
func (v *verdict) judgeSecond(n int, list []mimic.Call, gateways []string, text time.Time) {
	first, second := list[0], list[1]
	parted := v.disturbed(first.Start.Add(-recovery), second.Start, separating(), append(gateways, first.Worker)...)
	switch {
	case !parted:
		v.add(inv5, n, "called by %s and %s later by %s, and nothing had parted them", first.Worker, second.Start.Sub(first.Start).Round(time.Millisecond), second.Worker)
	case !text.IsZero() && text.Before(second.Start):
		v.add(inv5, n, "called again by %s after the client had text", second.Worker)
	}
}

// firstText is when the client saw the first piece of the answer.
func (w *view) firstText() time.Time {
	for i, b := range w.bodies {
		if b.Content != "" {
			return w.Frames[i].At
		}
	}
	return time.Time{}
}

// judgeRest: I8.
func (v *verdict) judgeRest() {
	for _, now := range v.Settled {
		if now.Connections > 0 || now.Runs > 0 {
			v.add(inv8, 0, "%s has %d connections and %d runs at rest", now.Process, now.Connections, now.Runs)
		}
		for _, before := range v.Baselines {
			if before.Process == now.Process && before.Life == now.Life && grown(before, now) {
				v.add(inv8, 0, "%s: goroutines %d → %d, descriptors %d → %d", now.Process,
					before.Goroutines, now.Goroutines, before.Descriptors, now.Descriptors)
			}
		}
	}
}
