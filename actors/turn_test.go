package actors

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

func (s turnState) String() string {
	return [...]string{"asked", "queued", "offered", "withdrawing", "seeking", "finding", "accepted", "streaming", "ended"}[s]
}

func (v verb) String() string {
	return [...]string{"", "offer", "withdraw", "wait", "key", "release", "cancel", "heal", "ack", "move"}[v]
}

// epoch is when the tables begin. The queue is open until a second later.
func epoch() time.Time { return time.Unix(1_700_000_000, 0) }

// words is the text of chunks from to to, as the run of every test says it.
func words(from, to uint64) []byte {
	var b bytes.Buffer
	for ; from <= to; from++ {
		fmt.Fprintf(&b, "<%d>", from)
	}
	return b.Bytes()
}

func snapshotOf(from, to uint64, more bool) *bus.Event {
	return &bus.Event{Type: bus.EventSnapshot, From: from, Seq: to, More: more, Text: words(from, to)}
}

// input is one thing that can happen to a turn.
type input struct {
	name string
	do   func(t *turn) step
}

func inputs() []input {
	return []input{
		{"allowed", func(t *turn) step { return t.allowed(epoch().Add(time.Second)) }},
		{"busy", func(t *turn) step { return t.noRoom(epoch(), true) }},
		{"full", func(t *turn) step { return t.noRoom(epoch(), false) }},
		{"full too long", func(t *turn) step { return t.noRoom(epoch().Add(time.Hour), false) }},
		{"unanswered", func(t *turn) step { return t.noAccept() }},
		{"given back", func(t *turn) step { return t.withdrawn(epoch(), true) }},
		{"never given back", func(t *turn) step { return t.withdrawn(epoch(), false) }},
		{"retry", func(t *turn) step { return t.retry() }},
		{"accepted", func(t *turn) step { return t.accepted("w1-a", "w1", false) }},
		{"accepted again", func(t *turn) step { return t.accepted("w1-run", "w1", false) }},
		{"found", func(t *turn) step { return t.found("w1-run", "w1") }},
		{"missing", func(t *turn) step { return t.missing() }},
		{"snapshot", func(t *turn) step { return t.snapshot(snapshotOf(t.seq+1, t.seq+2, false)) }},
		{"snapshot part", func(t *turn) step { return t.snapshot(snapshotOf(t.seq+1, t.seq+2, true)) }},
		{"snapshot empty", func(t *turn) step { return t.snapshot(snapshotOf(t.seq+1, t.seq, false)) }},
		{"snapshot late", func(t *turn) step { return t.snapshot(snapshotOf(t.seq+2, t.seq+3, false)) }},
		{"silent behind", func(t *turn) step { return t.silent(t.seq) }},
		{"silent ahead", func(t *turn) step { return t.silent(t.seq + 1) }},
		{"heal", func(t *turn) step { return t.heal() }},
		{"complete", func(t *turn) step { return t.ended(&bus.Event{Type: bus.EventComplete, Seq: t.seq + 1}) }},
		{"complete early", func(t *turn) step { return t.ended(&bus.Event{Type: bus.EventComplete, Seq: t.seq + 3}) }},
		{"cancelled", func(t *turn) step { return t.ended(&bus.Event{Type: bus.EventCancelled, Seq: t.seq + 1}) }},
		{"error", func(t *turn) step {
			return t.ended(&bus.Event{Type: bus.EventError, Seq: t.seq + 1, Code: string(protocol.ProviderTimeout)})
		}},
		{"cancel", func(t *turn) step { return t.cancel() }},
		{"lost", func(t *turn) step { return t.lost() }},
		{"fail", func(t *turn) step { return t.fail(protocol.BusUnavailable, "m", 1) }},
		{"long silence", func(t *turn) step { return t.silence(epoch().Add(silenceStatus)) }},
		{"short silence", func(t *turn) step { return t.silence(epoch().Add(silenceStatus - 1)) }},
	}
}

