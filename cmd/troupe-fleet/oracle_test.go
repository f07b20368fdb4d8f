package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// at is a moment of the synthetic rounds.
func at(d time.Duration) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(d)
}

// heard makes a frame that arrived at d.
func heard(d time.Duration, socket int, b frames.Body) frame {
	raw, err := json.Marshal(b)
	if err != nil {
		panic(err) // strings and numbers
	}
	return frame{At: at(d), Socket: socket, Raw: raw}
}

// answered is a turn that was told to its end, a chunk every 100 ms.
func answered(n int) *turn {
	a := answer.Question{N: n, Model: answer.Model{Words: 6, Pace: 100 * time.Millisecond}}
	t := &turn{Turn: follow.Turn{ID: "1", Asked: at(0)}, Ask: a, Policy: "grace"}
	run := fmt.Sprintf("w-%d", n)
	t.Frames = append(t.Frames, heard(5*time.Millisecond, 0, frames.Body{Type: frames.Accepted, ID: "1", RunID: run}))
	for i := range a.Model.Words {
		t.Frames = append(t.Frames, heard(time.Duration(i+1)*a.Model.Pace, 0, frames.Body{Type: frames.Chunk, ID: "1", Seq: uint64(i + 1), Content: a.Piece(i + 1)}))
	}
	full := a.Whole()
	t.Frames = append(t.Frames, heard(650*time.Millisecond, 0, frames.Body{Type: frames.Complete, ID: "1", RunID: run, Seq: uint64(a.Model.Words + 1), Full: &full}))
	t.Sockets = []follow.Record{{Gateway: "gateway-1", Opened: at(0), Closed: at(time.Second), Own: true}}
	return t
}

// called is the vendor's side of a turn.
func called(t *turn) mimic.Call {
	return mimic.Call{N: t.Ask.N, Worker: "worker-1", Start: at(4 * time.Millisecond), End: at(640 * time.Millisecond), Done: true, Lasts: t.Ask.Model.Lasts()}
}

// genuine is a small round in which all went well.
func genuine() *evidence {
	e := &evidence{
		Scenario: "calm", Seeds: []uint64{1},
		Rules: rules{Messages: 3, Window: 10 * time.Second, Slots: 10, Grace: 30 * time.Second, Keys: canary.Keys()},
		Sinks: []proc.Sink{{Name: "worker-1.1.log", Text: `{"message":"Run ended"}`}},
	}
	for n := range 3 {
		t := answered(n + 1)
		e.Turns = append(e.Turns, t)
		e.Calls = append(e.Calls, called(t))
	}
	for _, name := range []string{"gateway-1", "worker-1"} {
		rest := proc.Reading{Process: name, Life: 1, Goroutines: 20, Descriptors: 15}
		e.Baselines, e.Settled = append(e.Baselines, rest), append(e.Settled, rest)
	}
	f := flood.Flood{Gateway: "gateway-1"}
	for i := range 5 {
		sent := time.Duration(i) * time.Millisecond
		f.Asks = append(f.Asks, flood.Ask{N: 100 + i, Sent: at(sent), Answered: at(sent + time.Millisecond), Admitted: i < 3})
	}
	e.Floods = []flood.Flood{f}
	e.Samples = []sample{
		{At: at(300 * time.Millisecond), Slots: map[string]int{"gateway-1": 3}, Sockets: map[string]int{"gateway-1": 3}, Quiet: true, Runs: 3, Calls: 3, Known: true},
		{At: at(1500 * time.Millisecond), Slots: map[string]int{"gateway-1": 0}, Sockets: map[string]int{}, Quiet: true, Known: true},
	}
	return e
}

func TestGenuineEvidenceIsGreen(t *testing.T) {
	require.Empty(t, judge(genuine()))
}

// TestControls is the trial of the oracle: each forgery must be named, and
// nothing else.
func TestControls(t *testing.T) {
	var names []string
	for _, c := range controls() {
		names = append(names, c.invariant)
		t.Run(c.invariant, func(t *testing.T) { require.NoError(t, c.try(genuine())) })
	}
	require.Equal(t, invariants(), names, "a control for every invariant")
	red, problems := tryControls(genuine())
	require.Equal(t, len(controls()), red)
	require.Empty(t, problems)
}

// TestControlsThatCannotWorkSaySo: a control without anything to forge, or one
// that stays green, is a failure and not a success.
func TestControlsThatCannotWorkSaySo(t *testing.T) {
	red, problems := tryControls(&evidence{})
	require.Zero(t, red)
	require.Len(t, problems, len(controls()))
	harmless := control{inv1, "nothing", func(*evidence) bool { return true }}
	require.ErrorContains(t, harmless.try(genuine()), "stayed green")
	wrong := control{inv1, "of another invariant", leakKey}
	require.ErrorContains(t, wrong.try(genuine()), inv6)
}

// TestForgingLeavesTheOriginal: controls are tried one after the other on the
// same evidence.
func TestForgingLeavesTheOriginal(t *testing.T) {
	e := genuine()
	for _, c := range controls() {
		require.NoError(t, c.try(e))
		require.Empty(t, judge(e), c.invariant)
	}
}

