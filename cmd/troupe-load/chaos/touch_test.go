package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// told makes the stream of green evidence end by an error after a kill.
func told(target string, after time.Duration) *evidence {
	e := green()
	t := e.Turns[0]
	end := &t.Frames[len(t.Frames)-1]
	partial := ""
	for _, f := range t.Frames[:len(t.Frames)-1] {
		partial += f.Content
	}
	end.Type, end.Code, end.Full, end.Partial = frames.Error, "WORKER_LOST", nil, &partial
	end.At = t.Asked.Add(50*time.Millisecond + after)
	s := &Step{Kill: target}
	s.fill()
	s.Must = true
	e.Harms = []*harm{{ID: "f1", Step: s, Verb: "kill", Label: "kill " + target, Target: target, Targets: []string{target}, Who: s.Touches, From: t.Asked.Add(50 * time.Millisecond), To: t.Asked.Add(50 * time.Millisecond)}}
	return e
}

func TestATouchBelongsToTheFaultThatWasMeantForIt(t *testing.T) {
	r := judgeRun(told("worker-1", 800*time.Millisecond), newBook(time.Second))
	require.True(t, r.Green, "%+v", r.Breaches)
	f := r.Faults[0]
	require.Equal(t, []int{1, 1, 0}, []int{f.Expected, f.Touched, f.Beyond})
	require.InDelta(t, 800, f.Terminal.P99, 1)
	require.Equal(t, []TouchResult{{At: 850, Kind: TouchError, Fault: "f1"}}, r.Streams[0].Touches)
}

func TestATouchOfSomebodyElseIsABreachBothWays(t *testing.T) {
	r := judgeRun(told("worker-2", 800*time.Millisecond), newBook(time.Second))
	require.False(t, r.Green)
	found := map[string]int{}
	for _, b := range r.Breaches {
		found[b.Rule]++
	}
	require.Equal(t, map[string]int{ruleUntouched: 1, ruleMust: 1}, found)
	require.Equal(t, 1, r.Faults[0].Beyond)
}

func TestATouchThatComesTooLateIsNobodys(t *testing.T) {
	r := judgeRun(told("worker-1", 4*time.Second), newBook(time.Second))
	require.False(t, r.Green)
	require.Equal(t, ruleUntouched, r.Breaches[0].Rule)
}

func TestAnEndThatIsNotAllowed(t *testing.T) {
	e := told("worker-1", time.Second)
	e.Plan.Expect.Ends = []string{OutcomeComplete}
	r := judgeRun(e, newBook(time.Second))
	require.Len(t, r.Breaches, 1)
	require.Equal(t, ruleOutcome, r.Breaches[0].Rule)
}

func TestBoundsAreHeld(t *testing.T) {
	none := 0
	for name, set := range map[string]func(*Expect){
		"terminal p99": func(x *Expect) { x.TerminalP99 = scenario.Duration(500 * time.Millisecond) },
		"terminal max": func(x *Expect) { x.TerminalMax = scenario.Duration(500 * time.Millisecond) },
		"recovery":     func(x *Expect) { x.Recovery = scenario.Duration(time.Second) }, // nobody probed
		"complete":     func(x *Expect) { x.Complete = 1 },
		"losses":       func(x *Expect) { x.Losses = &none },
	} {
		e := told("worker-1", time.Second)
		if name == "losses" {
			e.Turns[0].Sockets[0].Own, e.Turns[0].Sockets[0].Closed = false, e.Harms[0].From
		}
		set(&e.Plan.Expect)
		r := judgeRun(e, newBook(time.Second))
		require.Len(t, r.Breaches, 1, name)
		require.Equal(t, ruleBound, r.Breaches[0].Rule, name)
	}
}

func TestHitsOfNobodyKnownExplainAsManyClients(t *testing.T) {
	e := told("worker-1", time.Second)
	h := e.Harms[0]
	h.Verb, h.Step.Kill, h.Step.Inject, h.Who, h.Spare, h.Hits = "inject", "", "run panic times=1", TouchesHits, 1, 1
	require.True(t, judgeRun(e, newBook(time.Second)).Green)
	h.Spare = 0
	require.False(t, judgeRun(e, newBook(time.Second)).Green)
	h.Streams = map[int]time.Time{1: h.From}
	require.True(t, judgeRun(e, newBook(time.Second)).Green)
}