// turnIn is a named turn in a state, with two chunks where it streams.
func turnIn(s turnState) *turn {
	t := &turn{id: "1", named: true, attempts: 2, attempt: 1, offers: 1, state: s, heard: epoch(), until: epoch().Add(time.Second)}
	if s >= turnAccepted {
		t.run, t.worker = "w1-run", "w1"
	}
	if s >= turnStreaming {
		t.seq, t.text = 2, words(1, 2)
	}
	if s == turnSeeking || s == turnFinding {
		t.viewer, t.forWhat = s == turnFinding, protocol.ForResume
	}
	return t
}

// outcome says a transition in words: state, what to do, what is told.
func outcome(t *turn, s step) string {
	out := t.state.String()
	if s.verb != doNothing {
		out += " +" + s.verb.String()
	}
	if s.send {
		out += " !" + string(s.frame.Type)
		switch s.frame.Type {
		case protocol.TypeError:
			out += ":" + string(s.frame.Code)
		case protocol.TypeStatus:
			out += ":" + s.frame.State
		}
	}
	if s.end {
		out += " end"
	}
	return out
}

// TestTurnTable holds every state against every input.
func TestTurnTable(t *testing.T) {
	table := map[turnState]map[string]string{ // what is not named changes nothing and says nothing
		turnAsked: {
			"allowed": "offered +offer",
			"cancel":  "ended !cancelled end", "fail": "ended !error:BUS_UNAVAILABLE end",
			"accepted": "asked +release", "accepted again": "asked +release",
			"complete": "asked +ack", "complete early": "asked +ack", "cancelled": "asked +ack", "error": "asked +ack",
		},
		turnQueued: {
			"retry":  "offered +offer",
			"cancel": "ended !cancelled end", "fail": "ended !error:BUS_UNAVAILABLE end",
			"accepted": "queued +release", "accepted again": "queued +release",
			"complete": "queued +ack", "complete early": "queued +ack", "cancelled": "queued +ack", "error": "queued +ack",
			"long silence": "queued !status:queued",
		},
		turnOffered: {
			"busy": "offered +offer", "full": "queued +wait !status:queued", "full too long": "ended !error:OVERLOADED end",
			"accepted": "accepted !accepted", "accepted again": "accepted !accepted",
			"complete": "offered +ack", "complete early": "offered +ack", "cancelled": "offered +ack", "error": "offered +ack",
			"unanswered": "withdrawing +withdraw",
			"cancel":     "offered", "fail": "ended !error:BUS_UNAVAILABLE end",
			"long silence": "offered !status:queued",
		},
		turnWithdrawing: {
			"given back": "offered +offer", "never given back": "offered +offer",
			"busy": "offered +offer", "full": "queued +wait !status:queued", "full too long": "ended !error:OVERLOADED end",
			"accepted": "accepted !accepted", "accepted again": "accepted !accepted",
			"complete": "withdrawing +ack", "complete early": "withdrawing +ack", "cancelled": "withdrawing +ack", "error": "withdrawing +ack",
			"cancel": "withdrawing", "fail": "ended !error:BUS_UNAVAILABLE end",
			"long silence": "withdrawing !status:queued",
		},
		turnSeeking: {
			"accepted": "seeking +release", "accepted again": "seeking +release",
			"missing":  "ended !error:RUN_NOT_FOUND end",
			"complete": "seeking +ack", "complete early": "seeking +ack", "cancelled": "seeking +ack", "error": "seeking +ack",
			"cancel": "seeking", "fail": "ended !error:BUS_UNAVAILABLE end",
		},
		turnFinding: {
			"accepted": "finding +release", "accepted again": "finding +release",
			"found": "accepted", "missing": "ended !error:RUN_NOT_FOUND end", "lost": "ended !error:RUN_NOT_FOUND end",
			"complete": "finding +ack", "complete early": "finding +ack", "cancelled": "finding +ack", "error": "finding +ack",
			"cancel": "finding", "fail": "ended !error:BUS_UNAVAILABLE end",
		},
		turnAccepted: {
			"accepted": "accepted +release", "missing": "offered +offer", "lost": "offered +offer",
			"snapshot": "streaming !chunk", "snapshot part": "streaming !chunk", "snapshot late": "accepted +heal",
			"silent ahead": "accepted +heal", "heal": "accepted +heal",
			"complete": "ended +ack !complete end", "complete early": "accepted +heal",
			"cancelled": "ended +ack !cancelled end", "error": "ended +ack !error:PROVIDER_TIMEOUT end",
			"cancel": "accepted +cancel", "fail": "ended !error:BUS_UNAVAILABLE end",
			"long silence": "accepted !status:waiting",
		},
		turnStreaming: {
			"accepted": "streaming +release", "missing": "ended !error:WORKER_LOST end", "lost": "ended !error:WORKER_LOST end",
			"snapshot": "streaming !chunk", "snapshot part": "streaming !chunk", "snapshot late": "streaming +heal",
			"silent ahead": "streaming +heal", "heal": "streaming +heal",
			"complete": "ended +ack !complete end", "complete early": "streaming +heal",
			"cancelled": "ended +ack !cancelled end", "error": "ended +ack !error:PROVIDER_TIMEOUT end",
			"cancel": "streaming +cancel", "fail": "ended !error:BUS_UNAVAILABLE end",
			"long silence": "streaming !status:streaming",
		},
		turnEnded: {
			"accepted": "ended +release",
			"complete": "ended +ack", "complete early": "ended +ack", "cancelled": "ended +ack", "error": "ended +ack",
		},
	}
	for state, row := range table {
		for _, in := range inputs() {
			if in.name == "allowed" && state != turnAsked {
				continue // said once, to a new turn
			}
			t.Run(state.String()+"/"+in.name, func(t *testing.T) {
				want, named := row[in.name]
				if !named {
					want = state.String()
				}
				turn := turnIn(state)
				require.Equal(t, want, outcome(turn, in.do(turn)))
			})
		}
	}
}