func TestJudgeNamesWhatIsBroken(t *testing.T) {
	run2 := "w2-1"
	none := ""
	for name, c := range map[string]struct {
		change func(*evidence)
		want   []string
	}{
		"accepted and never ended": {func(e *evidence) {
			e.Turns[0].Frames = e.Turns[0].Frames[:3]
			e.Turns[0].GaveUp = giveUpDeadline
		}, []string{inv1}},
		"never accepted, never told": {func(e *evidence) {
			e.Turns[0].Frames, e.Calls = nil, e.Calls[1:]
			e.Turns[0].GaveUp = giveUpDeadline
		}, []string{lostAnswer}},
		"never accepted, asked again": {func(e *evidence) {
			e.Turns[0].Frames, e.Turns[0].Replaced, e.Calls = nil, true, e.Calls[1:]
		}, nil},
		"a frame behind the end": {func(e *evidence) {
			e.Turns[0].Frames = append(e.Turns[0].Frames, heard(700*time.Millisecond, 0, frames.Body{Type: frames.Status, ID: "1", State: "streaming"}))
		}, []string{inv1}},
		"chunks swapped": {func(e *evidence) {
			f := e.Turns[0].Frames
			f[2], f[3] = f[3], f[2]
		}, []string{inv2}},
		"a chunk twice": {func(e *evidence) {
			f := e.Turns[0].Frames
			f[3] = f[2]
		}, []string{inv2}},
		"a byte changed": {func(e *evidence) {
			f := e.Turns[0].Frames
			f[2] = f[2].with(func(b *frames.Body) { b.Content += "." })
		}, []string{inv2}},
		"joined chunks": {func(e *evidence) {
			a, f := e.Turns[0].Ask, e.Turns[0].Frames
			f[1] = heard(200*time.Millisecond, 0, frames.Body{Type: frames.Chunk, ID: "1", From: 1, Seq: 2, Content: a.Piece(1) + a.Piece(2)})
			e.Turns[0].Frames = append(f[:2:2], f[3:]...)
		}, nil},
		"the end says something else": {func(e *evidence) {
			f := e.Turns[0].Frames
			f[len(f)-1] = f[len(f)-1].with(func(b *frames.Body) { b.Full = &none })
		}, []string{inv2}},
		"the end's seq is off": {func(e *evidence) {
			f := e.Turns[0].Frames
			f[len(f)-1] = f[len(f)-1].with(func(b *frames.Body) { b.Seq++ })
		}, []string{inv2}},
		"complete too early": {func(e *evidence) {
			t := e.Turns[0]
			said := t.Ask.Piece(1)
			t.Frames = []frame{t.Frames[0], t.Frames[1], heard(time.Second/2, 0, frames.Body{Type: frames.Complete, ID: "1", Seq: 2, Full: &said})}
		}, []string{inv2}},
		"cancelled with what was said": {func(e *evidence) {
			t := e.Turns[0]
			said := t.Ask.Piece(1)
			t.Frames = []frame{t.Frames[0], t.Frames[1], heard(time.Second/2, 0, frames.Body{Type: frames.Cancelled, ID: "1", Seq: 2, Full: &said})}
		}, nil},
		"resumed on another socket": {func(e *evidence) {
			resumeAfter(e.Turns[0], 3)
		}, nil},
		"a snapshot that misses a chunk": {func(e *evidence) {
			resumeAfter(e.Turns[0], 3)
			t := e.Turns[0]
			t.Frames[4] = t.Frames[4].with(func(b *frames.Body) { b.Content = t.Ask.Piece(5); b.Seq = 5 })
		}, []string{inv2}},
		"a snapshot that nobody asked for": {func(e *evidence) {
			resumeAfter(e.Turns[0], 3)
			e.Turns[0].Resumes = nil
		}, []string{inv2}},
		"moved before the first chunk": {func(e *evidence) {
			t := e.Turns[0]
			t.Frames = append([]frame{t.Frames[0], heard(50*time.Millisecond, 0, frames.Body{Type: frames.Accepted, ID: "1", RunID: run2})}, t.Frames[1:]...)
		}, nil},
		"switched after a chunk": {func(e *evidence) {
			t := e.Turns[0]
			t.Frames[2] = heard(250*time.Millisecond, 0, frames.Body{Type: frames.Accepted, ID: "1", RunID: run2})
		}, []string{inv2}},
		"slots and sockets differ under load": {func(e *evidence) { e.Samples[0].Slots["gateway-1"] = 4 }, []string{inv3}},
		"they differ while sockets come and go": {func(e *evidence) {
			e.Samples[0].Slots["gateway-1"], e.Samples[0].Quiet = 4, false
		}, nil},
		"a crowd that fits": {func(e *evidence) {
			e.Crowds = []crowd{{Gateway: "gateway-1", At: at(300 * time.Millisecond), Admitted: 7}}
			for _, t := range e.Turns {
				t.Sockets[0].Closed = at(2 * time.Second)
			}
		}, nil},
		"a crowd beyond the bound": {func(e *evidence) {
			e.Crowds = []crowd{{Gateway: "gateway-1", At: at(300 * time.Millisecond), Admitted: 8}}
			for _, t := range e.Turns {
				t.Sockets[0].Closed = at(2 * time.Second)
			}
		}, []string{inv3}},
		"a crowd in place of sockets that closed": {func(e *evidence) {
			e.Crowds = []crowd{{Gateway: "gateway-1", At: at(300 * time.Millisecond), Admitted: 8}}
		}, nil},
		"more sockets than there are slots": {func(e *evidence) {
			e.Samples[0].Slots["gateway-1"], e.Samples[0].Sockets["gateway-1"] = 3, 11
		}, []string{inv3}},
		"more slots than there are": {func(e *evidence) {
			e.Samples[0].Slots["gateway-1"], e.Samples[0].Quiet = 11, false
		}, []string{inv3}},
		"a call that outlives its turn": {func(e *evidence) { e.Calls[0].End = at(2 * time.Second) }, []string{inv4}},
		"a call of a paused worker that does": {func(e *evidence) {
			e.Calls[0].End = at(2 * time.Second)
			e.Harms = []harm{{harmPause, "worker-1", at(500 * time.Millisecond), at(30 * time.Second)}}
		}, nil},
		"more calls than runs, once": {func(e *evidence) { e.Samples[0].Calls = 9 }, nil},
		"more calls than runs, lasting": {func(e *evidence) {
			e.Samples[0].Calls, e.Samples[1].Calls = 9, 9
		}, []string{inv4}},
		"a second call after its worker was killed": {func(e *evidence) {
			again(e, at(90*time.Millisecond))
			e.Harms = []harm{{harmKill, "worker-1", at(20 * time.Millisecond), at(20 * time.Millisecond)}}
		}, nil},
		"a second call after text": {func(e *evidence) {
			again(e, at(200*time.Millisecond))
			e.Harms = []harm{{harmKill, "worker-1", at(20 * time.Millisecond), at(20 * time.Millisecond)}}
		}, []string{inv5}},
		"a second call while another worker was killed": {func(e *evidence) {
			again(e, at(90*time.Millisecond))
			e.Harms = []harm{{harmKill, "worker-2", at(20 * time.Millisecond), at(20 * time.Millisecond)}}
		}, []string{inv5}},
		"three calls": {func(e *evidence) {
			again(e, at(90*time.Millisecond))
			again(e, at(91*time.Millisecond))
			e.Harms = []harm{{harmKill, "worker-1", at(20 * time.Millisecond), at(20 * time.Millisecond)}}
		}, []string{inv5}},
		"a call for a question of nobody": {func(e *evidence) {
			c := e.Calls[0]
			c.N = 77
			e.Calls = append(e.Calls, c)
		}, []string{inv5}},
		"a key in a frame": {func(e *evidence) {
			t := e.Turns[0]
			t.Frames[0] = t.Frames[0].with(func(b *frames.Body) { b.Message = canary.Keys()[1] })
		}, []string{inv6}},
		"admissions in two windows": {func(e *evidence) {
			f := &e.Floods[0]
			f.Asks = append(f.Asks, flood.Ask{N: 110, Sent: at(11 * time.Second), Answered: at(11 * time.Second), Admitted: true})
		}, nil},
		"a descriptor leak":      {func(e *evidence) { e.Settled[0].Descriptors += 10 }, []string{inv8}},
		"a leak in another life": {func(e *evidence) { e.Settled[0].Descriptors += 10; e.Settled[0].Life = 2 }, nil},
		"a run at rest":          {func(e *evidence) { e.Settled[1].Runs = 1 }, []string{inv8}},
		"a whole foreign answer": {func(e *evidence) {
			t := e.Turns[0]
			t.Frames = answered(9).Frames
		}, []string{inv9}},
	} {
		t.Run(name, func(t *testing.T) {
			e := genuine()
			c.change(e)
			named := map[string]bool{}
			for _, b := range judge(e) {
				named[b.Invariant] = true
			}
			want := map[string]bool{}
			for _, w := range c.want {
				want[w] = true
			}
			require.Equal(t, want, named, "%v", judge(e))
		})
	}
}

// resumeAfter breaks the turn's follow.Record behind its n-th chunk: the next one comes
// as the snapshot on a second socket.
func resumeAfter(t *turn, n int) {
	t.Sockets = append(t.Sockets, follow.Record{Gateway: "gateway-2", Opened: at(350 * time.Millisecond), Closed: at(time.Second), Own: true})
	t.Resumes = []follow.Resume{{At: at(355 * time.Millisecond), Socket: 1, Run: "w-1", After: uint64(n)}}
	for i := n + 1; i < len(t.Frames); i++ {
		t.Frames[i].Socket = 1
	}
	t.Frames[n+1] = t.Frames[n+1].with(func(b *frames.Body) { b.Type = frames.Snapshot })
}

// again adds a second call for the first question.
func again(e *evidence, start time.Time) {
	c := e.Calls[0]
	c.Worker, c.Start = "worker-2", start
	e.Calls = append(e.Calls, c)
}
