package actors

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// happening is one thing that can happen to a turn. It happens only where it
// can; may says so.
type happening struct {
	name string
	may  func(w *turnWorld) bool
	do   func(w *turnWorld)
}

func happenings() []happening {
	run := func(w *turnWorld) bool { return w.newest() != nil }
	ends := func(e bus.Event) func(w *turnWorld) {
		return func(w *turnWorld) { w.finish(w.newest(), e) }
	}
	failed := bus.Event{Type: bus.EventError, Code: string(protocol.ProviderUnavailable), Message: "m"}
	elsewhere := failed
	elsewhere.Elsewhere = true
	return []happening{
		{"accept", func(w *turnWorld) bool { j := w.open(); return j != nil && w.someWorker(j) != "" }, func(w *turnWorld) { w.take(w.open()) }},
		{"accept twice", func(w *turnWorld) bool {
			return !w.twice && w.late() == nil && len(w.jobs) > 0 && w.newestJob().takers == 1 && w.someWorker(w.newestJob()) != ""
		}, func(w *turnWorld) { w.twice = true; w.take(w.newestJob()) }},
		{"taken quietly", func(w *turnWorld) bool { j := w.open(); return !w.twice && j != nil && w.someWorker(j) != "" }, func(w *turnWorld) { w.begin(w.open(), w.someWorker(w.open())) }},
		{"accept of one given up", func(w *turnWorld) bool { return !w.twice && w.unseen() != nil }, (*turnWorld).takeUnseen},
		{"accept late", func(w *turnWorld) bool { return w.late() != nil }, func(w *turnWorld) { w.accept(w.late()) }},
		{"busy", func(w *turnWorld) bool { return w.open() != nil }, func(w *turnWorld) {
			to := w.turnDown()
			w.bring(func() { w.g.Reply(to, &bus.Reply{Type: bus.ReplyBusy, Worker: "wa"}) })
		}},
		{"nobody", func(w *turnWorld) bool { return w.open() != nil }, func(w *turnWorld) {
			to := w.turnDown()
			w.bring(func() { w.g.NoResponders(to) })
		}},
		{"chunk", run, func(w *turnWorld) { w.chunk(w.newest(), true) }},
		{"gap", run, func(w *turnWorld) { r := w.newest(); w.chunk(r, false); w.chunk(r, true) }},
		{"snapshot", func(w *turnWorld) bool { return w.asker() != nil }, func(w *turnWorld) { w.answer(w.asker()) }},
		{"says its seq", run, func(w *turnWorld) {
			r := w.newest()
			w.say(r, bus.Event{Type: bus.EventStatus, Run: r.id, Seq: r.script.seq(), State: protocol.StateStreaming})
		}},
		{"complete", run, ends(bus.Event{Type: bus.EventComplete, Finish: protocol.FinishStop})},
		{"last chunk lost, complete", run, func(w *turnWorld) { w.chunk(w.newest(), false); ends(bus.Event{Type: bus.EventComplete})(w) }},
		{"cancelled", func(w *turnWorld) bool { return run(w) && w.newest().cancel }, ends(bus.Event{Type: bus.EventCancelled})},
		{"error", run, func(w *turnWorld) { w.excused = true; ends(failed)(w) }},
		{"elsewhere", func(w *turnWorld) bool { return run(w) && w.newest().script.seq() == 0 }, func(w *turnWorld) { w.excused, w.moved = true, true; ends(elsewhere)(w) }},
		{"end said again", func(w *turnWorld) bool { return w.teller() != nil }, func(w *turnWorld) { r := w.teller(); w.say(r, *r.final) }},
		{"repeat", func(w *turnWorld) bool { return w.again != nil }, func(w *turnWorld) { w.bring(w.again) }},
		{"cancel", func(w *turnWorld) bool { return !w.cancelled && !w.first.ended }, func(w *turnWorld) {
			w.cancelled = true
			w.first.Receive(&protocol.Cancel{ID: "1"})
			w.pump()
		}},
		{"worker lost", func(w *turnWorld) bool { return w.worker() != "" }, func(w *turnWorld) { w.excused = true; w.lose(w.worker()) }},
		{"bus down", func(w *turnWorld) bool { return !w.bus.down }, func(w *turnWorld) { w.excused, w.bus.down = true, true; w.g.BusDown() }},
		{"bus up", func(w *turnWorld) bool { return w.bus.down }, (*turnWorld).up},
		{"a moment", func(*turnWorld) bool { return true }, func(w *turnWorld) { w.pass(offerTimeout+100*time.Millisecond, 200*time.Millisecond) }},
		{"silence", func(*turnWorld) bool { return true }, func(w *turnWorld) { w.excused = true; w.pass(31*time.Second, 31*time.Second); w.look() }},
		{"socket gone", func(w *turnWorld) bool { return !w.first.ended }, func(w *turnWorld) { w.first.socket.leave(protocol.CauseGone); w.pump() }},
		{"resume", func(w *turnWorld) bool { return w.second == nil && w.known() != "" }, func(w *turnWorld) {
			run := w.known()
			w.second = w.connect()
			w.second.Receive(&protocol.Resume{ID: "2", RunID: run})
			w.pump()
		}},
	}
}