func TestTurnChunk(t *testing.T) {
	tests := []struct {
		name    string
		state   turnState
		viewer  bool
		healing bool
		seq     uint64
		want    verdict
	}{
		{"next", turnStreaming, false, false, 3, chunkNext},
		{"old", turnStreaming, false, false, 2, chunkIgnored},
		{"gap", turnStreaming, false, false, 4, chunkGap},
		{"while healing", turnStreaming, false, true, 3, chunkIgnored},
		{"first", turnAccepted, false, false, 1, chunkNext},
		{"first of a viewer, before its snapshot", turnAccepted, true, false, 1, chunkGap},
		{"next of a viewer", turnStreaming, true, false, 3, chunkNext},
		{"nobody accepted", turnOffered, false, false, 1, chunkIgnored},
		{"nothing found", turnFinding, true, false, 1, chunkIgnored},
		{"over", turnEnded, false, false, 3, chunkIgnored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			turn := turnIn(tt.state)
			turn.viewer, turn.healing = tt.viewer, tt.healing
			before := turn.seq
			require.Equal(t, tt.want, turn.chunk(tt.seq, words(tt.seq, tt.seq)))
			if tt.want == chunkNext {
				require.Equal(t, before+1, turn.seq)
				require.Equal(t, string(words(1, turn.seq)), string(turn.text))
				return
			}
			require.Equal(t, before, turn.seq)
			require.Equal(t, tt.want == chunkGap || tt.healing, turn.healing)
		})
	}
}

// TestTurnThreeOffers: busy workers are asked around three times, then a named
// turn queues and an unnamed one hears OVERLOADED.
func TestTurnThreeOffers(t *testing.T) {
	for _, id := range []string{"1", ""} {
		turn := &turn{id: id, named: true, attempts: 2}
		got := []string{outcome(turn, turn.allowed(epoch().Add(time.Second)))}
		for range offersMax {
			got = append(got, outcome(turn, turn.noRoom(epoch(), true)))
		}
		want := []string{"offered +offer", "offered +offer", "offered +offer", "ended !error:OVERLOADED end"} // three in all
		if id != "" {
			want[3] = "queued +wait !status:queued"
		}
		require.Equal(t, want, got)
	}
}

