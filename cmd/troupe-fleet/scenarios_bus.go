package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// outage kills NATS servers, and starts them again after a while.
func (r *round) outage(ctx context.Context, d time.Duration, servers ...*natsproc.Server) error {
	err := r.harmed(harmOutage, targetBus, func() error {
		for _, s := range servers {
			s.Kill()
		}
		crew.Sleep(ctx, d)
		for _, s := range servers {
			if err := s.Start(ctx); err != nil {
				return err
			}
		}
		return natsproc.Meshed(ctx, r.nats)
	})
	return errors.Join(err, r.whole(ctx))
}

// note adds a harm that was done step by step.
func (r *round) note(h harm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.harms = append(r.harms, h)
}

// playTamper lets the wires of the gateways spoil what NATS delivers, until the
// round is over. For one gateway events are repeated, swapped and dropped, for
// the other replies are late, by less than a gateway waits for one.
func playTamper(_ context.Context, r *round, rng *dice) error {
	seed := rng.Uint64()
	list := r.of(roleGateway)
	for i, at := range rng.Perm(len(list)) {
		t := &tamper{Seed: seed, Match: isEvent, Repeat: 0.01, Reorder: 0.01, Drop: 0.01}
		if i > 0 {
			t = &tamper{Seed: seed, Match: isReply, Delay: 0.2, DelayFor: 200 * time.Millisecond}
		}
		r.spoil(list[at], t)
	}
	return nil
}

// spoil lets every wire of a process tamper until the round is over.
func (r *round) spoil(m *member, t *tamper) {
	for _, p := range m.proxies {
		p.tamper(t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spoilt = append(r.spoilt, spoilt{m, t})
}

// spoilt is a process whose wires tamper.
type spoilt struct {
	member *member
	tamper *tamper
}

// mend makes the wires honest again and returns what they did.
func (r *round) mend() (done []tampering) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spoilt {
		for _, p := range s.member.proxies {
			p.tamper(nil)
		}
		done = append(done, tampering{Process: s.member.Name, Counts: s.tamper.counts()})
	}
	r.spoilt = nil
	return done
}

func isEvent(subject string) bool { return strings.HasSuffix(subject, ".events") }

func isReply(subject string) bool { return strings.Contains(subject, ".r.") }

// playRolling stops one process of a role after the other in good order and
// starts each again before the next one goes.
func playRolling(role string) func(context.Context, *round, *dice) error {
	return func(ctx context.Context, r *round, rng *dice) error {
		list := r.of(role)
		for _, i := range rng.Perm(len(list)) {
			crew.Sleep(ctx, between(rng.Rand, 500*time.Millisecond, 1500*time.Millisecond))
			if err := r.roll(ctx, list[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// roll restarts one process as an orchestrator would.
func (r *round) roll(ctx context.Context, m *member) error {
	err := r.harmed(harmDrain, m.Name, func() error {
		if err := m.Terminate(); err != nil {
			return err
		}
		exit, err := m.Wait(ctx)
		if err == nil && exit != 0 {
			err = fmt.Errorf("exit status %d, the log is %s", exit, m.Log())
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.back(ctx, m)
}
