package actors

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// doing is one thing that can happen to a run.
type doing struct {
	name string
	may  func(w *runWorld) bool
	do   func(w *runWorld)
}

func doings() []doing {
	always := func(w *runWorld) bool { return !w.over }
	asked := func(w *runWorld) bool { return w.vendor.open.Load() > 0 }
	word := func(c bus.Control) func(w *runWorld) { return func(w *runWorld) { w.word(c) } }
	gone := func(policy string, to uint64) func(w *runWorld) {
		return word(bus.Control{Type: bus.ControlGone, To: to, OnDisconnect: policy})
	}
	direct := func(m any) func(w *runWorld) {
		return func(w *runWorld) { w.root.Send(w.stage.self, m); w.pump() }
	}
	wait := func(d time.Duration) func(w *runWorld) { return func(w *runWorld) { w.pass(d) } }
	once := func(name string) func(w *runWorld) bool { // what changes nothing is tried at one place
		return func(w *runWorld) bool { return !w.over && !slices.Contains(w.log, name) }
	}
	failed := &protocol.Error{Code: protocol.ProviderRejected, Message: "m"}
	return []doing{
		{"text", asked, func(w *runWorld) {
			w.vendor.tell(func(s provider.Sink) (bool, error) { s.Text([]byte("x")); return false, nil })
			w.pump()
		}},
		{"complete", asked, func(w *runWorld) { w.vendor.tell(func(provider.Sink) (bool, error) { return true, nil }); w.pump() }},
		{"error", asked, func(w *runWorld) {
			w.vendor.tell(func(provider.Sink) (bool, error) { return true, failed })
			w.pump()
		}},
		{"deaf", func(w *runWorld) bool { return asked(w) && !w.vendor.deaf.Load() }, func(w *runWorld) {
			w.vendor.deaf.Store(true)
			w.vendor.tell(func(provider.Sink) (bool, error) { return false, nil })
		}},
		{"key", func(w *runWorld) bool { return always(w) && w.run.record.job.NeedsKey }, func(w *runWorld) {
			sealed, _ := bus.Seal(w.worker.keys.PublicKey(), []byte("k"), bus.SealInfo(w.run.record.id, "echo")) // else it cannot be opened
			w.word(bus.Control{Type: bus.ControlKey, To: 1, Sealed: sealed})
		}},
		{"broken key", func(w *runWorld) bool { return always(w) && w.run.record.job.NeedsKey }, word(bus.Control{Type: bus.ControlKey, To: 1, Sealed: []byte("x")})},
		{"cancel", always, word(bus.Control{Type: bus.ControlCancel, To: 1})},
		{"a stranger cancels", once("a stranger cancels"), word(bus.Control{Type: bus.ControlCancel, To: 9, Session: "other"})},
		{"resume", func(w *runWorld) bool { return always(w) && !w.joined }, func(w *runWorld) { w.joined = true; word(bus.Control{Type: bus.ControlResume, To: 2})(w) }},
		{"asks for what is missing", always, word(bus.Control{Type: bus.ControlResume, To: 1})},
		{"asks beyond the end", once("asks beyond the end"), word(bus.Control{Type: bus.ControlResume, To: 1, After: 99})},
		{"socket gone, grace", always, gone(protocol.OnDisconnectGrace, 1)},
		{"socket gone, cancel", always, gone(protocol.OnDisconnectCancel, 1)},
		{"gateway gone", always, gone("", 0)},
		{"release", always, word(bus.Control{Type: bus.ControlRelease, To: 1})},
		{"ack", always, word(bus.Control{Type: bus.ControlAck, To: 1})},
		{"ack of the second", func(w *runWorld) bool { return always(w) && w.joined }, word(bus.Control{Type: bus.ControlAck, To: 2})},
		{"repeat", func(w *runWorld) bool { return always(w) && w.again != nil }, func(w *runWorld) { w.again() }},
		{"speak", once("speak"), direct(&speak{})},
		{"shut down", always, direct(&shutDown{})},
		{"panic", always, func(w *runWorld) {
			w.stage.mishap, w.now = atOnce, w.stage
			direct(&speak{})(w)
			w.stage.mishap, w.now = noMishap, nil
		}},
		{"a moment", always, wait(nameAgain + 50*time.Millisecond)},
		{"stop is late", always, wait(stopPatience)},
		{"grace is over", always, wait(31 * time.Second)},
		{"silence", always, wait(DefaultRuns().FirstTokenTimeout)},
	}
}

