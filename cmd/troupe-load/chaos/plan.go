package chaos

import (
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// What a plan starts.
const (
	StartServe = "serve" // one process
	StartFleet = "fleet" // gateways, workers and NATS, each a process
)

// Providers that streams may ask.
const (
	ProviderVendor = "vendor" // the tool's own, for servers that it starts
	ProviderEcho   = "echo"   // of any troupe
)

// Who a fault may touch.
const (
	TouchesNobody   = "nobody"
	TouchesAll      = "all"       // whoever is at it, or asks, while it lasts
	TouchesOnTarget = "on target" // streams with their run or their socket at the process
	TouchesHits     = "hits"      // streams whose actors were hit, as the server tells
	TouchesGroup    = "group"     // the streams of one group
)

// Plan is one fault scenario. What a file leaves out is filled in by defaults.
type Plan struct {
	Name   string   `yaml:"name"`
	Fault  string   `yaml:"fault"` // F1 … F25 of docs/reliability.md
	About  string   `yaml:"about"`
	Beside string   `yaml:"beside"` // what this does not try, and what does
	Tests  []string `yaml:"tests"`  // of the repository: they hold what no mark here can

	Start       string            `yaml:"start"`
	Gateways    int               `yaml:"gateways"` // of a fleet
	Workers     int               `yaml:"workers"`
	Config      map[string]string `yaml:"config"`      // keys of troupe, for every process that is started
	Descriptors int               `yaml:"descriptors"` // limit of every process that is started; 0 = as here
	Memory      string            `yaml:"memory"`      // GOMEMLIMIT of every troupe that is started, like 100MiB; empty = none

	Length   scenario.Duration `yaml:"length"`   // how long clients that ask again do so
	Deadline scenario.Duration `yaml:"deadline"` // for what is under way then
	Streams  []Group           `yaml:"streams"`
	Steps    []Step            `yaml:"steps"`
	Random   Random            `yaml:"random"`
	Expect   Expect            `yaml:"expect"`
	Quick    Quick             `yaml:"quick"`
}

// Group is clients of one kind.
type Group struct {
	Name         string            `yaml:"name"`
	Count        int               `yaml:"count"`
	At           scenario.Duration `yaml:"at"`
	Over         scenario.Duration `yaml:"over"`     // their arrivals are spread over it
	Again        bool              `yaml:"again"`    // each asks anew when its answer has ended
	Think        scenario.Duration `yaml:"think"`    // before that
	Provider     string            `yaml:"provider"` // vendor: the tool's own, where it starts the server
	Model        string            `yaml:"model"`    // echo-<pace>-<words>w, or a failing one of docs/experiments.md
	OnDisconnect string            `yaml:"on_disconnect"`
	Cancel       float64           `yaml:"cancel"`  // share that cancels within its answer
	OwnKey       float64           `yaml:"own_key"` // share that brings a key of its own
	Gateway      string            `yaml:"gateway"` // the one they go to first; empty = all in turn
	Stays        bool              `yaml:"stays"`   // does not come back after a lost socket

	Broken     bool              `yaml:"broken"`      // the model fails: the group is a fault of its own
	Ends       []string          `yaml:"ends"`        // complete, cancelled, or codes; empty = as expect.ends
	ToldWithin scenario.Duration `yaml:"told_within"` // from the last chunk, or the question, to the end; 0 = not judged
	RetryAfter scenario.Duration `yaml:"retry_after"` // what every error that it is told says at least; 0 = not judged
}

// Step is one thing that is done: exactly one of its verbs is set.
type Step struct {
	At    scenario.Duration `yaml:"at"`
	Every scenario.Duration `yaml:"every"` // again and again
	Until scenario.Duration `yaml:"until"` // of every; 0 = to the end
	For   scenario.Duration `yaml:"for"`   // then it is undone: a killed process comes back, a paused one goes on

	Kill      string `yaml:"kill"`      // worker-1, gateway-2, nats, serve; a ? for one that the seed draws
	Terminate string `yaml:"terminate"` // SIGTERM
	Pause     string `yaml:"pause"`     // SIGSTOP
	Restart   string `yaml:"restart"`   // SIGTERM, and again when it has ended
	Inject    string `yaml:"inject"`    // "limiter hang for=3s"
	On        string `yaml:"on"`        // of inject and clients: a process, gateways, workers; empty = all that can
	Clients   string `yaml:"clients"`   // slow, half-open, silent, malformed, flood, overload, leave
	Count     int    `yaml:"count"`     // of clients, or of terminations
	How       string `yaml:"how"`       // of leave: close, reset, silence
	Burn      int    `yaml:"burn"`      // processes that burn all the processor time they get

	Touches string            `yaml:"touches"` // nobody, all, on target, hits, group:NAME; empty = what follows from the verb
	After   scenario.Duration `yaml:"after"`   // how long its traces may still be seen
	Must    bool              `yaml:"must"`    // it has to touch somebody

	// Pass marks of this step alone; 0 = not judged.
	Ends     scenario.Duration `yaml:"ends"`      // of terminate: how long the process may take
	NotReady scenario.Duration `yaml:"not_ready"` // of terminate: until the process calls itself not ready
	Told     scenario.Duration `yaml:"told"`      // from it, or from the hit, to the first thing its client sees, p99
	Hits     int               `yaml:"hits"`      // of inject: so many at least
	Memory   string            `yaml:"memory"`    // of clients: resident memory that each may cost
	Recovers bool              `yaml:"recovers"`  // of clients: expect.recovery counts from their end, too
}

// Random does steps that the seed draws.
type Random struct {
	Every scenario.Duration `yaml:"every"` // 0 = none
	First scenario.Duration `yaml:"first"`
	From  []Step            `yaml:"from"`
}

// Expect holds the pass marks; 0 = not judged.
type Expect struct {
	Ends        []string          `yaml:"ends"` // what a touched stream may end with
	TerminalP99 scenario.Duration `yaml:"terminal_p99"`
	TerminalMax scenario.Duration `yaml:"terminal_max"`
	Recovery    scenario.Duration `yaml:"recovery"`
	Gap         scenario.Duration `yaml:"gap"`        // the longest silence of an untouched stream
	Losses      *int              `yaml:"losses"`     // sockets lost at most, in all
	Refused     *int              `yaml:"refused"`    // questions refused at most, in all
	Complete    float64           `yaml:"complete"`   // least share of all streams that were not asked to fail
	Answered    float64           `yaml:"answered"`   // least share of complete ones of those that were taken on
	GapGrowth   float64           `yaml:"gap_growth"` // how much p99 of their gaps may grow: 0.1 is a tenth
	NewRuns     *int              `yaml:"new_runs"`   // questions that changed their worker at most
	Moved       int               `yaml:"moved"`      // and at least
	RefusedP99  scenario.Duration `yaml:"refused_p99"`
	RetryAfter  []string          `yaml:"retry_after"`  // codes that must say when to come back
	Clears      scenario.Duration `yaml:"clears"`       // vendor calls of clients that left end within it
	ClearsGrace scenario.Duration `yaml:"clears_grace"` // those of clients that left with grace: not before runs.grace, and within it
	Calls       float64           `yaml:"calls"`        // vendor calls for each question at most, on average
	Kills       *int              `yaml:"kills"`        // processes that poison questions ended, at most
	Metrics     []MetricMark      `yaml:"metrics"`
	Figures     []FigureMark      `yaml:"figures"`
	Log         []LogMark         `yaml:"log"`
	Slope       Slopes            `yaml:"slope"`
	Rest        scenario.Duration `yaml:"rest"` // until everything is as before; 0 = 10 s
}

// MetricMark is a figure that must change while a step lasts, and change back.
type MetricMark struct {
	Name   string            `yaml:"name"`
	Step   int               `yaml:"step"`   // from 0
	Value  float64           `yaml:"value"`  // while it lasts
	Within scenario.Duration `yaml:"within"` // after its beginning
	Rest   float64           `yaml:"rest"`   // afterwards
	Back   scenario.Duration `yaml:"back"`   // after its end
}

// FigureMark bounds the highest value of a metric that any process shows.
type FigureMark struct {
	Name  string   `yaml:"name"`
	Least *float64 `yaml:"least"`
	Most  *float64 `yaml:"most"`
}

// LogMark bounds how many lines with a text all logs together have.
type LogMark struct {
	Says  string `yaml:"says"`
	Least int    `yaml:"least"`
	Most  int    `yaml:"most"`
}

// Slopes bound how processes grow, per hour; 0 = not judged.
type Slopes struct {
	Resident   float64 `yaml:"resident"` // MiB
	Goroutines float64 `yaml:"goroutines"`
}

// Quick is what --quick makes smaller.
type Quick struct {
	Streams int               `yaml:"streams"` // all groups together at most
	Length  scenario.Duration `yaml:"length"`
}

// since turns a duration of the plan into one of the standard library.
func since(d scenario.Duration) time.Duration { return time.Duration(d) }

// gapBound is the silence that counts as touched.
func (p *Plan) gapBound() time.Duration { return since(p.Expect.Gap) }
