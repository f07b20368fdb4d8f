package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// marks judges evidence against a plan and returns its pass marks by name.
func marks(e *evidence) map[string]BoundResult {
	found := map[string]BoundResult{}
	for _, b := range judgeRun(e, newBook(time.Second)).Bounds {
		found[b.Name] = b
	}
	return found
}

// one is the only pass mark that there is.
func one(t *testing.T, e *evidence) BoundResult {
	t.Helper()
	found := marks(e)
	require.Len(t, found, 1)
	for _, b := range found {
		require.True(t, b.Visible)
		return b
	}
	return BoundResult{}
}

func lasting(d time.Duration) scenario.Duration { return scenario.Duration(d) }

// refused makes the stream of green evidence hear no at once.
func refused(after time.Duration, retryAfter int) *evidence {
	e := green()
	t := e.Turns[0]
	t.Frames = []frame{{At: t.Asked.Add(after), Body: frames.Body{Type: frames.Error, ID: turnID, Code: "OVERLOADED", RetryAfter: retryAfter}}}
	t.Chunks, e.Calls = 0, nil
	return e
}

func TestRefusalsAreTimedAndSayWhenToComeBack(t *testing.T) {
	for want, after := range map[bool]time.Duration{true: 250 * time.Millisecond, false: 251 * time.Millisecond} {
		e := refused(after, 0)
		e.Plan.Expect.RefusedP99 = lasting(250 * time.Millisecond)
		require.Equal(t, want, one(t, e).OK, after)
	}
	for seconds, want := range map[int]bool{0: false, 1: true} {
		e := refused(time.Millisecond, seconds)
		e.Plan.Expect.RetryAfter = []string{"OVERLOADED"}
		require.Equal(t, want, one(t, e).OK, seconds)
	}
	for seconds, want := range map[int]bool{6: false, 7: true} {
		e := refused(time.Millisecond, seconds)
		e.Plan.Streams[0].RetryAfter = lasting(7 * time.Second)
		require.Equal(t, want, one(t, e).OK, seconds)
	}
	e := refused(time.Millisecond, 1)
	e.Plan.Expect.RetryAfter = []string{"NO_WORKERS"}
	b := marks(e)["NO_WORKERS: errors without a retry_after of 1s"]
	require.False(t, b.Visible, "nobody was told so")
}

func TestAnsweredLooksAtThoseWhoWereTakenOn(t *testing.T) {
	e := refused(time.Millisecond, 1)
	e.Plan.Expect.Answered = 1
	require.False(t, marks(e)["complete, of those taken on"].Visible)
	e = told("worker-1", time.Second)
	e.Plan.Expect.Answered = 1
	require.False(t, one(t, e).OK)
	e = green()
	e.Plan.Expect.Answered = 1
	require.True(t, one(t, e).OK)
}

// left makes the client of green evidence leave, and its call end later.
func left(policy string, after time.Duration) *evidence {
	e := green()
	t := e.Turns[0]
	t.Group.OnDisconnect, t.Left, t.GaveUp = policy, t.Asked.Add(20*time.Millisecond), follow.Left
	t.Frames = t.Frames[:1]
	e.Calls = []mimic.Call{{N: 1, Worker: "worker-1", Start: t.Asked, End: t.Left.Add(after), Lasts: time.Minute}}
	return e
}

func TestCallsOfThoseWhoLeftWithGraceEndAtItsEnd(t *testing.T) {
	for after, want := range map[time.Duration][2]bool{
		2 * time.Second: {true, false}, 3 * time.Second: {true, true}, 3250 * time.Millisecond: {true, true}, 3251 * time.Millisecond: {false, true},
	} {
		e := left("grace", after)
		e.Plan.Config = map[string]string{graceKey: "3s"}
		e.Plan.Expect.ClearsGrace = lasting(3250 * time.Millisecond)
		found := marks(e)
		early := found["of these ended before their grace"]
		late := found["vendor calls of 1 that left with grace, p99"]
		if after < 3*time.Second {
			late = found["vendor calls of 0 that left with grace, p99"]
		}
		require.Equal(t, want, [2]bool{late.OK, early.OK}, after)
	}
	e := left("cancel", 251*time.Millisecond)
	e.Plan.Expect.Clears = lasting(250 * time.Millisecond)
	require.False(t, one(t, e).OK)
}

