package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// Clocks of the measuring.
const (
	sampleEvery = 250 * time.Millisecond
	quietFor    = 200 * time.Millisecond // without a socket that opens or closes
	settleTime  = 10 * time.Second       // to be back at rest
	settleEvery = 100 * time.Millisecond
)

// slackGoroutines is that of a resting process: a runtime timer, a scrape, a
// reconnect.
const slackGoroutines = 6

// rest takes a baseline of every process that has none in this life.
func (r *round) rest(ctx context.Context) error {
	for _, m := range r.members {
		if _, ok := m.Rested(); ok {
			continue
		}
		calm, err := m.Rest(ctx)
		if err != nil {
			return err
		}
		if !calm {
			return fmt.Errorf("%s does not come to rest before the round", m.Name)
		}
	}
	return nil
}

// sampleUntil looks at the fleet under load.
func (r *round) sampleUntil(ctx context.Context) {
	for crew.Sleep(ctx, sampleEvery) {
		s := r.sample(ctx)
		r.mu.Lock()
		r.samples = append(r.samples, s)
		r.mu.Unlock()
	}
}

// sample asks every process that can answer. What changed meanwhile makes it
// less than exact, and it says so.
func (r *round) sample(ctx context.Context) sample {
	sockets := r.caller.ledger.Open()
	calls, version := r.vendor.Count()
	s := sample{At: time.Now(), Slots: map[string]int{}, Sockets: sockets, Calls: calls, Known: true}
	for _, m := range r.members {
		now, _, err := m.Read(ctx, nil)
		switch {
		case err != nil && m.role == roleWorker:
			s.Known = false
		case err != nil:
		case m.role == roleWorker:
			s.Runs += now.Runs
		default:
			s.Slots[m.Name] = now.Slots
		}
	}
	s.Quiet = len(r.caller.ledger.Churn(s.At.Add(-quietFor))) == 0
	_, versionAfter := r.vendor.Count()
	s.Known = s.Known && version == versionAfter
	return s
}

// settle waits until everything is as it was before the round, or time is up;
// what it saw last is judged.
func (r *round) settle(ctx context.Context) (last []proc.Reading, pages []proc.Sink, err error) {
	late := time.Now().Add(settleTime)
	if rests := r.vendor.Rests(); rests.Add(settleTime).After(late) {
		late = rests.Add(settleTime) // an answer that nobody waits for ends by itself
	}
	for {
		last, pages, err = r.readAll(ctx)
		open, _ := r.vendor.Count()
		if err == nil && open == 0 && r.atRest(last) || time.Now().After(late) {
			return last, pages, err
		}
		if !crew.Sleep(ctx, settleEvery) {
			return last, pages, errors.Join(err, context.Cause(ctx))
		}
	}
}

func (r *round) readAll(ctx context.Context) (all []proc.Reading, pages []proc.Sink, err error) {
	for _, m := range r.members {
		now, page, err := m.Read(ctx, nil)
		if err != nil {
			return all, pages, err
		}
		all = append(all, now)
		pages = append(pages, proc.Sink{Name: m.Name + "/metrics", Text: page})
	}
	return all, pages, nil
}

func (r *round) atRest(now []proc.Reading) bool {
	return !slices.ContainsFunc(now, func(n proc.Reading) bool {
		before, ok := r.member(n.Process).Rested()
		return n.Slots > 0 || n.Connections > 0 || n.Runs > 0 || ok && grown(before, n)
	})
}

// grown tells whether a process holds more than it did at rest.
func grown(before, now proc.Reading) bool { return now.Grown(before, slackGoroutines) }

// collect waits for rest and gathers the evidence.
func (r *round) collect(ctx context.Context, spoils []tampering) (*evidence, error) {
	ctx = context.WithoutCancel(ctx)
	settled, sinks, err := r.settle(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range r.of(roleGateway) {
		page, err := g.Admin.Get(ctx, "/api/debug/websocket-status")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Name, err)
		}
		sinks = append(sinks, proc.Sink{Name: g.Name + "/status", Text: page})
	}
	logs, err := proc.Logs(r.dir)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(append(r.problems, r.failures())...); err != nil {
		return nil, err
	}
	calls, strange := r.vendor.Take(r.began)
	e := &evidence{
		Scenario: r.scenario.name, Seeds: r.seeds, Rules: r.rules, Turns: r.turns, Calls: calls, Harms: r.harms,
		Floods: r.floods, Crowds: r.crowds, Loads: r.loads, Samples: r.samples, Settled: settled, Sinks: append(sinks, logs...), Strange: strange, Tampered: spoils,
	}
	for _, m := range r.members {
		if before, ok := m.Rested(); ok {
			e.Baselines = append(e.Baselines, before)
		}
	}
	return e, nil
}
