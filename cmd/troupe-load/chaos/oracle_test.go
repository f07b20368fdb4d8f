package chaos

import (
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

// green is evidence of one stream on one gateway and one worker, which nothing
// broke.
func green() *evidence {
	began := time.Now().Add(-time.Minute)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	q := answer.Question{N: 1, Model: answer.Model{Words: 8, Pace: 10 * time.Millisecond}}
	whole := q.Whole()
	t := &turn{Question: q, Turn: follow.Turn{ID: turnID, Asked: at(0)}, Group: &Group{Name: "talk", OnDisconnect: "grace"}, Client: 1, Done: true}
	t.Sockets = []follow.Record{{Gateway: "gateway-1", Opened: at(0), Closed: at(500), Own: true}}
	t.Frames = []frame{{At: at(1), Body: frames.Body{Type: frames.Accepted, ID: turnID, RunID: "r1"}}}
	for i := range q.Model.Words {
		t.Frames = append(t.Frames, frame{At: at(10 + 10*i), Body: frames.Body{Type: frames.Chunk, ID: turnID, Seq: uint64(i + 1), Content: q.Piece(i + 1)}})
	}
	t.Frames = append(t.Frames, frame{At: at(100), Body: frames.Body{Type: frames.Complete, ID: turnID, RunID: "r1", Seq: 9, Full: &whole}})
	f := flood.Flood{Gateway: "gateway-1"}
	for i := range 24 {
		f.Asks = append(f.Asks, flood.Ask{N: 100 + i, Sent: at(200), Answered: at(201), Admitted: i < 12})
	}
	size := proc.Reading{Process: "worker-1", Life: 1, Goroutines: 50, Descriptors: 20}
	return &evidence{
		Plan: &Plan{Streams: []Group{*t.Group}}, Began: began, Ended: at(1000),
		Rules:   rules{Own: true, Messages: 12, Window: 10 * time.Second, Slots: 100, Keys: canary.Keys()},
		Turns:   []*turn{t},
		Calls:   []mimic.Call{{N: 1, Worker: "worker-1", Start: at(2), End: at(95), Lasts: q.Model.Lasts()}},
		Floods:  []flood.Flood{f},
		Samples: []sample{{At: at(300), Slots: map[string]int{"gateway-1": 1}, Sockets: map[string]int{"gateway-1": 1}, Known: true}},
		Settled: []proc.Reading{size}, Baselines: []proc.Reading{size},
		Sinks: []proc.Sink{{Name: "worker-1.1.log", Text: "Troupe started"}},
	}
}

func TestGreenEvidenceIsGreen(t *testing.T) {
	e := green()
	require.Empty(t, judge(e).breaches)
	r := judgeRun(e, newBook(time.Second))
	require.True(t, r.Green, "%+v", r.Breaches)
	for _, i := range r.Invariants {
		require.True(t, i.Visible, i.ID)
		require.Positive(t, i.Checked, i.ID)
	}
}

func TestEveryControlTurnsRedAndNamesItsInvariant(t *testing.T) {
	result, said := tryControls(green())
	require.Empty(t, result.Problems)
	require.Equal(t, 9, result.Tried)
	require.Equal(t, 9, result.Red)
	for _, i := range invariants() {
		require.Contains(t, said[i[0]], "red, as it must be")
	}
}

func TestControlsLeaveTheEvidenceAlone(t *testing.T) {
	e := green()
	tryControls(e)
	require.Empty(t, judge(e).breaches)
}

// TestBreachesThatNoControlForges: each change of green evidence breaks one rule.
func TestBreachesThatNoControlForges(t *testing.T) {
	for name, tt := range map[string]struct {
		rule   string
		change func(*evidence)
	}{
		"no end":                   {"I1", func(e *evidence) { w := e.Turns[0]; w.Frames = w.Frames[:9]; w.GaveUp = giveUpDeadline }},
		"a frame behind the end":   {"I1", func(e *evidence) { w := e.Turns[0]; w.Frames = append(w.Frames, w.Frames[8]) }},
		"two chunks swapped":       {"I2", func(e *evidence) { f := e.Turns[0].Frames; f[2], f[3] = f[3], f[2] }},
		"a snapshot nobody wanted": {"I2", func(e *evidence) { e.Turns[0].Frames[5].Type = frames.Snapshot }},
		"an end with another text": {"I2", func(e *evidence) { other := "no"; e.Turns[0].Frames[9].Full = &other }},
		"slots beyond the limit": {"I3", func(e *evidence) {
			e.Samples[0].Slots["gateway-1"] = 101
			e.Samples[0].Churn = map[string]int{"gateway-1": 100}
		}},
		"slots without sockets": {"I3", func(e *evidence) { e.Samples[0].Slots["gateway-1"] = 2 }},
		"a call that ends late": {"I4", func(e *evidence) { e.Calls[0].End = e.Calls[0].End.Add(2 * time.Second) }},
		"a second call":         {"I5", func(e *evidence) { e.Calls = append(e.Calls, e.Calls[0]) }},
		"an attempt that calls again": {"I5", func(e *evidence) {
			first := &e.Calls[0]
			first.Job, first.Done = "job", true
			again := *first
			again.Start, again.End = first.End.Add(time.Millisecond), first.End.Add(2*time.Millisecond)
			e.Calls = append(e.Calls, again)
		}},
		"a call for nobody":          {"I5", func(e *evidence) { c := e.Calls[0]; c.N = 999; e.Calls = append(e.Calls, c) }},
		"a key in a frame":           {"I6", func(e *evidence) { e.Turns[0].Frames[2].Key = true }},
		"a stranger at the vendor":   {"I6", func(e *evidence) { e.Strange = []string{"who is this"} }},
		"a run at rest":              {"I8", func(e *evidence) { e.Settled[0].Runs = 1 }},
		"descriptors at rest":        {"I8", func(e *evidence) { e.Settled[0].Descriptors += 5 }},
		"text of another in the end": {"I9", func(e *evidence) { other := "q2.0"; e.Turns[0].Frames[9].Full = &other }},
	} {
		e := green()
		tt.change(e)
		found := count(judge(e))
		require.Len(t, found, 1, "%s: %v", name, found)
		require.Positive(t, found[tt.rule], "%s: %v", name, found)
	}
}

// TestASecondCallIsRightWhereTheFirstWorkerWasKilled before there was text.
func TestASecondCallIsRightWhereTheFirstWorkerWasKilled(t *testing.T) {
	e := green()
	second := e.Calls[0]
	second.Worker = "worker-2"
	e.Calls[0].Start = e.Turns[0].Asked.Add(-time.Second)
	e.Calls[0].End = e.Turns[0].Asked
	e.Calls = append(e.Calls, second)
	e.Harms = []*harm{{Verb: "kill", Targets: []string{"worker-1"}, From: e.Turns[0].Asked, To: e.Turns[0].Asked}}
	require.Empty(t, judge(e).breaches)
	e.Harms[0].Targets = []string{"worker-3"}
	require.Equal(t, map[string]int{"I5": 1}, count(judge(e)))
}

func TestTheLimiterThatIsAwayAdmitsHalfAsMuchAgain(t *testing.T) {
	e := green()
	for i := range 18 {
		e.Floods[0].Asks[i].Admitted = true
	}
	require.Equal(t, map[string]int{"I7": 1}, count(judge(e)))
	sent := e.Floods[0].Asks[0].Sent
	e.Harms = []*harm{{Verb: "inject", Step: &Step{Inject: "limiter hang for=1s"}, Targets: []string{"gateway-1"}, From: sent, To: sent.Add(time.Second)}}
	require.Empty(t, judge(e).breaches)
	e.Floods[0].Asks[18].Admitted = true
	require.Equal(t, map[string]int{"I7": 1}, count(judge(e)))
}
