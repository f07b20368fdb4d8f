package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Clocks of the measuring.
const (
	sampleEvery = 250 * time.Millisecond
	quietFor    = 200 * time.Millisecond // without a socket that opens or closes
	settleTime  = 10 * time.Second       // to be back at rest
	settleEvery = 100 * time.Millisecond
)

// Slack of a resting process: a runtime timer, a scrape, a reconnect.
const (
	slackGoroutines  = 6
	slackDescriptors = 4
)

// rest takes a baseline of every process that has none in this life. Three equal
// readings in a row are rest.
func (r *round) rest(ctx context.Context) error {
	client := newHTTPClient()
	for _, m := range r.members {
		if _, ok := m.rested(); ok {
			continue
		}
		var last reading
		late := time.Now().Add(settleTime)
		for same := 0; same < 3; {
			now, _, err := m.read(ctx, client)
			if err != nil {
				return err
			}
			if now.Goroutines == last.Goroutines && now.Descriptors == last.Descriptors {
				same++
			} else {
				same = 0
			}
			if last = now; time.Now().After(late) {
				return fmt.Errorf("%s does not come to rest before the round", m.name)
			}
			if !sleep(ctx, settleEvery/2) {
				return context.Cause(ctx)
			}
		}
		m.rest(last)
	}
	return nil
}

// sampleUntil looks at the fleet under load.
func (r *round) sampleUntil(ctx context.Context) {
	client := newHTTPClient()
	for sleep(ctx, sampleEvery) {
		s := r.sample(ctx, client)
		r.mu.Lock()
		r.samples = append(r.samples, s)
		r.mu.Unlock()
	}
}

// sample asks every process that can answer. What changed meanwhile makes it
// less than exact, and it says so.
func (r *round) sample(ctx context.Context, client *http.Client) sample {
	sockets, _ := r.caller.ledger.look()
	calls, version := r.vendor.count()
	s := sample{At: time.Now(), Slots: map[string]int{}, Sockets: sockets, Calls: calls, Known: true}
	for _, m := range r.members {
		now, _, err := m.read(ctx, client)
		switch {
		case err != nil && m.role == roleWorker:
			s.Known = false
		case err != nil:
		case m.role == roleWorker:
			s.Runs += now.Runs
		default:
			s.Slots[m.name] = now.Slots
		}
	}
	_, changed := r.caller.ledger.look()
	s.Quiet = changed.Before(s.At.Add(-quietFor))
	_, versionAfter := r.vendor.count()
	s.Known = s.Known && version == versionAfter
	return s
}

// settle waits until everything is as it was before the round, or time is up;
// what it saw last is judged.
func (r *round) settle(ctx context.Context) (last []reading, pages []sink, err error) {
	client := newHTTPClient()
	late := time.Now().Add(settleTime)
	if rests := r.vendor.rests(); rests.Add(settleTime).After(late) {
		late = rests.Add(settleTime) // an answer that nobody waits for ends by itself
	}
	for {
		last, pages, err = r.readAll(ctx, client)
		open, _ := r.vendor.count()
		if err == nil && open == 0 && r.atRest(last) || time.Now().After(late) {
			return last, pages, err
		}
		if !sleep(ctx, settleEvery) {
			return last, pages, errors.Join(err, context.Cause(ctx))
		}
	}
}

func (r *round) readAll(ctx context.Context, client *http.Client) (all []reading, pages []sink, err error) {
	for _, m := range r.members {
		now, page, err := m.read(ctx, client)
		if err != nil {
			return all, pages, err
		}
		all = append(all, now)
		pages = append(pages, sink{Name: m.name + "/metrics", Text: page})
	}
	return all, pages, nil
}

func (r *round) atRest(now []reading) bool {
	return !slices.ContainsFunc(now, func(n reading) bool {
		before, ok := r.member(n.Process).rested()
		return n.Slots > 0 || n.Connections > 0 || n.Runs > 0 || ok && grown(before, n)
	})
}

// grown tells whether a process holds more than it did at rest.
func grown(before, now reading) bool {
	return now.Goroutines > before.Goroutines+slackGoroutines || now.Descriptors > before.Descriptors+slackDescriptors
}

// collect waits for rest and gathers the evidence.
func (r *round) collect(ctx context.Context, spoils []tampering) (*evidence, error) {
	ctx = context.WithoutCancel(ctx)
	settled, sinks, err := r.settle(ctx)
	if err != nil {
		return nil, err
	}
	client := newHTTPClient()
	for _, g := range r.of(roleGateway) {
		page, err := fetch(ctx, client, g.admin+"/api/debug/websocket-status")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		sinks = append(sinks, sink{Name: g.name + "/status", Text: page})
	}
	logs, err := r.logs()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(append(r.problems, r.failures())...); err != nil {
		return nil, err
	}
	calls, strange := r.vendor.take(r.began)
	e := &evidence{
		Scenario: r.scenario.name, Seeds: r.seeds, Rules: r.rules, Turns: r.turns, Calls: calls, Harms: r.harms,
		Floods: r.floods, Crowds: r.crowds, Loads: r.loads, Samples: r.samples, Settled: settled, Sinks: append(sinks, logs...), Strange: strange, Tampered: spoils,
	}
	for _, m := range r.members {
		if before, ok := m.rested(); ok {
			e.Baselines = append(e.Baselines, before)
		}
	}
	return e, nil
}