// TestTurnSecondAttempt: one more attempt, and only before the first chunk.
func TestTurnSecondAttempt(t *testing.T) {
	turn := &turn{id: "1", named: true, attempts: 2}
	turn.allowed(epoch())
	require.Equal(t, "accepted !accepted", outcome(turn, turn.accepted("w1-a", "w1", false)))
	require.Equal(t, "offered +offer", outcome(turn, turn.lost()))
	s := turn.accepted("w2-b", "w2", true)
	require.Equal(t, "accepted +key !accepted", outcome(turn, s))
	require.Equal(t, "w2-b", s.frame.RunID)
	require.Equal(t, "ended !error:WORKER_LOST end", outcome(turn, turn.lost()), "a third worker must not be asked")

	unsure := turnIn(turnWithdrawing)
	require.Equal(t, "offered +offer", outcome(unsure, unsure.withdrawn(epoch(), false)), "the worker that may have it is lost")
	require.Equal(t, "withdrawing +withdraw", outcome(unsure, unsure.noAccept()))
	require.Equal(t, "ended !error:WORKER_LOST end", outcome(unsure, unsure.withdrawn(epoch(), false)), "a third call must not be")

	sure := turnIn(turnWithdrawing)
	for range 3 * offersMax {
		if sure.withdrawn(epoch(), true); sure.state == turnQueued {
			sure.retry()
		}
		sure.noAccept()
	}
	require.Equal(t, 1, sure.attempt, "an offer that was given back is no attempt")

	single := turnIn(turnAccepted)
	single.attempts = 1
	require.Equal(t, "ended !error:WORKER_LOST end", outcome(single, single.lost()))

	healed := turnIn(turnAccepted)
	healed.heal()
	healed.snapshot(snapshotOf(1, 0, false))
	require.Equal(t, "offered +offer", outcome(healed, healed.lost()), "an empty snapshot showed nothing")
}

// TestTurnCancel: what a client hears that cancelled, whatever comes first.
func TestTurnCancel(t *testing.T) {
	tests := []struct {
		name  string
		state turnState
		then  string
		want  string
	}{
		{"then accepted", turnOffered, "accepted", "accepted +cancel !accepted"},
		{"then no room", turnOffered, "full", "ended !cancelled end"},
		{"then unanswered", turnOffered, "unanswered", "withdrawing +withdraw"},
		{"then accepted late", turnWithdrawing, "accepted", "accepted +cancel !accepted"},
		{"then given back", turnWithdrawing, "given back", "ended !cancelled end"},
		{"then never given back", turnWithdrawing, "never given back", "ended !cancelled end"},
		{"then found", turnFinding, "found", "accepted +cancel"},
		{"then lost before a chunk", turnAccepted, "lost", "ended !cancelled end"},
		{"then lost after a chunk", turnStreaming, "lost", "ended !cancelled end"},
		{"then complete after all", turnStreaming, "complete", "ended +ack !complete end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			turn := turnIn(tt.state)
			turn.cancel()
			for _, in := range inputs() {
				if in.name == tt.then {
					require.Equal(t, tt.want, outcome(turn, in.do(turn)))
				}
			}
		})
	}
}

// TestTurnOverlap: a snapshot that chunks have overtaken is asked for again; its
// text would be shown twice.
func TestTurnOverlap(t *testing.T) {
	turn := turnIn(turnStreaming)
	require.Equal(t, "streaming +heal", outcome(turn, turn.snapshot(snapshotOf(1, 4, false))))
	require.EqualValues(t, 2, turn.seq)
	require.Equal(t, "streaming !chunk", outcome(turn, turn.snapshot(snapshotOf(3, 4, false))))
	require.Equal(t, string(words(1, 4)), string(turn.text))
}

// TestTurnViewerFrames: exactly one snapshot with what the client misses.
func TestTurnViewerFrames(t *testing.T) {
	for _, after := range []uint64{0, 1, 3, 4} {
		turn := &turn{id: "v", named: true, viewer: true, forWhat: protocol.ForResume, after: after, state: turnFinding}
		turn.found("w1-run", "w1")
		var script transcript
		for seq := uint64(1); seq <= 4; seq++ {
			script.add(words(seq, seq))
		}
		var frames []protocol.Frame
		script.parts(0, after, 6, func(e bus.Event) {
			if s := turn.snapshot(&e); s.send {
				frames = append(frames, s.frame)
			}
		})
		require.Len(t, frames, 1, "after %d", after)
		require.Equal(t, protocol.TypeSnapshot, frames[0].Type)
		require.Equal(t, string(words(after+1, 4)), string(frames[0].Text))
		require.EqualValues(t, 4, frames[0].Seq)
	}
}