func TestFiguresAndLogs(t *testing.T) {
	two := 2.0
	for _, tt := range []struct {
		least, most *float64
		high        float64
		ok          bool
	}{{&two, nil, 1, false}, {&two, nil, 2, true}, {nil, &two, 2, true}, {nil, &two, 3, false}, {&two, &two, 2, true}} {
		e := green()
		e.Plan.Expect.Figures = []FigureMark{{Name: "troupe_shed_total", Least: tt.least, Most: tt.most}}
		e.Sizes = []proc.Reading{
			{Process: "a", At: e.Began, Values: map[string]float64{"troupe_shed_total": tt.high}}, {Process: "b", At: e.Began, Values: map[string]float64{"troupe_shed_total": 0}},
		}
		require.Equal(t, tt.ok, one(t, e).OK, tt)
	}
	for _, tt := range []struct {
		mark LogMark
		ok   bool
	}{{LogMark{Says: "stars", Least: 1}, true}, {LogMark{Says: "stars", Least: 2}, false}, {LogMark{Says: "Troupe", Most: 2}, true}, {LogMark{Says: "Troupe", Most: 1}, false}} {
		e := green()
		e.Sinks = append(e.Sinks, proc.Sink{Name: "gateway-1.1.log", Text: "Troupe stars\n"}, proc.Sink{Name: "gateway-1/metrics", Text: "stars\nstars\n"})
		e.Plan.Expect.Log = []LogMark{tt.mark}
		require.Equal(t, tt.ok, one(t, e).OK, tt.mark)
	}
}

func TestMarksOfAStep(t *testing.T) {
	for name, tt := range map[string]struct {
		step   Step
		verb   string
		change func(*harm)
		ok     bool
	}{
		"told in time":         {Step{Inject: "run panic", Told: lasting(800 * time.Millisecond)}, "inject", func(*harm) {}, true},
		"told late":            {Step{Inject: "run panic", Told: lasting(799 * time.Millisecond)}, "inject", func(*harm) {}, false},
		"hit often enough":     {Step{Inject: "run panic", Hits: 5}, "inject", func(h *harm) { h.Hits = 5 }, true},
		"hit too seldom":       {Step{Inject: "run panic", Hits: 5}, "inject", func(h *harm) { h.Hits = 4 }, false},
		"withdrawn in time":    {Step{Terminate: "worker-1", NotReady: lasting(100 * time.Millisecond)}, "terminate", func(h *harm) { h.Unready = 100 * time.Millisecond }, true},
		"withdrawn late":       {Step{Terminate: "worker-1", NotReady: lasting(100 * time.Millisecond)}, "terminate", func(h *harm) { h.Unready = 101 * time.Millisecond }, false},
		"memory within":        {Step{Clients: clientsHalfOpen, Memory: "16KiB"}, "clients", func(h *harm) { h.Clients = 1000 }, true},
		"memory beyond":        {Step{Clients: clientsHalfOpen, Memory: "15KiB"}, "clients", func(h *harm) { h.Clients = 1000 }, false},
		"memory of nobody yet": {Step{Clients: clientsHalfOpen, Memory: "15KiB"}, "clients", func(h *harm) { h.Clients = 100_000 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := told("worker-1", 800*time.Millisecond)
			h := e.Harms[0]
			step := tt.step
			step.After = lasting(3 * time.Second)
			h.Step, h.Verb, h.Label = &step, tt.verb, name
			tt.change(h)
			h.To = h.From.Add(time.Second)
			e.Sizes = []proc.Reading{
				{Process: "worker-1", At: h.From.Add(time.Millisecond), Resident: 1 << 40}, // nobody connects to it
				{Process: "gateway-1", At: h.From.Add(-time.Millisecond), Resident: 1 << 20},
				{Process: "gateway-1", At: h.From.Add(time.Millisecond), Resident: 1<<20 + 16<<10*1000},
				{Process: "gateway-1", At: h.To, Resident: 1 << 40},
			}
			require.Equal(t, tt.ok, one(t, e).OK)
		})
	}
}

func TestRecoveryMayCountFromTheEndOfClients(t *testing.T) {
	h := &harm{Verb: "clients", Step: &Step{Clients: clientsSilent}, From: time.Unix(1, 0), To: time.Unix(9, 0)}
	_, judged := h.recovers()
	require.False(t, judged)
	h.Step.Recovers = true
	from, judged := h.recovers()
	require.True(t, judged)
	require.Equal(t, h.To, from)
}
