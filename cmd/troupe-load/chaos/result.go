package chaos

import "time"

// ResultSchema is the version of Result; it grows when a field changes its
// meaning or goes away.
const ResultSchema = 1

// Result is all that came of one run, as it is written by --json. Moments are
// milliseconds after Began unless they say otherwise.
type Result struct {
	Schema   int       `json:"schema"` // ResultSchema
	Tool     string    `json:"tool"`   // version of troupe-load
	Scenario string    `json:"scenario"`
	About    string    `json:"about"`
	FaultID  string    `json:"fault_id"` // F1 … F25; empty for a scenario of one's own
	Start    string    `json:"start"`    // serve, fleet, or the URL of a server that ran already
	Seed     uint64    `json:"seed"`
	Quick    bool      `json:"quick"`
	Began    time.Time `json:"began"`
	Length   float64   `json:"length_ms"` // from Began to the last thing seen, rest included
	Replay   string    `json:"replay"`    // the command that plays this again
	Green    bool      `json:"green"`     // the verdict

	Members    []MemberResult    `json:"members"`    // what was started; empty for a server that ran already
	Streams    []StreamResult    `json:"streams"`    // in the order of their beginning
	Seconds    []SecondResult    `json:"seconds"`    // one for each second, the first begins at 0
	Faults     []FaultResult     `json:"faults"`     // one for each thing that was done, in order
	Invariants []InvariantResult `json:"invariants"` // I1 … I9, in order
	Bounds     []BoundResult     `json:"bounds"`     // what the scenario asks for besides
	Breaches   []Breach          `json:"breaches"`   // all, the first one first; empty where Green
	Unseen     []string          `json:"unseen"`     // what could not be judged here, and why, in words
	Controls   ControlResult     `json:"controls"`
	Totals     Totals            `json:"totals"`
	Terminal   Spread            `json:"terminal"` // from a fault to the end that its streams were told
	Slopes     []SlopeResult     `json:"slopes"`   // of each process, in runs of a minute and longer
}

// Outcomes of a stream.
const (
	OutcomeComplete   = "complete"
	OutcomeCancelled  = "cancelled"  // asked for; else it counts as touched
	OutcomeError      = "error"      // told by a frame, with a code
	OutcomeRefused    = "refused"    // an error before anything ran: no run was named
	OutcomeLost       = "lost"       // neither an end nor a reason: always a breach
	OutcomeLeft       = "left"       // a step sent its client away
	OutcomeReplaced   = "replaced"   // its socket died before a run was named: asked anew as another stream
	OutcomeUnfinished = "unfinished" // the run ended first
)

// StreamResult is one question from the moment it was asked to its end, over as
// many sockets as that took.
type StreamResult struct {
	N        int           `json:"n"`     // its number, from 1
	Group    string        `json:"group"` // of the scenario
	Client   int           `json:"client"`
	Gateway  string        `json:"gateway,omitempty"` // where its first socket led; empty for a server that ran already
	Worker   string        `json:"worker,omitempty"`  // who asked the vendor for it, where that can be seen
	RunID    string        `json:"run_id,omitempty"`
	Asked    float64       `json:"asked_ms"`
	First    *float64      `json:"first_ms"` // first chunk; null = none came
	End      *float64      `json:"end_ms"`   // null = none came
	Outcome  string        `json:"outcome"`  // see Outcome…
	Code     string        `json:"code,omitempty"`
	Chunks   int           `json:"chunks"`
	Touched  bool          `json:"touched"`           // a fault reached this client, see Touches
	Expected bool          `json:"expected"`          // a fault was meant to reach it, or may have
	Touches  []TouchResult `json:"touches,omitempty"` // why it counts as touched, in order
	Losses   []LossResult  `json:"losses,omitempty"`  // sockets that ended without the client wanting it
	Gaps     []GapResult   `json:"gaps,omitempty"`    // silences above the bound of the scenario
}

// What reached a client.
const (
	TouchError  = "error"   // an end that nobody asked for
	TouchSocket = "socket"  // its socket was lost
	TouchNewRun = "new run" // the question went to another worker
	TouchGap    = "gap"     // silence above the bound
)

// TouchResult is one thing that reached a client.
type TouchResult struct {
	At    float64 `json:"at_ms"`
	Kind  string  `json:"kind"`            // see Touch…
	Fault string  `json:"fault,omitempty"` // ID of the fault that explains it; empty = none does, a breach
}

// LossResult is a lost socket and how its client came back.
type LossResult struct {
	At   float64  `json:"at_ms"`
	Back *float64 `json:"back_ms"` // the resumed stream's first frame; null = it did not come back
	Why  string   `json:"why"`
}

// GapResult is a silence within a stream.
type GapResult struct {
	From float64 `json:"from_ms"`
	To   float64 `json:"to_ms"`
}

