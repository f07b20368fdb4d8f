package main

import (
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// fullShare is what burners get at least of a machine that they fill: they are
// twice as many as its CPUs and always ready, and the fleet leaves them more.
const fullShare = 0.25

// expectation is what a scenario asks beyond the invariants.
type expectation func(*verdict)

// tellTime is how long clients of a killed worker may wait for a word.
const tellTime = 2 * time.Second

// leaveTime bounds the call of a run whose client went with its gateway.
const leaveTime = 2500 * time.Millisecond

// final tells whether the turn is the last word about its question: not asked
// again, and no second socket.
func (w *view) final() bool { return !w.Replaced && !w.Second }

func (v *verdict) expect(w *view, format string, args ...any) {
	v.add(expected, w.Ask.N, format, args...)
}

// allComplete: every answer was told to its end.
func allComplete(v *verdict) {
	for i := range v.views {
		if w := &v.views[i]; w.final() && !w.Cancel && w.outcome() != frames.Complete {
			v.expect(w, "ended %s %s", w.outcome(), w.code())
		}
	}
}

// allButLeaversComplete leaves out those who wanted their answers to end with
// their sockets.
func allButLeaversComplete(v *verdict) {
	for i := range v.views {
		if w := &v.views[i]; w.final() && w.Policy != policyCancel && w.outcome() != frames.Complete {
			v.expect(w, "ended %s %s", w.outcome(), w.code())
		}
	}
}

// honestEnds: every client was told something before it lost patience.
func honestEnds(v *verdict) {
	for i := range v.views {
		if w := &v.views[i]; w.final() && (w.outcome() == "" || w.outcome() == giveUpDeadline) {
			v.expect(w, "its client waited in vain")
		}
	}
}

// noError: nothing failed and nothing had to be asked again.
func noError(v *verdict) {
	for i := range v.views {
		if w := &v.views[i]; w.outcome() == frames.Error || w.Replaced {
			v.expect(w, "ended %s %s, asked again: %t", w.outcome(), w.code(), w.Replaced)
		}
	}
}

// noSocketLost: no socket ended but by its client.
func noSocketLost(v *verdict) {
	for i := range v.views {
		w := &v.views[i]
		for _, s := range w.Sockets {
			if !s.Own {
				v.expect(w, "lost its socket to %s: %s", s.Gateway, s.Why)
			}
		}
	}
}

// toldInTime: who had an answer at a worker that was killed hears within two
// seconds how it goes on, all but one in a hundred.
func toldInTime(v *verdict) {
	waits := v.killedToTold()
	if len(waits) > 0 && percentile(waits, 99) > tellTime {
		v.add(expected, 0, "p99 from the kill of a worker to a word is %s of %d streams", percentile(waits, 99).Round(time.Millisecond), len(waits))
	}
}

// fullLoad: whenever something was killed, burners had filled the machine before,
// and did until its clients had to be told.
func fullLoad(v *verdict) {
	if len(v.Loads) == 0 {
		v.add(expected, 0, "nobody burned")
	}
	for _, l := range v.Loads {
		if l.share() < fullShare {
			v.add(expected, 0, "%s: that is no load", l)
		}
	}
	for _, h := range v.Harms {
		covered := slices.ContainsFunc(v.Loads, func(l load) bool {
			return l.From.Before(h.From.Add(-loadBefore)) && l.To.After(h.From.Add(tellTime))
		})
		if h.Kind == harmKill && !covered {
			v.add(expected, 0, "%s was killed at %s, and nobody burned all around that moment", h.Target, h.From.Format(time.TimeOnly))
		}
	}
}

// othersUntouched: whose gateway and worker were left alone saw nothing.
func othersUntouched(v *verdict) {
	victims := map[string]bool{}
	for _, h := range v.Harms {
		victims[h.Target] = true
	}
	for i := range v.views {
		w := &v.views[i]
		list := v.calls[w.Ask.N]
		touched := slices.ContainsFunc(list, func(c mimic.Call) bool { return victims[c.Worker] }) ||
			slices.ContainsFunc(w.Gateways(), func(g string) bool { return victims[g] })
		if touched || len(list) == 0 || w.Second || w.Cancel {
			continue
		}
		if w.outcome() != frames.Complete || len(w.Sockets) != 1 {
			v.expect(w, "ended %s %s over %d sockets, and only others were hit", w.outcome(), w.code(), len(w.Sockets))
		}
	}
}

// leaversStopped: the calls of runs that nobody may come back for end soon after
// their gateway.
func leaversStopped(v *verdict) {
	for i := range v.views {
		w := &v.views[i]
		if w.Policy != policyCancel {
			continue
		}
		for _, h := range v.Harms {
			for _, c := range v.calls[w.Ask.N] {
				if !w.heldAt(h) || c.Start.After(h.From) {
					continue
				}
				if c.End.IsZero() || c.End.After(h.From.Add(leaveTime)) && !c.Done {
					v.expect(w, "its vendor call went on %s after its gateway was killed", c.End.Sub(h.From).Round(time.Millisecond))
				}
			}
		}
	}
}

// heldAt tells whether the turn had a live socket at the target when it was hit.
func (w *view) heldAt(h harm) bool {
	if !w.ended().IsZero() && w.ended().Before(h.From) {
		return false
	}
	return slices.ContainsFunc(w.Sockets, func(s follow.Record) bool {
		return s.Gateway == h.Target && s.Opened.Before(h.From) && s.Closed.After(h.From)
	})
}
