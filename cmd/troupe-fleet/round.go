package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
)

// round is one scenario under one seed, or under several that share it.
type round struct {
	*fleet
	scenario scenario
	seeds    []uint64
	streams  int
	began    time.Time

	mu       sync.Mutex
	harms    []harm
	claimed  map[string]bool // members that a seed has taken as its victim
	problems []error         // of the scenario itself
	spoilt   []spoilt
	samples  []sample
	turns    []*turn
	floods   []flood.Flood
	crowds   []crowd
	loads    []load
}

// clientDeadline bounds one client.
const clientDeadline = 90 * time.Second

// run plays the round and returns what was seen. An error is the harness's own:
// there is no verdict then.
func (r *round) run(ctx context.Context) (*evidence, error) {
	r.began, r.claimed = time.Now(), map[string]bool{}
	if err := r.rest(ctx); err != nil {
		return nil, err
	}
	r.began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, clientDeadline+r.scenario.extra)
	defer cancel()
	sampling, stopSampling := context.WithCancel(ctx)
	var sampler, all crew.Crew
	sampler.Start("sampler", func() { r.sampleUntil(sampling) })
	for i, seed := range r.seeds {
		rng := r.rng(seed)
		share := r.streams / len(r.seeds)
		if i == 0 {
			share += r.streams % len(r.seeds)
		}
		r.startClients(ctx, &all, rng, share) // draws first: it is done when it returns
		all.Start("scenario", func() { r.problem(r.scenario.play(ctx, r, rng)) })
	}
	r.startFlooders(ctx, &all)
	all.Wait()
	spoils := r.mend()
	stopSampling()
	sampler.Wait()
	for _, c := range []*crew.Crew{&all, &sampler} {
		for _, text := range c.Failures() {
			r.crew.Fail("%s", text)
		}
	}
	return r.collect(ctx, spoils)
}

// dice are the source of everything random under a seed. They belong to one
// goroutine.
type dice struct {
	*rand.Rand
	seed uint64
}

// rng is the source of everything random under a seed. Scenarios differ in it,
// or the same moments would be tried over and over.
func (r *round) rng(seed uint64) *dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.scenario.name))
	return &dice{rand.New(rand.NewPCG(seed, h.Sum64())), seed}
}

func (r *round) startClients(ctx context.Context, all *crew.Crew, rng *dice, n int) {
	for range n {
		c := newClient(r.caller, r.scenario.plan(r, rng), all)
		all.Start("client", func() {
			c.run(ctx)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.turns = append(r.turns, c.turns...)
		})
	}
}

// startFlooders sends one to each gateway.
func (r *round) startFlooders(ctx context.Context, all *crew.Crew) {
	for _, g := range r.of(roleGateway) {
		session := fmt.Sprintf("flood-%s-%d", g.Name, time.Now().UnixNano())
		all.Start("flooder", func() {
			if !crew.Sleep(ctx, time.Second) {
				return
			}
			seen := r.caller.flood(ctx, g.Name, session, 2*maxMessages)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.floods = append(r.floods, seen)
		})
	}
}

// problem keeps an error of the scenario's own doing, such as a process that did
// not come back.
func (r *round) problem(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, err)
}

// claim takes a member as a victim unless another seed has it, or it is the last
// of its role that is whole.
func (r *round) claim(m *member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := 0
	for _, other := range r.of(m.role) {
		if !r.claimed[other.Name] {
			left++
		}
	}
	if r.claimed[m.Name] || left < 2 {
		return false
	}
	r.claimed[m.Name] = true
	return true
}

// victim draws one of a role that can be claimed; nil where all are taken.
func (r *round) victim(rng *dice, role string) *member {
	list := r.of(role)
	for _, i := range rng.Perm(len(list)) {
		if r.claim(list[i]) {
			return list[i]
		}
	}
	return nil
}

// harmed runs a harm from its beginning to its end and notes both. What it did
// must be undone when it returns.
func (r *round) harmed(kind, target string, do func() error) error {
	h := harm{Kind: kind, Target: target, From: time.Now()}
	err := do()
	h.To = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.harms = append(r.harms, h)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", kind, target, err)
	}
	return nil
}
