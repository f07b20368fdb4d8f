package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// Options of a run beside the plan.
type Options struct {
	URL        string        // of a server that runs already; empty = start one
	Admin      string        // its operator's address; empty = the same host
	AdminToken string        // empty = none
	Troupe     string        // binary to start; empty = beside this program, or in PATH
	NATS       []string      // command that runs NATS at the address that follows
	Seed       uint64        // of everything that is drawn
	Quick      bool          // noted in the result
	Tool       string        // version, noted in the result
	Replay     string        // command that plays this again, noted in the result
	Live       func(Live)    // how it goes, once a second; nil = nobody looks
	KeepLogs   func(string)  // told where the logs of a red run are; nil = they are removed
	Every      time.Duration // of Live; 0 = a second
}

// warmUp is how many short questions each gateway answers before anything counts:
// a process has its full number of goroutines only after the first ones.
const warmUp = 40

// round is one run.
type round struct {
	*place
	plan   *Plan
	o      Options
	caller *caller
	book   *book
	all    crew.Crew // clients and steps
	began  time.Time

	mu      sync.Mutex
	harms   []*harm
	samples []sample
	sizes   []proc.Reading // of every process, all the time
	probes  []probe
	floods  []flood.Flood
	pages   []proc.Sink
	wrong   []string
	unseen  []string
	seen    map[string]actor  // actors by their ids
	names   map[string]string // sessions by the names of their connections in the log
}

// Run plays the plan and judges what was seen. An error means that there is no
// verdict: nothing could be started, or ctx ended before there were streams.
func Run(ctx context.Context, p *Plan, o Options) (*Result, error) {
	w, err := newPlace(ctx, p, o)
	if err != nil {
		return nil, err
	}
	defer w.close()
	r := newRound(p, o, w)
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	r.play(ctx)
	e, err := r.collect(ctx)
	if err != nil {
		return nil, err
	}
	result := judgeRun(e, r.book)
	r.describe(result)
	if !result.Green && o.KeepLogs != nil && w.dir != "" {
		o.KeepLogs(w.keep())
	}
	return result, nil
}

func newRound(p *Plan, o Options, w *place) *round {
	c := &caller{keys: canary.Spell(w.rules.Keys)}
	if w.vendor == nil {
		c.provider = ProviderEcho
	} else {
		c.userKey = w.rules.Keys[1]
	}
	return &round{place: w, plan: p, o: o, caller: c, book: newBook(p.gapBound()), seen: map[string]actor{}}
}

// rng is the source of everything random of one part under the seed.
func (r *round) rng(part string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %s %d", r.plan.Name, part, n)
	return rand.New(rand.NewPCG(r.o.Seed, h.Sum64()))
}

