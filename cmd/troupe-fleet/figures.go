package main

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
)

// figures are what a verdict leaves for the table.
type figures struct {
	Told     []time.Duration `json:"-"` // kill of a worker → a word to the client
	Resumed  []time.Duration `json:"-"` // kill of a gateway → the client has its stream again
	Cancels  []time.Duration `json:"-"` // cancel → the vendor sees the connection closed
	Lost     int             `json:"lost"`
	Twice    int             `json:"twice"`
	Streams  int             `json:"streams"`
	Complete int             `json:"complete"`
	Stopped  int             `json:"cancelled"`
	Errors   map[string]int  `json:"errors,omitempty"`
	Again    int             `json:"asked_again"`
	Moved    int             `json:"moved"` // went on in another run before their first chunk
	Resumes  int             `json:"resumes"`
	Slots    int             `json:"slots_compared"` // moments in which slots and sockets were compared
	Calls    int             `json:"calls_compared"` // and calls with runs
}

func (v *verdict) figures() figures {
	f := figures{Told: v.killedToTold(), Resumed: v.killedToResumed(), Cancels: v.cancels(), Errors: map[string]int{}}
	for i := range v.views {
		w := &v.views[i]
		f.Resumes += len(w.Resumes)
		if w.runs() > 1 {
			f.Moved++
		}
		if w.Replaced {
			f.Again++
		}
		if !w.final() {
			continue
		}
		f.Streams++
		switch outcome := w.outcome(); outcome {
		case frames.Complete:
			f.Complete++
		case frames.Cancelled:
			f.Stopped++
		case frames.Error:
			f.Errors[w.code()]++
		default:
			f.Errors[outcome]++
		}
		if w.outcome() == "" || w.outcome() == giveUpDeadline {
			f.Lost++
		}
	}
	for _, s := range v.Samples {
		if s.Quiet {
			f.Slots += len(s.Slots)
		}
		if s.Known {
			f.Calls++
		}
	}
	for _, b := range v.breaches {
		if b.Invariant == inv5 && strings.Contains(b.What, "call") {
			f.Twice++
		}
	}
	return f
}

// runs counts those that the turn was told of.
func (w *view) runs() int {
	names := map[string]bool{}
	for _, b := range w.bodies {
		if b.Type == frames.Accepted {
			names[b.RunID] = true
		}
	}
	return len(names)
}

// add takes another round's.
func (f *figures) add(o figures) {
	f.Told = append(f.Told, o.Told...)
	f.Resumed = append(f.Resumed, o.Resumed...)
	f.Cancels = append(f.Cancels, o.Cancels...)
	f.Lost += o.Lost
	f.Twice += o.Twice
	f.Streams += o.Streams
	f.Complete += o.Complete
	f.Stopped += o.Stopped
	f.Again += o.Again
	f.Moved += o.Moved
	f.Slots += o.Slots
	f.Calls += o.Calls
	f.Resumes += o.Resumes
	if f.Errors == nil {
		f.Errors = map[string]int{}
	}
	for code, n := range o.Errors {
		f.Errors[code] += n
	}
}

// killedToTold measures, for each stream whose vendor call a kill cut, the time
// until its client had an end or the name of another run.
func (v *verdict) killedToTold() (waits []time.Duration) {
	for _, h := range v.Harms {
		if h.Kind != harmKill {
			continue
		}
		for i := range v.views {
			w := &v.views[i]
			cut := slices.ContainsFunc(v.calls[w.Ask.N], func(c mimic.Call) bool {
				return c.Worker == h.Target && c.Start.Before(h.From) && !c.End.Before(h.From)
			})
			if !cut || w.Second {
				continue
			}
			if at := w.toldAfter(h.From); !at.IsZero() {
				waits = append(waits, at.Sub(h.From))
			}
		}
	}
	return waits
}

// toldAfter is when the client first heard an end or of a new run.
func (w *view) toldAfter(from time.Time) time.Time {
	for i, b := range w.bodies {
		if w.Frames[i].At.After(from) && (b.Ends(w.ID) || b.Type == frames.Accepted) {
			return w.Frames[i].At
		}
	}
	return time.Time{}
}

// killedToResumed measures from the kill of a gateway to the snapshot or the end
// that its clients got elsewhere.
func (v *verdict) killedToResumed() (waits []time.Duration) {
	for _, h := range v.Harms {
		if h.Kind != harmKill || !strings.HasPrefix(h.Target, roleGateway) {
			continue
		}
		for i := range v.views {
			w := &v.views[i]
			if !w.heldAt(h) {
				continue
			}
			for j, b := range w.bodies {
				if w.Frames[j].At.After(h.From) && (b.Type == frames.Snapshot || b.Ends(w.ID)) {
					waits = append(waits, w.Frames[j].At.Sub(h.From))
					break
				}
			}
		}
	}
	return waits
}

// cancels measures from the word cancel to the end of the vendor's connection.
func (v *verdict) cancels() (waits []time.Duration) {
	for i := range v.views {
		w := &v.views[i]
		if w.Stopped.IsZero() {
			continue
		}
		for _, c := range v.calls[w.Ask.N] {
			if !c.Done && c.End.After(w.Stopped) {
				waits = append(waits, c.End.Sub(w.Stopped))
			}
		}
	}
	return waits
}

// percentile is the smallest value that p of a hundred do not exceed; 0 without
// values.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
