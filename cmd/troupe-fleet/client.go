package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// caller is what the clients of a fleet share. It knows addresses, and nothing
// of the server's code.
type caller struct {
	http    *http.Client
	ledger  *ledger
	address func(gateway string) string // http://host:port
	numbers *atomic.Int64               // of questions
	userKey string                      // a key of the user's own, for some
}

// cancelWhen is how a client stops its answer.
type cancelWhen int

const (
	cancelNever     cancelWhen = iota
	cancelEarly                // as soon as it was accepted
	cancelMid                  // after some chunks
	cancelElsewhere            // after some chunks, from a second socket at another gateway
)

// plan is what one client will do. Everything in it comes from the seed.
type plan struct {
	Visitor visitor
	Home    string   // the gateway it asks first
	Others  []string // where it goes when its socket died, in turn with home
	Start   time.Duration
	Ask     asked // N is given when it is asked
	Policy  string
	Cancel  cancelWhen
	After   int // chunks before a cancel
	OwnKey  bool
	Leaves  bool // does not come back after a lost socket
	Seed    uint64
}

// client asks one question and stays with it until its end, over as many
// sockets as that takes.
type client struct {
	*caller
	plan plan
	rng  *rand.Rand
	crew *crew

	tries int // sockets dialled: alternates the gateways
	turns []*turn
}

func newClient(c *caller, p plan, crew *crew) *client {
	return &client{caller: c, plan: p, rng: rand.New(rand.NewPCG(p.Seed, 1)), crew: crew}
}

// run asks until the question has an answer or an honest error, and returns what
// was seen: one turn per question, since one whose socket died before it was
// accepted is asked again as a new one.
func (c *client) run(ctx context.Context) {
	if !sleep(ctx, c.plan.Start) {
		return
	}
	again := 0
	for backoff := newBackoff(c.rng); ; {
		f := c.question(again)
		f.follow(ctx)
		c.turns = append(c.turns, f.turn)
		if !f.askAgain {
			return
		}
		if ctx.Err() != nil {
			f.turn.GaveUp = giveUpDeadline
			return
		}
		f.turn.Replaced = true
		again = f.turn.Ask.N
		if !sleep(ctx, max(f.wait, backoff.next())) {
			return
		}
	}
}

func (c *client) question(again int) *follower {
	a := c.plan.Ask
	a.N = int(c.numbers.Add(1))
	return &follower{
		client: c, backoff: newBackoff(c.rng),
		turn: &turn{Ask: a, ID: "1", Again: again, Policy: c.plan.Policy, Cancel: c.plan.Cancel != cancelNever, Asked: time.Now()},
	}
}

// gateway is where the next socket goes: home first, then in turn.
func (c *client) gateway() string {
	all := append([]string{c.plan.Home}, c.plan.Others...)
	g := all[c.tries%len(all)]
	c.tries++
	return g
}

// backoff doubles from 50 ms to 2 s, with full jitter.
type backoff struct {
	rng *rand.Rand
	at  time.Duration
}

func newBackoff(rng *rand.Rand) *backoff { return &backoff{rng: rng, at: 50 * time.Millisecond} }

func (b *backoff) next() time.Duration {
	d := time.Duration(b.rng.Int64N(int64(b.at))) + time.Millisecond
	b.at = min(2*b.at, 2*time.Second)
	return d
}

func (b *backoff) reset() { b.at = 50 * time.Millisecond }
