package main

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// scenario is one way to break the fleet, under load. Everything random in it is
// drawn from rng.
type scenario struct {
	name   string
	about  string
	long   bool          // only with --long, or by name
	share  int           // seeds that may be played in one round; 0 = 1
	extra  time.Duration // beyond the usual bound of a round
	plan   func(*round, *dice) plan
	play   func(context.Context, *round, *dice) error
	expect []expectation
}

// scenarios lists them in the order in which they are played.
func scenarios() []scenario {
	untouched := []expectation{allComplete, noSocketLost}
	return []scenario{
		{
			name: "calm", about: "no fault; a tenth of the clients cancel, and a crowd asks each gateway for more sockets than fit", plan: fickle, play: playCalm,
			expect: []expectation{noSocketLost, honestEnds, noError, crowdsRefused},
		},
		{
			name: "kill-worker", about: "kill -9 of a worker", plan: short, play: playKillWorker,
			expect: []expectation{noSocketLost, toldInTime, othersUntouched},
		},
		{
			name: "kill-worker-busy", about: "kill -9 of a worker within 10 s in which other processes want all CPUs twice", plan: long, play: playKillWorkerBusy,
			expect: []expectation{fullLoad, noSocketLost, honestEnds, toldInTime, othersUntouched},
		},
		{
			name: "kill-gateway", about: "kill -9 of a gateway; its clients resume at the other, but for a few that leave", plan: leaver, play: playKillGateway,
			expect: []expectation{allButLeaversComplete, leaversStopped},
		},
		{
			name: "nats-blip", about: "one NATS server away for 0.3 s, then all of them", plan: short, play: playBlip,
			expect: untouched,
		},
		{
			name: "nats-5s", about: "all of NATS away for 5 s", plan: long, play: playOutage(5 * time.Second),
			expect: untouched,
		},
		{
			name: "nats-150s", about: "all of NATS away for 150 s", long: true, extra: 3 * time.Minute, plan: long,
			play: playOutage(150 * time.Second), expect: []expectation{noSocketLost, honestEnds},
		},
		{
			name: "pause", about: "a worker, a gateway or both stopped for 30 s and let go on", share: 3, plan: short, play: playPause,
			expect: []expectation{othersUntouched},
		},
		{
			name: "wire", about: "one process's wires to NATS cut, then of one a black hole for 8 s", share: 2, plan: short, play: playWire,
			expect: []expectation{noSocketLost, honestEnds, othersUntouched},
		},
		{
			name: "tamper", about: "events repeated, reordered and dropped, 1 % each; replies late", plan: short, play: playTamper,
			expect: untouched,
		},
		{
			name: "rolling-gateways", about: "SIGTERM of one gateway after the other", plan: spread, play: playRolling(roleGateway),
			expect: []expectation{allComplete},
		},
		{
			name: "rolling-workers", about: "SIGTERM of one worker after the other", plan: spread, play: playRolling(roleWorker),
			expect: untouched,
		},
	}
}

var errNoVictim = errors.New("no process is left to be a victim")

// playCalm sends a crowd to each gateway when the streams have their sockets.
func playCalm(ctx context.Context, r *round, rng *dice) error {
	if !crew.Sleep(ctx, crowdAfter) {
		return nil
	}
	inside := r.caller.ledger.Open()
	var all crew.Crew
	for _, g := range r.of(roleGateway) {
		visitors := make([]visitor, r.rules.Slots-inside[g.Name]+crowdOver)
		for i := range visitors {
			visitors[i] = stranger(rng)
		}
		all.Start("crowd", func() {
			members := &crew.Crew{}
			seen := r.caller.fill(ctx, members, g.Name, visitors, crowdStays)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.crowds = append(r.crowds, seen)
			for _, text := range members.Failures() {
				r.crew.Fail("%s", text)
			}
		})
	}
	all.Wait()
	for _, text := range all.Failures() {
		r.crew.Fail("%s", text)
	}
	return nil
}