// pick finds what can happen by its names.
func pick(names []string) (out []doing) {
	for _, name := range names {
		out = append(out, doings()[slices.IndexFunc(doings(), func(d doing) bool { return d.name == name })])
	}
	return out
}

// verdict brings a run to its end and lists what is wrong.
func (w *runWorld) verdict() []string {
	w.pass(31 * time.Second)
	w.word(bus.Control{Type: bus.ControlCancel, To: 1}) // whoever is left wants no more
	w.pass(stopPatience)
	w.vendor.deaf.Store(false)
	w.vendor.tell(func(provider.Sink) (bool, error) { return false, nil })
	w.pump()
	w.pass(DefaultRuns().FirstTokenTimeout + keyPatience)
	if !w.over && w.run.state != runOver {
		w.bad("I1: the run does not end")
	}
	w.word(bus.Control{Type: bus.ControlAck, To: 1})
	w.word(bus.Control{Type: bus.ControlAck, To: 2})
	w.pass(DefaultRuns().Keep)
	if w.skew != nil {
		w.skew(w)
	}
	w.judge()
	switch {
	case !w.over:
		w.bad("I8: the actor is left")
	case len(w.worker.runs.live()) > 0:
		w.bad("I8: the table is not empty")
	case w.worker.Active() != 0:
		w.bad("I4: %d slots are held", w.worker.Active())
	case w.worker.served["echo"].coming.Load() != 0:
		w.bad("I4: a place at the provider is held")
	case w.vendor.open.Load() > 0:
		w.bad("I4: the vendor is still asked")
	case w.vendor.calls.Load() > 1:
		w.bad("I5: %d calls", w.vendor.calls.Load())
	case w.accepted && len(w.bus.bills) != 1, !w.accepted && len(w.bus.bills) != 0:
		w.bad("I1: %d bills", len(w.bus.bills))
	}
	w.worker.active.Store(0) // the next order begins anew
	return w.wrong
}

// judge holds what the run said against the invariants.
func (w *runWorld) judge() {
	var final *bus.Event
	last, over := map[uint64]uint64{}, map[uint64]bool{}
	for _, e := range w.bus.events {
		switch e.Type {
		case bus.EventChunk:
			if e.Seq != last[e.To]+1 {
				w.bad("I2: chunk %d behind %d", e.Seq, last[e.To])
			}
			last[e.To] = e.Seq
		case bus.EventSnapshot:
			if e.From > last[e.To]+1 {
				w.bad("I2: a snapshot from %d behind %d", e.From, last[e.To])
			}
			last[e.To] = max(last[e.To], e.Seq)
			continue // an answer, at any time
		case bus.EventComplete, bus.EventCancelled, bus.EventError:
			if final == nil {
				final = &e.Event
			}
			if e.Type != final.Type || e.Seq != final.Seq || e.Code != final.Code {
				w.bad("I1: %s %d %s behind %s %d %s", e.Type, e.Seq, e.Code, final.Type, final.Seq, final.Code)
			}
			if e.Seq != last[e.To]+1 {
				w.bad("I2: the end is %d behind %d", e.Seq, last[e.To])
			}
			over[e.To] = true
			continue
		}
		if over[e.To] {
			w.bad("I1: %s behind the end", e.Type)
		}
	}
	for _, to := range w.owed {
		if !over[to] {
			w.bad("I1: follower %d was not told the end", to)
		}
	}
}

