package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// Bounds of I4.
const (
	closeTime  = time.Second     // from a turn's end to the end of its call
	returnTime = 3 * time.Second // from the end of a harm until what it hid is cleared
)

// judgeSlots: I3. What the gateway says is compared with what it may hold, and with
// the sockets that the tool has there: they differ at most by what came and went
// around that moment.
func (v *verdict) judgeSlots() {
	if !v.Rules.Own {
		return
	}
	for _, s := range v.Samples {
		for gateway, slots := range s.Slots {
			if slots > v.Rules.Slots {
				v.add("I3", 0, s.At, "%s holds %d slots, the limit is %d", gateway, slots, v.Rules.Slots)
			}
			if v.disturbed(s.At.Add(-recovery), s.At, moves(gateway)) {
				continue
			}
			v.checked["I3"]++
			if open := s.Sockets[gateway]; max(slots-open, open-slots) > s.Churn[gateway] {
				v.add("I3", 0, s.At, "%s holds %d slots for %d sockets", gateway, slots, open)
			}
		}
	}
	for _, now := range v.Settled {
		v.checked["I3"]++
		if now.Slots != 0 {
			v.add("I3", 0, time.Time{}, "%s holds %d slots at rest", now.Process, now.Slots)
		}
	}
}

// moves makes a test for harms by which sockets come and go uncounted.
func moves(gateway string) func(*harm) bool {
	hit := hits(gateway)
	return func(h *harm) bool { return hit(h) || h.Verb == "clients" }
}

// judgeCalls: I4.
func (v *verdict) judgeCalls() {
	for n, list := range v.calls {
		w := v.byNumber[n]
		for _, c := range list {
			v.checked["I4"]++
			told := time.Time{}
			if w != nil {
				told = w.ended()
			}
			v.judgeCall(c, told)
		}
	}
	v.judgeOpenCalls()
}

func (v *verdict) judgeCall(c mimic.Call, told time.Time) {
	switch {
	case c.End.IsZero():
		v.add("I4", c.N, c.Start, "a call of %s is open at rest", c.Worker)
	case told.IsZero(), c.End.Before(told.Add(closeTime)):
	case c.End.Before(v.allowed(c, told)):
	default:
		v.add("I4", c.N, c.End, "the call of %s ended %s after the client was told", c.Worker, c.End.Sub(told).Round(time.Millisecond))
	}
}

// allowed is how long a call may go on whose worker could not be told: until the
// harm is over and cleared, or until the answer has ended by itself.
func (v *verdict) allowed(c mimic.Call, told time.Time) time.Time {
	until := told.Add(closeTime)
	hit := hits(c.Worker)
	for _, h := range v.Harms {
		if hit(h) && h.From.Before(told.Add(closeTime)) && h.over().After(c.Start.Add(-recovery)) {
			until = latest(until, h.To.Add(returnTime), c.Start.Add(c.Lasts*3/2+closeTime))
		}
	}
	return until
}

// judgeOpenCalls compares what the vendor has open with what workers say runs.
// Both are counted one after the other, so only what lasts is a breach.
func (v *verdict) judgeOpenCalls() {
	var since time.Time // when there were too many first
	for _, s := range v.Samples {
		if !s.Known || s.Calls <= s.Runs || v.disturbed(s.At.Add(-recovery), s.At, (*harm).parts) {
			since = time.Time{}
			continue
		}
		v.checked["I4"]++
		if since.IsZero() {
			since = s.At
		}
		if s.At.Sub(since) >= closeTime {
			v.add("I4", 0, s.At, "the vendor has %d open calls for %d live runs", s.Calls, s.Runs)
			return
		}
	}
}

// judgeAttempts: I5. A question gets at most two attempts, the second only after
// its first worker was lost. Within one attempt the vendor is called again only
// where it failed, within the bounds of the retries.
func (v *verdict) judgeAttempts() {
	if !v.Rules.Own {
		return
	}
	known := map[int]bool{}
	for _, p := range v.Probes {
		known[p.N] = true
	}
	for _, f := range v.Floods {
		for _, a := range f.Asks {
			known[a.N] = true
		}
	}
	for n, list := range v.calls {
		v.checked["I5"]++
		w, attempts := v.byNumber[n], firstCalls(list)
		switch {
		case w == nil && !known[n]:
			v.add("I5", n, list[0].Start, "a call for a question that nobody asked")
		case len(attempts) > 2:
			v.add("I5", n, attempts[2].Start, "%d attempts: %s", len(attempts), v.timeline(attempts))
		case len(list) > mostCalls || calledAgain(list):
			v.add("I5", n, list[len(list)-1].Start, "one attempt called again: %s", v.timeline(list))
		case len(attempts) == 2:
			v.judgeSecond(n, w, attempts)
		}
	}
}

// firstCalls are the first ones of each attempt.
func firstCalls(list []mimic.Call) (first []mimic.Call) {
	seen := map[string]bool{}
	for _, c := range list {
		if c.Job == "" || !seen[c.Job] {
			first = append(first, c)
		}
		seen[c.Job] = true
	}
	return first
}

// calledAgain tells whether an attempt called again after a whole answer.
func calledAgain(list []mimic.Call) bool {
	done := map[string]time.Time{}
	for _, c := range list {
		if end, ok := done[c.Job]; ok && c.Job != "" && c.Start.After(end) {
			return true
		}
		if c.Done && !c.End.IsZero() {
			done[c.Job] = c.End
		}
	}
	return false
}

// timeline tells calls one after the other.
func (v *verdict) timeline(list []mimic.Call) string {
	var words []string
	for _, c := range list {
		words = append(words, fmt.Sprintf("%s at %.3fs", c.Worker, v.ms(c.Start)/1000))
	}
	return strings.Join(words, ", ")
}

// mostCalls is how often one question may call vendors in all: six times in each
// of two attempts.
const mostCalls = 12

// judgeSecond: a second call needs a first worker that was lost, and a client
// that had seen nothing.
func (v *verdict) judgeSecond(n int, w *view, list []mimic.Call) {
	first, second := list[0], list[1]
	targets := []string{first.Worker}
	if w != nil {
		targets = append(targets, w.Gateways()...)
	}
	hit := hits(targets...)
	if w == nil { // where its socket was is not known
		hit = (*harm).parts
	}
	parted := v.disturbed(first.Start.Add(-recovery), second.Start, hit)
	switch {
	case !parted:
		v.add("I5", n, second.Start, "called by %s and %s later by %s, and nothing had parted them", first.Worker, second.Start.Sub(first.Start).Round(time.Millisecond), second.Worker)
	case w != nil && !w.firstText().IsZero() && w.firstText().Before(second.Start):
		v.add("I5", n, second.Start, "called again by %s after the client had text", second.Worker)
	}
}

// firstText is when the client saw the first piece of the answer.
func (w *view) firstText() time.Time {
	for _, f := range w.Frames {
		if f.Content != "" {
			return f.At
		}
	}
	return time.Time{}
}