func playKillWorker(ctx context.Context, r *round, rng *dice) error {
	return r.killOne(ctx, rng, roleWorker)
}

func playKillGateway(ctx context.Context, r *round, rng *dice) error {
	return r.killOne(ctx, rng, roleGateway)
}

// killOne kills one under load and starts it again two seconds later.
func (r *round) killOne(ctx context.Context, rng *dice, role string) error {
	m := r.victim(rng, role)
	if m == nil {
		return errNoVictim
	}
	crew.Sleep(ctx, between(rng.Rand, time.Second, 4*time.Second))
	if err := r.harmed(harmKill, m.Name, func() error { m.Kill(); return nil }); err != nil {
		return err
	}
	crew.Sleep(ctx, 2*time.Second)
	return r.back(ctx, m)
}

// back starts a member again and waits until the fleet is whole.
func (r *round) back(ctx context.Context, m *member) error {
	if err := m.Start(ctx); err != nil {
		return err
	}
	return r.whole(ctx)
}

func playBlip(ctx context.Context, r *round, rng *dice) error {
	const blip = 300 * time.Millisecond
	crew.Sleep(ctx, between(rng.Rand, time.Second, 2*time.Second))
	one := r.nats[rng.IntN(len(r.nats))]
	if err := r.outage(ctx, blip, one); err != nil {
		return err
	}
	crew.Sleep(ctx, between(rng.Rand, time.Second, 2*time.Second))
	return r.outage(ctx, blip, r.nats...)
}

func playOutage(d time.Duration) func(context.Context, *round, *dice) error {
	return func(ctx context.Context, r *round, rng *dice) error {
		crew.Sleep(ctx, between(rng.Rand, 500*time.Millisecond, 1800*time.Millisecond)) // while questions are being asked
		return r.outage(ctx, d, r.nats...)
	}
}

// playPause stops a worker, a gateway or one of each; the seed says which, so that
// three in a row have all.
func playPause(ctx context.Context, r *round, rng *dice) error {
	roles := [][]string{{roleWorker, roleGateway}, {roleWorker}, {roleGateway}}[rng.seed%3]
	var victims []*member
	for _, role := range roles {
		if m := r.victim(rng, role); m != nil { // another seed of this round may have taken the last
			victims = append(victims, m)
		}
	}
	if len(victims) == 0 {
		return nil
	}
	crew.Sleep(ctx, between(rng.Rand, time.Second, 4*time.Second))
	return r.pauseAll(ctx, victims, 30*time.Second)
}

func (r *round) pauseAll(ctx context.Context, victims []*member, d time.Duration) error {
	var errs []error
	from := time.Now()
	for _, m := range victims {
		errs = append(errs, m.Pause())
	}
	crew.Sleep(ctx, d)
	for _, m := range victims {
		errs = append(errs, m.Resume())
	}
	for _, m := range victims {
		r.note(harm{Kind: harmPause, Target: m.Name, From: from, To: time.Now()})
	}
	return errors.Join(append(errs, r.whole(ctx))...)
}

// playWire cuts every wire of one process, and lets those of one swallow what is
// sent for 8 s. They may be the same.
func playWire(ctx context.Context, r *round, rng *dice) error {
	first, second := r.members[rng.IntN(len(r.members))], r.members[rng.IntN(len(r.members))]
	crew.Sleep(ctx, between(rng.Rand, time.Second, 2*time.Second))
	err := r.harmed(harmCut, first.Name, func() error {
		for _, p := range first.proxies {
			p.cut()
		}
		return nil
	})
	if err != nil {
		return err
	}
	crew.Sleep(ctx, between(rng.Rand, 500*time.Millisecond, 2*time.Second))
	err = r.harmed(harmBlackHole, second.Name, func() error {
		for _, p := range second.proxies {
			p.blackHole(true)
		}
		crew.Sleep(ctx, 8*time.Second)
		for _, p := range second.proxies {
			p.blackHole(false)
		}
		return nil
	})
	return errors.Join(err, r.whole(ctx))
}
