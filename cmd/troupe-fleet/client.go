package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// caller is what the clients of a fleet share. It knows addresses, and nothing
// of the server's code.
type caller struct {
	ledger  follow.Ledger
	address func(gateway string) string // http://host:port
	numbers *atomic.Int64               // of questions
	userKey string                      // a key of the user's own, for some
}

// visitor is who opens sockets: a session, and the address that limits know it by.
type visitor struct {
	Session string
	Address string
}

// dial opens a socket of a visitor at a gateway.
func (c *caller) dial(ctx context.Context, gateway string, v visitor) (*follow.Socket, error) {
	return c.ledger.Dial(ctx, follow.Gateway{Name: gateway, URL: c.address(gateway)}, v.Session, http.Header{"X-Forwarded-For": {v.Address}})
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
	Ask     answer.Question // N is given when it is asked
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
	crew *crew.Crew

	tries int // sockets dialled: alternates the gateways
	turns []*turn
}

func newClient(c *caller, p plan, team *crew.Crew) *client {
	return &client{caller: c, plan: p, rng: rand.New(rand.NewPCG(p.Seed, 1)), crew: team}
}

// run asks until the question has an answer or an honest error, and returns what
// was seen: one turn per question, since one whose socket died before it was
// accepted is asked again as a new one.
func (c *client) run(ctx context.Context) {
	if !crew.Sleep(ctx, c.plan.Start) {
		return
	}
	again := 0
	for backoff := follow.NewBackoff(c.rng); ; {
		f := c.question(again)
		f.follow(ctx)
		c.turns = append(c.turns, f.turn)
		if !f.refused && f.turn.GaveUp != follow.Replaced {
			return
		}
		if ctx.Err() != nil {
			f.turn.GaveUp = giveUpDeadline
			return
		}
		f.turn.GaveUp, f.turn.Replaced = "", true
		again = f.turn.Ask.N
		if !crew.Sleep(ctx, max(f.Wait, backoff.Next())) {
			return
		}
	}
}

func (c *client) question(again int) *follower {
	a := c.plan.Ask
	a.N = int(c.numbers.Add(1))
	f := newFollower(c, &turn{
		Turn: follow.Turn{ID: "1", Asked: time.Now()}, Ask: a, Again: again, Policy: c.plan.Policy, Cancel: c.plan.Cancel != cancelNever,
	})
	f.Chat = f.chat()
	return f
}

// gateway is where the next socket goes: home first, then in turn.
func (c *client) gateway() string {
	all := append([]string{c.plan.Home}, c.plan.Others...)
	g := all[c.tries%len(all)]
	c.tries++
	return g
}
