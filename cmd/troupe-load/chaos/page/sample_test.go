package page

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

// hostile is what somebody might write where a result has room for text.
const hostile = "</script><img src=x onerror=\"document.title='taken'\">\x1b[2J\u202e{{data}}]]>"

func at(ms float64) *float64 { return &ms }

// sample is a made-up run of 20 s: a worker is killed at 10 s, a connection
// panics each second, and the limiter is away in the middle.
func sample(clients int) *chaos.Result {
	rng := rand.New(rand.NewPCG(7, 7))
	r := &chaos.Result{
		Schema: chaos.ResultSchema, Tool: "troupe-load test", Scenario: "sample", About: "a worker killed, connections that panic, a limiter that is away",
		FaultID: "F1", Start: "fleet", Seed: 1<<63 + 7, Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Length: 20_000,
		Replay: "troupe-load faults --scenario sample --seed 7", Green: true,
		Members:  []chaos.MemberResult{{Name: "gateway-1", Starts: 1}, {Name: "worker-1", Starts: 2}},
		Terminal: chaos.Spread{Count: 3, P50: 612, P99: 1480, Max: 1530}, Controls: chaos.ControlResult{Tried: 9, Red: 9},
		Bounds: []chaos.BoundResult{{Name: "terminal_p99", Want: "≤ 2s", Got: "1.48s", OK: true, Visible: true}, {Name: "recovery", Want: "≤ 1s", Got: "nothing to measure"}},
		Unseen: []string{"descriptors: this server gives no figures"},
		Slopes: []chaos.SlopeResult{{Member: "gateway-1", Figure: "goroutines", PerHour: -3.5, Mean: 411, Bound: 60, OK: true, Samples: 20}},
		Totals: chaos.Totals{Errors: map[string]int{"WORKER_LOST": 3}, Chunks: 40 * clients, GapP99: 31},
	}
	for i := range 9 {
		r.Invariants = append(r.Invariants, chaos.InvariantResult{ID: fmt.Sprint("I", i+1), About: "something that must hold", Visible: i != 5, Why: "no logs of a foreign server", Checked: 100 * i, Control: "red, as it must"})
	}
	n := 0
	for c := range clients {
		from := rng.Float64() * 3000
		worker := fmt.Sprint("worker-", 1+c%3)
		for from < 19_000 {
			n++
			s := chaos.StreamResult{
				N: n, Group: "talk", Client: c + 1, Gateway: fmt.Sprint("gateway-", 1+c%2), Worker: worker, Asked: from,
				First: at(from + 150 + rng.Float64()*100), End: at(min(from+8000, 20_000)), Outcome: chaos.OutcomeComplete, Chunks: 40,
			}
			switch {
			case worker == "worker-1" && from < 10_000 && *s.End > 10_000:
				s.Outcome, s.Code, s.End, s.Touched, s.Expected = chaos.OutcomeError, "WORKER_LOST", at(10_400+rng.Float64()*900), true, true
				s.Touches = []chaos.TouchResult{{At: *s.End, Kind: chaos.TouchError, Fault: "f2"}}
			case c%90 == 0 && from < 6000:
				lost := 6000 + rng.Float64()*1000
				s.Losses = []chaos.LossResult{{At: lost, Back: at(lost + 300), Why: "closed 1011"}}
				s.Touched, s.Expected = true, true
				s.Touches = []chaos.TouchResult{{At: lost, Kind: chaos.TouchSocket, Fault: "f1"}}
			case c%100 == 1 && from < 4000:
				s.Gaps = []chaos.GapResult{{From: *s.First + 900, To: *s.First + 1800}}
				s.Touched = true
				s.Touches = []chaos.TouchResult{{At: s.Gaps[0].To, Kind: chaos.TouchGap}}
			}
			r.Streams = append(r.Streams, s)
			if s.Touched {
				r.Totals.Touched++
			}
			r.Totals.Resumed += len(s.Losses)
			from = *s.End + 50
		}
	}
	for i := range 20 {
		r.Seconds = append(r.Seconds, chaos.SecondResult{At: float64(i) * 1000, Live: clients * min(i, 3) / 3, Chunks: clients * 5, Asked: clients / 8, Completed: clients / 9, Sockets: clients})
	}
	for i := range 13 {
		from := 5000 + 1000*float64(i)
		r.Faults = append(r.Faults, chaos.FaultResult{ID: fmt.Sprint("f", i), Label: "panic of a connection", Kind: "inject", Target: "gateway-1", From: from, To: from + 100, Hits: 1, Who: "connections hit", Expected: 1, Touched: 1, Must: true, Recovery: at(40)})
	}
	r.Faults = append(r.Faults,
		chaos.FaultResult{ID: "f20", Label: "limiter hangs", Kind: "inject", Target: "gateway-1", From: 7000, To: 17_000, Hits: 812, Who: "nobody", Recovery: at(220)},
		chaos.FaultResult{ID: "f21", Label: "kill worker-1", Kind: "kill", Target: "worker-1", From: 10_000, To: 13_000, Hits: 1, Who: "runs on worker-1", Expected: clients / 3, Touched: clients / 3, Must: true, Terminal: r.Terminal, Recovery: at(800)},
	)
	r.Totals.Asked, r.Totals.Complete, r.Totals.Untouched = n, n-3, n-r.Totals.Touched
	return r
}

// soiled is a red sample with hostile text wherever there is room for text.
func soiled() *chaos.Result {
	r := sample(10)
	r.Green, r.Quick = false, true
	r.Tool, r.Scenario, r.About, r.FaultID, r.Start, r.Replay = hostile, hostile, hostile, hostile, hostile, hostile
	r.Unseen, r.Controls.Problems = []string{hostile}, []string{hostile}
	r.Totals.Errors = map[string]int{hostile: 1}
	r.Breaches = []chaos.Breach{{Rule: hostile, Stream: 1, At: 5, What: hostile}}
	s := &r.Streams[0]
	s.Group, s.Gateway, s.Worker, s.Code, s.Outcome, s.Touched = hostile, hostile, hostile, hostile, chaos.OutcomeError, true
	s.Touches = []chaos.TouchResult{{At: 1, Kind: hostile, Fault: hostile}}
	f := &r.Faults[0]
	f.Label, f.Who, f.Target, f.Note, f.ID = hostile, hostile, hostile, hostile, hostile
	r.Invariants[0] = chaos.InvariantResult{ID: hostile, About: hostile, Visible: true, Breaches: 1, Example: hostile, Control: hostile}
	r.Bounds[0] = chaos.BoundResult{Name: hostile, Want: hostile, Got: hostile}
	r.Members[0].Name, r.Slopes[0].Member, r.Slopes[0].Figure = hostile, hostile, hostile
	return r
}