// Receive is what the transport does with a request.
func (d *driven) Receive(r protocol.Request) { d.Session.Receive(r) }

func (w *turnWorld) newestJob() *worldJob { return w.jobs[len(w.jobs)-1] }

// turnDown makes the open job one that nobody takes, and tells its name.
func (w *turnWorld) turnDown() (to uint64) {
	j := w.open()
	j.given, j.declined = []string{"wa", "wb"}, true
	w.excused = true
	return j.To
}

// asker is a run that was asked for what is missing.
func (w *turnWorld) asker() *worldRun {
	i := slices.IndexFunc(w.runs, func(r *worldRun) bool { return len(r.asked) > 0 && !r.lost })
	if i < 0 {
		return nil
	}
	return w.runs[i]
}

// teller is a run whose end nobody has acknowledged.
func (w *turnWorld) teller() *worldRun {
	i := slices.IndexFunc(w.runs, func(r *worldRun) bool { return r.final != nil && len(r.follow) > 0 && !r.lost })
	if i < 0 {
		return nil
	}
	return w.runs[i]
}

// worker is where the newest run lives, if that worker lives.
func (w *turnWorld) worker() string {
	if len(w.runs) > 0 && !w.runs[len(w.runs)-1].lost {
		return w.runs[len(w.runs)-1].worker
	}
	return ""
}

// known is a run that the first socket's client has heard of.
func (w *turnWorld) known() (run string) {
	for _, f := range w.first.socket.frames {
		if f.Type == protocol.TypeAccepted {
			run = f.RunID
		}
	}
	return run
}

// play makes a world in which a question was just asked, and lets things happen.
func play(shop *workshop, order []happening, before func(w *turnWorld)) *turnWorld {
	w := newTurnWorld(shop)
	w.first = w.connect()
	if before != nil {
		before(w)
	}
	w.first.Receive(&protocol.Chat{ID: "1", Content: "hi"})
	w.pump()
	for _, h := range order {
		w.log = append(w.log, h.name)
		h.do(w)
	}
	return w
}

// verdict brings a world to rest and lists what is wrong with it.
func (w *turnWorld) verdict() (wrong []string) {
	w.rest()
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	w.judge(w.first, "1", bad)
	if w.second != nil {
		w.judge(w.second, "2", bad)
	}
	for _, d := range w.connections() {
		if !d.ended {
			d.socket.leave(protocol.CauseClient)
		}
	}
	w.pump()
	if n := w.g.followers.count(); n > 0 {
		bad("I8: %d names on the bus are left", n)
	}
	for _, r := range w.runs {
		if !r.lost && len(r.follow) > 0 {
			bad("I4: run %s was never let go", r.id)
		}
	}
	if calls, most := w.calls(); calls > most {
		bad("I5: vendors were asked %d times where %d would do", calls, most)
	}
	return wrong
}