// SecondResult is one second of the run.
type SecondResult struct {
	At        float64 `json:"at_ms"`     // its beginning
	Live      int     `json:"live"`      // streams that were asked and had not ended, at its end
	Chunks    int     `json:"chunks"`    // that came within it
	Asked     int     `json:"asked"`     // within it
	Completed int     `json:"completed"` // within it
	Errors    int     `json:"errors"`    // ends by an error within it
	Touched   int     `json:"touched"`   // streams that were first touched within it
	Sockets   int     `json:"sockets"`   // open ones, at its end
}

// FaultResult is one thing that was done and what came of it.
type FaultResult struct {
	ID       string   `json:"id"`     // f1, f2 …
	Label    string   `json:"label"`  // for people: "kill worker-1"
	Kind     string   `json:"kind"`   // kill, pause, terminate, restart, inject, clients, streams
	Target   string   `json:"target"` // a process, nats, clients, or the group of streams
	From     float64  `json:"from_ms"`
	To       float64  `json:"to_ms"`       // equals From where it is over at once
	Hits     int      `json:"hits"`        // as the server counts them for an injection, else 1
	Who      string   `json:"who"`         // the rule of who may be touched: see the scenario's touches
	Expected int      `json:"expected"`    // streams that may be touched; -1 = cannot be seen here
	Touched  int      `json:"touched"`     // of those, how many were
	Beyond   int      `json:"beyond"`      // others that were touched within its time and that no fault explains
	Must     bool     `json:"must"`        // it has to touch somebody
	Terminal Spread   `json:"terminal"`    // from From to the end or the new run that touched clients were told
	Recovery *float64 `json:"recovery_ms"` // from To to the first complete new question; null = not seen
	Note     string   `json:"note,omitempty"`
}

// Spread sums up durations in milliseconds. Count 0 = there were none.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// InvariantResult is one of I1 to I9.
type InvariantResult struct {
	ID       string `json:"id"`
	About    string `json:"about"`
	Visible  bool   `json:"visible"`       // false = not visible here, which is not green
	Why      string `json:"why,omitempty"` // why it is not visible, or only in part
	Checked  int    `json:"checked"`       // how many times it was
	Breaches int    `json:"breaches"`
	Example  string `json:"example,omitempty"` // the first breach
	Control  string `json:"control"`           // what the negative control forged, and what came of it
}

// BoundResult is one pass mark of the scenario.
type BoundResult struct {
	Name    string `json:"name"` // terminal_p99
	Want    string `json:"want"` // ≤ 2s
	Got     string `json:"got"`  // 830ms
	OK      bool   `json:"ok"`
	Visible bool   `json:"visible"` // false = there was nothing to measure, said in Got
}

// Breach is one thing that must not be.
type Breach struct {
	Rule   string  `json:"rule"`             // I1 … I9, untouched, must touch, outcome, lost answer, bound, tool
	Stream int     `json:"stream,omitempty"` // number of a StreamResult
	At     float64 `json:"at_ms"`            // 0 = at no moment
	What   string  `json:"what"`
}

// ControlResult says whether the oracle can see at all: for each invariant one
// thing is forged in what was really seen, and the verdict must name that one.
type ControlResult struct {
	Tried    int      `json:"tried"` // those that the evidence had something to forge for
	Red      int      `json:"red"`
	Problems []string `json:"problems"`
}

// MemberResult is one process that was started.
type MemberResult struct {
	Name   string `json:"name"` // serve, gateway-1, worker-1, nats
	Starts int    `json:"starts"`
}

// Totals count streams by what came of them.
type Totals struct {
	Asked      int            `json:"asked"`
	Complete   int            `json:"complete"`
	Cancelled  int            `json:"cancelled"`
	Errors     map[string]int `json:"errors"`  // by code, of those that ran
	Refused    map[string]int `json:"refused"` // by code, of those that never ran
	Lost       int            `json:"lost"`
	Unfinished int            `json:"unfinished"`
	Touched    int            `json:"touched"`
	Untouched  int            `json:"untouched"`
	Resumed    int            `json:"resumed"` // sockets that were lost and found their run again
	Chunks     int            `json:"chunks"`
	GapP99     float64        `json:"gap_p99_ms"` // silences between chunks of streams that nothing touched
}

// SlopeResult is how a figure of a process grew over the second half of the run,
// by least squares.
type SlopeResult struct {
	Member  string  `json:"member"`
	Figure  string  `json:"figure"`   // resident bytes, heap bytes, goroutines, descriptors
	PerHour float64 `json:"per_hour"` // growth
	Mean    float64 `json:"mean"`
	Bound   float64 `json:"bound"` // per hour; 0 = not judged
	OK      bool    `json:"ok"`
	Samples int     `json:"samples"`
}