// runExploration is every order of what can happen to a run, up to a length.
type runExploration struct {
	*workshop
	worker *Worker
	bus    *fakeBus
	start  runStart
	skew   func(w *runWorld)
	orders int
	wrong  []string
}

func (x *runExploration) explore(order []doing, left int) {
	w := newRunWorld(x.workshop, x.worker, x.bus, x.start)
	for _, d := range order {
		w.log = append(w.log, d.name)
		d.do(w)
	}
	var next []doing
	for _, d := range doings() {
		if left > 0 && d.may(w) {
			next = append(next, d)
		}
	}
	w.skew = x.skew
	x.orders++
	if wrong := w.verdict(); len(wrong) > 0 && len(x.wrong) < 20 {
		x.wrong = append(x.wrong, x.start.name+": "+strings.Join(w.log, ", ")+": "+strings.Join(wrong, "; "))
	}
	for _, d := range next {
		x.explore(append(slices.Clone(order), d), left-1)
	}
}

// runOrdersLong is ordersLong of a run.
const runOrdersLong = 3

// TestEveryOrderOfARun: whatever happens to a run, in every order: one end, told
// to everybody who follows (I1), chunks without gap or repeat and nothing but
// answers behind the end (I2), the slot back and the vendor let go of at the end
// (I4), one call at most (I5), one bill, and nothing left of it (I8).
func TestEveryOrderOfARun(t *testing.T) {
	var all atomic.Int64
	t.Run("start", func(t *testing.T) {
		for _, start := range runStarts() {
			t.Run(start.name, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					x := &runExploration{start: start}
					x.workshop, x.worker, x.bus = newRunShop(t)
					x.explore(pick(start.after), orders(t, runOrdersLong))
					require.Empty(t, x.wrong, strings.Join(x.wrong, "\n"))
					all.Add(int64(x.orders))
				})
			})
		}
	})
	enough(t, all.Load(), 30_000)
}

// TestEveryOrderOfARunSees: what the exploration is for, broken once each, is
// found and named.
func TestEveryOrderOfARunSees(t *testing.T) {
	says := func(e bus.Event) func(w *runWorld) {
		return func(w *runWorld) {
			e.To = 1
			w.bus.events = append(w.bus.events, told{Event: e})
		}
	}
	forgets := func(kind string) func(w *runWorld) {
		return func(w *runWorld) {
			w.bus.events = slices.DeleteFunc(w.bus.events, func(e told) bool { return e.Type == kind })
		}
	}
	tests := map[string]struct {
		skew func(w *runWorld)
		want string
	}{
		"a second end":           {says(bus.Event{Type: bus.EventError, Seq: 1, Code: "X"}), "I1: error 1 X behind cancelled"},
		"an end that is not it":  {says(bus.Event{Type: bus.EventCancelled, Seq: 7}), "I2: the end is 7 behind 1"},
		"a chunk behind the end": {says(bus.Event{Type: bus.EventChunk, Seq: 2}), "I1: chunk behind the end"},
		"a lost chunk":           {forgets(bus.EventChunk), "I2: the end is 2 behind 0"},
		"no end":                 {forgets(bus.EventCancelled), "I1: follower 1 was not told the end"},
		"a slot that is held":    {func(w *runWorld) { w.worker.active.Add(1) }, "I4: 1 slots are held"},
		"a second call":          {func(w *runWorld) { w.vendor.calls.Add(1) }, "I5: 2 calls"},
		"a second bill":          {func(w *runWorld) { w.bus.bills = append(w.bus.bills, w.bus.bills...) }, "I1: 2 bills"},
		"a run that is left":     {func(w *runWorld) { w.over = false }, "I8: the actor is left"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x := &runExploration{start: runStarts()[0], skew: tt.skew}
				x.workshop, x.worker, x.bus = newRunShop(t)
				x.explore(pick([]string{"text"}), 0)
				require.Contains(t, strings.Join(x.wrong, "\n"), tt.want)
			})
		})
	}
}