// begin warms everything up and notes how large it is at rest.
func (r *round) begin(ctx context.Context) error {
	if r.rules.Own {
		for _, g := range r.gates {
			r.warm(ctx, g)
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		return ctx.Err()
	}
	first := r.probe(ctx, r.gates[0])
	if !first.OK {
		return fmt.Errorf("%s answers no question of provider echo; `troupe check %s` says why", r.o.URL, r.o.URL)
	}
	r.visible(ctx)
	return nil
}

// visible notes what a server that ran already does not show.
func (r *round) visible(ctx context.Context) {
	if _, err := r.foreign.Get(ctx, "/metrics"); err != nil {
		r.foreign = nil
		r.unseen = append(r.unseen, fmt.Sprintf("operator's addresses (%v): slots, size at rest, injections and who was hit; give --admin and --admin-token", err))
	}
	r.unseen = append(r.unseen, "the vendor of a server that was not started here: calls cannot be counted")
}

func (r *round) warm(ctx context.Context, g follow.Gateway) {
	var all crew.Crew
	for range warmUp {
		all.Start("warm-up", func() { r.probe(ctx, g) })
	}
	all.Wait()
}

// play lets clients come, breaks things, and returns when every client has ended.
func (r *round) play(ctx context.Context) {
	r.began = time.Now()
	r.book.began = r.began
	ctx, cancel := context.WithTimeoutCause(ctx, since(r.plan.Length)+since(r.plan.Deadline), errors.New("the run is over"))
	defer cancel()
	asking, stopAsking := context.WithTimeout(ctx, since(r.plan.Length))
	defer stopAsking()
	beside, stop := context.WithCancel(ctx)
	var others crew.Crew
	others.Start("samples", func() { r.sampleUntil(beside) })
	others.Start("probes", func() { r.probeUntil(beside) })
	others.Start("machine", func() { r.watchMachine(beside) })
	others.Start("picture", func() { r.showUntil(beside) })
	r.startClients(ctx, asking)
	r.startSteps(ctx, asking)
	r.startFloods(asking)
	r.all.Wait()
	stop()
	others.Wait()
	for _, c := range []*crew.Crew{&r.all, &others, r.crew} {
		r.wrong = append(r.wrong, c.Failures()...)
	}
}

func (r *round) startClients(ctx, asking context.Context) {
	number := 0
	for i := range r.plan.Streams {
		g := &r.plan.Streams[i]
		if g.Broken {
			r.brokenGroup(g)
		}
		for n := range g.Count {
			number++
			c := &client{round: r, group: g, number: number, rng: r.rng("client", number)}
			at := since(g.At) + time.Duration(float64(since(g.Over))*float64(n)/float64(g.Count))
			r.all.Start("client", func() {
				if crew.Sleep(ctx, at) {
					c.run(ctx, asking)
				}
			})
		}
	}
}

// brokenGroup is a fault for the whole run.
func (r *round) brokenGroup(g *Group) {
	h := &harm{
		Index: -1, Group: g, Verb: "streams", Target: g.Name, Label: g.Name + ": " + g.Model, From: r.began,
		To: r.began.Add(since(r.plan.Length) + since(r.plan.Deadline)), Hits: g.Count, Who: TouchesGroup,
	}
	r.note(h)
}

func (r *round) note(h *harm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.ID = fmt.Sprintf("f%d", len(r.harms)+1)
	r.harms = append(r.harms, h)
}

// client asks one question, or one after the other.
type client struct {
	*round
	group  *Group
	number int
	rng    *rand.Rand
	tries  int
}

func (c *client) run(ctx, asking context.Context) {
	c.tries = c.rng.IntN(len(c.gates))
	if i := c.home(); i >= 0 {
		c.tries = i
	}
	for {
		f := c.ask(ctx)
		again := c.group.Again || f.turn.GaveUp == follow.Replaced
		if !again || !crew.Sleep(asking, max(since(c.group.Think), min(f.Wait, 5*time.Second), 10*time.Millisecond)) {
			return
		}
	}
}

// home is the gateway of the group, -1 where it has none.
func (c *client) home() int {
	for i, g := range c.gates {
		if g.Name == c.group.Gateway {
			return i
		}
	}
	return -1
}

func (c *client) ask(ctx context.Context) *follower {
	n := int(c.caller.numbers.Add(1))
	m, err := answer.ParseModel(c.group.Model)
	if err != nil { // which the check of the plan has seen
		c.all.Fail("stream %d: %v", n, err)
	}
	session := fmt.Sprintf("faults-%d-%d-%d", c.began.UnixNano(), c.number, n)
	t := &turn{
		Question: answer.Question{N: n, Model: m, Echo: c.caller.ask(c.group) == ProviderEcho},
		Turn:     follow.Turn{ID: turnID, Asked: time.Now()}, Group: c.group, Client: c.number, Session: session,
	}
	f := &follower{caller: c.caller, turn: t, book: c.book}
	f.Turn, f.Watch, f.Backoff, f.Leaves = &t.Turn, f, follow.NewBackoff(c.rng), c.group.Stays
	f.Dial = func(ctx context.Context) (*follow.Socket, string, error) {
		to := c.gates[c.tries%len(c.gates)]
		c.tries++
		s, err := c.caller.ledger.Dial(ctx, to, session, nil)
		return s, to.Name, err
	}
	f.Chat = c.caller.chat(t, c.caller.userKey != "" && c.rng.Float64() < c.group.OwnKey)
	if c.rng.Float64() < c.group.Cancel {
		f.cancelAt = 1 + c.rng.IntN(max(1, m.Words/2))
	}
	c.book.begin(f)
	f.Follow(ctx)
	c.book.end(f)
	return f
}