// TestTurnRepeat: a chat that found its run hears which one, and its errors are
// the turn's own; who asked for a run hears that the request failed.
func TestTurnRepeat(t *testing.T) {
	found := &turn{id: "1", named: true, viewer: true, state: turnFinding}
	s := found.found("w1-run", "w1")
	require.Equal(t, "accepted !accepted", outcome(found, s))
	require.Equal(t, protocol.Frame{Type: protocol.TypeAccepted, Named: true, ID: "1", RunID: "w1-run"}, s.frame)
	s = found.snapshot(snapshotOf(1, 0, false))
	require.Equal(t, "streaming !snapshot", outcome(found, s))
	require.Equal(t, chunkNext, found.chunk(1, words(1, 1)))
	require.Equal(t, "ended !error:WORKER_LOST end", outcome(found, found.lost()), "only who asked may ask again")

	for what, id := range map[string]string{"": "1", protocol.ForResume: "", protocol.ForCancel: ""} {
		for _, state := range []turnState{turnSeeking, turnFinding} {
			looking := &turn{id: "1", named: true, forWhat: what, state: state}
			f := looking.noBus().frame
			require.Equal(t, [2]string{what, id}, [2]string{f.For, f.ID})
		}
	}
}

// witness is the client of an explored turn and the judge of what it hears.
type witness struct {
	shown     string
	seq       uint64
	snapshots int
	terminals int
	accepts   int
}

// explorer walks through all sequences of events, each state once.
type explorer struct {
	t     *testing.T
	seen  map[string]bool
	path  []string
	steps int
}

// TestTurnExplored tries every sequence of events up to a length and asks, for
// each, that there is one terminal frame and nothing after it, that chunks come
// in order, and that the text that was shown is the text of the end.
func TestTurnExplored(t *testing.T) {
	tests := map[string]turn{
		"named":         {id: "1", named: true, attempts: 2},
		"unnamed":       {attempts: 2},
		"resume":        {id: "v", named: true, viewer: true, forWhat: protocol.ForResume, state: turnFinding},
		"resume after":  {id: "v", named: true, viewer: true, forWhat: protocol.ForResume, after: 2, state: turnFinding},
		"remote cancel": {named: true, viewer: true, forWhat: protocol.ForCancel, state: turnFinding},
		"repeat":        {id: "1", named: true, viewer: true, attempts: 2, state: turnFinding},
	}
	for name, start := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &explorer{t: t, seen: map[string]bool{}}
			w := witness{shown: string(words(1, start.after)), seq: start.after}
			x.walk(start, w, 8)
			require.Greater(t, x.steps, 500, "the exploration saw next to nothing")
		})
	}
}

func (x *explorer) walk(from turn, w witness, depth int) {
	key := fmt.Sprintf("%d|%+v|%+v", depth, from, w)
	if depth == 0 || x.seen[key] {
		return
	}
	x.seen[key] = true
	for _, in := range x.events() {
		next, judge := from, w
		next.text = bytes.Clone(from.text)
		x.path = append(x.path, in.name)
		x.steps++
		x.judge(&judge, &next, in.do(&next))
		x.walk(next, judge, depth-1)
		x.path = x.path[:len(x.path)-1]
	}
}