// calls is how many runs the question became, and how many it may: a second one
// only because a worker was lost or asked for it. The bus's own repeats are not
// counted.
func (w *turnWorld) calls() (calls, most int) {
	calls, most = len(w.runs), 1
	if w.twice {
		calls--
	}
	if w.lostWorkers > 0 || w.moved {
		most = 2
	}
	return calls, most
}

// judge holds what one client saw against the invariants.
func (w *turnWorld) judge(d *driven, id string, bad func(string, ...any)) {
	if d.crashed {
		bad("F2: the connection panicked")
	}
	var runs []string
	ends, seq, shown := 0, uint64(0), []byte(nil)
	for _, f := range d.socket.frames {
		mine := f.ID == id || f.For != ""
		if !mine {
			continue
		}
		if ends > 0 && f.For == "" {
			bad("I1: %s behind the end", f.Type)
		}
		switch f.Type {
		case protocol.TypeAccepted:
			if !slices.Contains(runs, f.RunID) {
				runs = append(runs, f.RunID)
				if len(runs) > 1 && seq > 0 {
					bad("I5: asked again after %d chunks", seq)
				}
			}
		case protocol.TypeChunk, protocol.TypeSnapshot:
			from := f.Seq
			if f.From > 0 {
				from = f.From
			}
			if f.Type == protocol.TypeSnapshot {
				from = 1
			}
			if from != seq+1 || !bytes.Equal(f.Text, words(from, f.Seq)) {
				bad("I2: %d to %d behind %d, with %q", from, f.Seq, seq, f.Text)
			}
			seq = f.Seq
			shown = append(shown, f.Text...)
		case protocol.TypeComplete, protocol.TypeCancelled, protocol.TypeError:
			if f.For == protocol.ForCancel {
				continue // an answer to the request, no end of a turn
			}
			ends++
			if !bytes.Equal(f.Text, shown) {
				bad("I2: the end says %q where %q was shown", f.Text, shown)
			}
			if f.Type != protocol.TypeError && f.Seq != seq+1 {
				bad("I2: the end is number %d behind %d", f.Seq, seq)
			}
			w.excuse(f, bad)
		}
	}
	switch {
	case ends > 1:
		bad("I1: %d ends", ends)
	case ends == 0 && !d.ended:
		bad("I1: no end")
	case len(runs) > 2:
		bad("I5: %d runs", len(runs))
	}
}

// excuse: an answer ends otherwise than whole only for a reason.
func (w *turnWorld) excuse(f protocol.Frame, bad func(string, ...any)) {
	switch {
	case f.Type == protocol.TypeCancelled && !w.cancelled:
		bad("I1: cancelled by nobody")
	case f.Type == protocol.TypeError && !w.excused && f.For == "":
		bad("I1: %s for no reason", f.Code)
	}
}

// exploration is every order of what can happen, up to a length.
type exploration struct {
	orders int
	wrong  []string
}

// explore plays an order, judges it, and goes on with everything that can happen
// next.
func (x *exploration) explore(shop *workshop, order []happening, left int, before func(w *turnWorld)) {
	w := play(shop, order, before)
	var next []happening
	for _, h := range happenings() {
		if left > 0 && h.may(w) {
			next = append(next, h)
		}
	}
	x.orders++
	if wrong := w.verdict(); len(wrong) > 0 && len(x.wrong) < 20 {
		x.wrong = append(x.wrong, fmt.Sprintf("%s: %s", strings.Join(w.log, ", "), strings.Join(wrong, "; ")))
	}
	for _, h := range next {
		x.explore(shop, append(slices.Clone(order), h), left-1, before)
	}
}

// ordersLong is how many things happen to a turn after its question. Each more
// is ten times as many orders; MORE_ORDERS=1 is one more. With the race detector it is
// one less: `make test` runs these tests without it, too.
const ordersLong = 5

func orders(t *testing.T, long int) int {
	t.Helper()
	more, err := strconv.Atoi(cmp.Or(os.Getenv("MORE_ORDERS"), "0"))
	require.NoError(t, err)
	if raceDetected {
		more--
	}
	return long + more
}