func TestHitsOfNobodyKnownAreNotMissedWhereNobodyIsMeant(t *testing.T) {
	e := green()
	s := &Step{Inject: "limiter hang for=3s", Touches: TouchesNobody}
	e.Harms = []*harm{{ID: "f1", Step: s, Verb: "inject", Label: s.Inject, Who: TouchesNobody, Spare: 1, Hits: 1, From: e.Turns[0].Asked, To: e.Turns[0].Asked}}
	r := judgeRun(e, newBook(time.Second))
	require.Zero(t, r.Faults[0].Expected)
	require.Empty(t, r.Unseen)
}

func TestAServerThatWasNotStartedHereShowsNoFigures(t *testing.T) {
	e := green()
	e.Harms = []*harm{{ID: "f1", Verb: "inject", Label: "limiter hang", Who: TouchesNobody, From: e.Turns[0].Asked, To: e.Turns[0].Asked}}
	e.Plan.Expect.Metrics = []MetricMark{{Name: "troupe_limiter_degraded", Value: 1, Within: scenario.Duration(time.Second)}}
	e.Rules, e.Calls, e.Samples, e.Settled, e.Sizes = rules{}, nil, nil, nil, nil
	e.Floods = []flood.Flood{{Gateway: "ws://x", Asks: []flood.Ask{{Admitted: true, Sent: e.Began, Answered: e.Began}}}}
	r := judgeRun(e, newBook(time.Second))
	require.Empty(t, r.Breaches)
	require.False(t, r.Bounds[0].Visible)
	require.False(t, r.Invariants[6].Visible, r.Invariants[6].ID)
	e.Sizes = []proc.Reading{{Process: "serve"}}
	require.Len(t, judgeRun(e, newBook(time.Second)).Breaches, 1)
}

func TestALostAnswerIsABreach(t *testing.T) {
	e := green()
	e.Turns[0].Frames, e.Turns[0].GaveUp, e.Calls = nil, follow.Stopped, nil
	r := judgeRun(e, newBook(time.Second))
	require.Equal(t, ruleLost, r.Breaches[0].Rule)
	e.Aborted = true
	require.Equal(t, OutcomeUnfinished, judgeRun(e, newBook(time.Second)).Streams[0].Outcome)
}

func TestFoldKeepsWhatTheOracleNeeds(t *testing.T) {
	e := green()
	e.Turns[0].fold()
	require.Len(t, e.Turns[0].Frames, 3)
	require.Empty(t, judge(e).breaches)
	e = green()
	f := e.Turns[0].Frames
	f[2], f[3] = f[3], f[2]
	e.Turns[0].fold()
	require.Equal(t, map[string]int{"I2": 1}, count(judge(e)))
}

func TestSlopesAreFittedToTheSecondHalf(t *testing.T) {
	e := green()
	e.Ended = e.Began.Add(2 * time.Hour)
	e.Plan.Expect.Slope.Goroutines = 60
	for i := range 120 {
		grow := max(0, i-60) * 2 // two a minute in the second half
		e.Sizes = append(e.Sizes, proc.Reading{Process: "worker-1", Life: 1, At: e.Began.Add(time.Duration(i) * time.Minute), Goroutines: 50 + grow})
	}
	r := judgeRun(e, newBook(time.Second))
	require.Len(t, r.Slopes, 3)
	require.Equal(t, "goroutines", r.Slopes[1].Figure)
	require.InDelta(t, 120, r.Slopes[1].PerHour, 0.01)
	require.Len(t, r.Breaches, 1)
	require.Equal(t, ruleBound, r.Breaches[0].Rule)
}

// A busy machine takes its time to end a process, which lives until then.
func TestAProcessThatDiesSlowlyStillTakesQuestions(t *testing.T) {
	for name, tt := range map[string]struct {
		died  time.Duration // after the kill was noted; 0 = not seen
		green bool
	}{"seen to die later": {400 * time.Millisecond, true}, "seen to die before": {200 * time.Millisecond, false}, "not seen": {0, false}} {
		e := told("worker-1", 800*time.Millisecond)
		h, turn := e.Harms[0], e.Turns[0]
		h.From = turn.Asked.Add(-300 * time.Millisecond)
		h.To = h.From.Add(time.Second)
		if tt.died > 0 {
			h.Died = h.From.Add(tt.died)
		}
		require.Equal(t, tt.green, judgeRun(e, newBook(time.Second)).Green, name)
	}
}