// events are the inputs of the table and chunks, as steps; a snapshot keeps the
// cut that every request for one carries.
func (x *explorer) events() []input {
	chunk := func(ahead uint64) func(*turn) step {
		return func(t *turn) step {
			seq := t.seq + ahead
			if seq > 5 || seq == 0 || t.forWhat == protocol.ForCancel {
				return step{} // a run that was asked to stop says no more
			}
			switch t.chunk(seq, words(seq, seq)) {
			case chunkNext:
				return step{send: true, frame: protocol.Frame{Type: protocol.TypeChunk, ID: t.id, Seq: seq, Text: words(seq, seq)}}
			case chunkGap:
				return step{verb: doHeal}
			}
			return step{}
		}
	}
	snapshot := func(from func(*turn) uint64, more bool) func(*turn) step {
		return func(t *turn) step {
			first, to := from(t), t.seq+2
			if first <= t.after && to > t.after {
				to = t.after
			}
			if to > 5 || to < first || (t.forWhat == protocol.ForCancel && t.state == turnStreaming) {
				return step{}
			}
			return t.snapshot(snapshotOf(first, to, more))
		}
	}
	out := []input{
		{"chunk", chunk(1)},
		{"chunk twice", chunk(0)},
		{"gap", chunk(2)},
		{"rest", snapshot(func(t *turn) uint64 { return t.seq + 1 }, false)},
		{"part", snapshot(func(t *turn) uint64 { return t.seq + 1 }, true)},
		{"overtaken", snapshot(func(*turn) uint64 { return 1 }, false)},
	}
	for _, in := range inputs() {
		switch in.name {
		case "allowed":
			do := in.do
			in.do = func(t *turn) step {
				if t.state != turnAsked {
					return step{}
				}
				return do(t)
			}
		case "snapshot empty":
			do := in.do
			in.do = func(t *turn) step {
				if t.seq < t.after {
					return step{} // the run refuses an after beyond its end
				}
				return do(t)
			}
		case "snapshot", "snapshot part": // above, with the cut
			continue
		}
		out = append(out, in)
	}
	return out
}

func (x *explorer) judge(w *witness, t *turn, s step) {
	fail := func(what string) {
		require.FailNow(x.t, what, "after %s\nturn %+v\nclient %+v\nstep %+v", strings.Join(x.path, ", "), *t, *w, s)
	}
	if s.end != (s.send && terminal(&s.frame)) {
		fail("an end without its frame, or a terminal frame without an end")
	}
	if s.end && t.state != turnEnded {
		fail("an end that does not end")
	}
	if !s.send {
		return
	}
	if w.terminals > 0 {
		fail("something after the terminal frame")
	}
	f := &s.frame
	switch f.Type {
	case protocol.TypeChunk:
		first := max(f.From, 0)
		if first == 0 {
			first = f.Seq
		}
		if first != w.seq+1 {
			fail("chunks out of order")
		}
		w.seq, w.shown = f.Seq, w.shown+string(f.Text)
	case protocol.TypeSnapshot:
		if w.snapshots++; w.snapshots > 1 || t.forWhat == protocol.ForCancel || !t.viewer {
			fail("a snapshot that nobody waits for")
		}
		w.seq, w.shown = f.Seq, w.shown+string(f.Text)
	case protocol.TypeAccepted:
		if w.accepts++; w.accepts > 2 || w.seq > 0 {
			fail("accepted too often, or after a chunk")
		}
	case protocol.TypeStatus:
		if !t.named {
			fail("a status for an unnamed turn")
		}
	default:
		w.terminals++
		x.judgeEnd(w, t, f, fail)
	}
	if !t.viewer && string(t.text) != w.shown {
		fail("the client saw another text than the turn keeps")
	}
}

// judgeEnd: who saw the whole text ends with it.
func (x *explorer) judgeEnd(w *witness, t *turn, f *protocol.Frame, fail func(string)) {
	if t.forWhat == protocol.ForCancel || (t.viewer && w.snapshots == 0) {
		if f.Type == protocol.TypeComplete && t.forWhat != protocol.ForCancel {
			fail("complete before the snapshot")
		}
		return
	}
	if string(f.Text) != w.shown {
		fail("the end tells another text than was shown")
	}
	if f.Type == protocol.TypeComplete && (f.Seq != w.seq+1 || w.shown != string(words(1, w.seq))) {
		fail("complete without the whole text")
	}
}

func terminal(f *protocol.Frame) bool {
	return f.Type == protocol.TypeComplete || f.Type == protocol.TypeCancelled || f.Type == protocol.TypeError
}