// enough checks that an exploration went far.
func enough(t *testing.T, orders, least int64) {
	t.Helper()
	if !raceDetected {
		require.Greater(t, orders, least)
	}
	require.NotZero(t, orders)
	t.Logf("%d orders", orders)
}

// TestEveryOrderOfATurn: whatever happens to a question, in every order: exactly
// one end (I1), the text without gap or repeat (I2), nothing behind the end, a
// second run only before the first chunk (I5), every run let go of and no name
// left.
func TestEveryOrderOfATurn(t *testing.T) {
	var all atomic.Int64
	t.Run("first", func(t *testing.T) {
		for i := range happenings() {
			t.Run(happenings()[i].name, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					x, shop := &exploration{}, newWorkshop()
					if first := happenings()[i]; first.may(play(shop, nil, nil)) {
						x.explore(shop, []happening{first}, orders(t, ordersLong)-1, nil)
					}
					require.Empty(t, x.wrong, strings.Join(x.wrong, "\n"))
					all.Add(int64(x.orders))
				})
			})
		}
	})
	enough(t, all.Load(), 100_000)
}

// skewed is a socket that is not true to its connection: what it is handed comes
// out as it likes.
type skewed struct {
	*fakeSocket
	out func(s *fakeSocket, f *protocol.Frame)
}

// Send implements Socket.
func (s skewed) Send(f *protocol.Frame) { s.out(s.fakeSocket, f) }

// Queue implements Socket.
func (s skewed) Queue(f *protocol.Frame) { s.out(s.fakeSocket, f) }

// TestEveryOrderSees: what the exploration is for, broken once each, is found and
// named.
func TestEveryOrderSees(t *testing.T) {
	through := func(out func(s *fakeSocket, f *protocol.Frame)) func(w *turnWorld) {
		return func(w *turnWorld) { w.first.Session.socket = skewed{w.first.socket, out} }
	}
	isEnd := func(f *protocol.Frame) bool {
		return f.Type == protocol.TypeComplete || f.Type == protocol.TypeCancelled || f.Type == protocol.TypeError
	}
	tests := map[string]struct {
		before func(w *turnWorld)
		want   string
	}{
		"a second end": {through(func(s *fakeSocket, f *protocol.Frame) {
			s.Send(f)
			if isEnd(f) {
				s.Send(f)
			}
		}), "I1: 2 ends"},
		"no end": {through(func(s *fakeSocket, f *protocol.Frame) {
			if !isEnd(f) {
				s.Send(f)
			}
		}), "I1: no end"},
		"a word behind the end": {through(func(s *fakeSocket, f *protocol.Frame) {
			s.Send(f)
			if isEnd(f) {
				s.Send(&protocol.Frame{Type: protocol.TypeStatus, ID: f.ID})
			}
		}), "I1: status behind the end"},
		"a lost chunk": {through(func(s *fakeSocket, f *protocol.Frame) {
			if f.Type != protocol.TypeChunk || f.Seq != 1 {
				s.Send(f)
			}
		}), "I2: "},
		"a chunk twice": {through(func(s *fakeSocket, f *protocol.Frame) {
			s.Send(f)
			if f.Type == protocol.TypeChunk {
				s.Send(f)
			}
		}), "I2: 1 to 1 behind 1"},
		"another run behind a chunk": {through(func(s *fakeSocket, f *protocol.Frame) {
			s.Send(f)
			if f.Type == protocol.TypeChunk {
				s.Send(&protocol.Frame{Type: protocol.TypeAccepted, Named: true, ID: f.ID, RunID: "wb-Z"})
			}
		}), "I5: asked again after 1 chunks"},
		"nobody lets go": {func(w *turnWorld) { w.forgetful = true }, "I4: run wa-A was never let go"},
		"an end for no reason": {through(func(s *fakeSocket, f *protocol.Frame) {
			if f.Type == protocol.TypeComplete {
				f.Type = protocol.TypeError
			}
			s.Send(f)
		}), "I1:  for no reason"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x := &exploration{}
				x.explore(newWorkshop(), nil, 2, tt.before)
				require.Contains(t, strings.Join(x.wrong, "\n"), tt.want)
			})
		})
	}
}
