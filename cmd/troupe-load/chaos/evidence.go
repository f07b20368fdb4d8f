package chaos

import (
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/mimic"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// evidence is all that was seen in a run. The oracle reads nothing else.
type evidence struct {
	Plan      *Plan
	Rules     rules
	Began     time.Time
	Ended     time.Time // of the streams
	Turns     []*turn
	Probes    []probe
	Calls     []mimic.Call
	Harms     []*harm
	Floods    []flood.Flood
	Samples   []sample
	Sizes     []proc.Reading // of every process, all the time
	Baselines []proc.Reading
	Settled   []proc.Reading
	Sinks     []proc.Sink
	Strange   []string // requests at the vendor that no worker should make
	Wrong     []string // in the tool itself
	Dead      []string // processes that ended by themselves
	Aborted   bool
	Unseen    []string
}

// rules are what the server was started with.
type rules struct {
	Own      bool // the tool started it
	Messages int  // admitted per session and window; 0 = not known
	Window   time.Duration
	Slots    int      // pool.max_connections; 0 = not known
	Keys     []string // planted; never written down
}

// turn is one client's view of one question over all its sockets.
type turn struct {
	answer.Question
	follow.Turn
	Group   *Group
	Client  int
	Session string
	Frames  []frame
	Left    time.Time // when a step sent its client away
	Done    bool      // nothing will be added

	Chunks    int
	First     time.Time // of the chunks; the zero time without any
	Last      time.Time
	Silences  []gap // above the bound
	Gaps      []pulse
	lastHeard time.Time
}

// turnID names the one turn that a client has on a socket.
const turnID = "1"

// frame is one message as it came.
type frame struct {
	frames.Body
	At     time.Time
	Socket int
	Key    bool // it holds a key
}

// gap is a silence within a turn.
type gap struct{ From, To time.Time }

// pulse is the time between two chunks, and when the second one came.
type pulse struct {
	At  float32 // seconds after the beginning of the run
	Gap float32 // milliseconds
}

// harm is one thing that was done. Its fields are written before the run is
// judged.
type harm struct {
	ID      string
	Step    *Step
	Index   int    // of the step, -1 for a group that is broken by itself
	Group   *Group // of such a group
	Verb    string
	Target  string   // for people: processes, nats, clients, or a group
	Targets []string // the processes
	Label   string
	From    time.Time
	To      time.Time
	Hits    int
	First   time.Time // of the hits, where the server tells; the zero time else
	Who     string
	Streams map[int]time.Time // numbers of those that it may touch, where Who needs a list, and when each was hit
	Blind   bool              // who may be touched cannot be seen
	Spare   int               // hits that belong to no known stream
	Poison  bool              // a question ended the process
	Clients int               // that were sent
	Note    string
	Gone    time.Duration // how long a terminated process took; 0 = not measured
	Unready time.Duration // until a terminated process called itself not ready; 0 = not measured
	Died    time.Time     // when a killed process had ended; the zero time if that was not seen
}

// over is how long traces may be seen.
func (h *harm) over() time.Time {
	if h.Step == nil {
		return h.To
	}
	return h.To.Add(since(h.Step.After))
}

// parts tells whether the harm may part a worker from its gateways.
func (h *harm) parts() bool {
	return slices.Contains([]string{"kill", "terminate", "pause", "restart"}, h.Verb) || h.Verb == "inject"
}

// probe is one short question of nobody's.
type probe struct {
	N     int
	Asked time.Time
	Done  time.Time
	OK    bool
}

// sample is what was true at about one moment under load.
type sample struct {
	At      time.Time
	Slots   map[string]int // by gateway, as it says
	Sockets map[string]int // by gateway, as the tool holds them
	Churn   map[string]int // by gateway, what came and went around that moment
	Runs    int            // live ones, all workers together
	Calls   int            // open ones at the vendor
	Known   bool           // every worker was asked, and no call began or ended meanwhile
}

// clone copies what a control changes; the rest is shared.
func (e *evidence) clone() *evidence {
	c := *e
	c.Turns = make([]*turn, len(e.Turns))
	for i, t := range e.Turns {
		copied := *t
		copied.Frames = slices.Clone(t.Frames)
		c.Turns[i] = &copied
	}
	c.Calls = slices.Clone(e.Calls)
	c.Floods = flood.Clone(e.Floods)
	c.Settled = slices.Clone(e.Settled)
	c.Sinks = slices.Clone(e.Sinks)
	return &c
}

// recovery is how long after a harm its traces may still be seen.
const recovery = 3 * time.Second

// disturbed tells whether one of the processes, or everything at once, was hit
// between two moments, or had just recovered.
func (e *evidence) disturbed(from, to time.Time, hit func(*harm) bool) bool {
	return slices.ContainsFunc(e.Harms, func(h *harm) bool {
		return hit(h) && h.From.Before(to) && latest(h.To.Add(recovery), h.over()).After(from)
	})
}

// hits makes a test for a harm to one of the processes.
func hits(targets ...string) func(*harm) bool {
	return func(h *harm) bool {
		return h.parts() && slices.ContainsFunc(h.Targets, func(t string) bool {
			return t == memberNATS || t == memberServe || slices.Contains(targets, t)
		})
	}
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
