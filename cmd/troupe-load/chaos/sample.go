package chaos

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
	markEvery   = 25 * time.Millisecond  // where a metric is to follow a step
	churnFor    = 300 * time.Millisecond // how long a gateway may take to notice that a socket went
	settleEvery = 100 * time.Millisecond
)

// slackGoroutines is that of a resting process: a runtime timer, a scrape, a
// reconnect. A single server has gateway, worker and bus in it.
const slackGoroutines = 8

// markNames are the metrics that the plan looks at.
func (r *round) markNames() (names []string) {
	for _, m := range r.plan.Expect.Metrics {
		names = append(names, m.Name)
	}
	for _, f := range r.plan.Expect.Figures {
		names = append(names, f.Name)
	}
	return names
}

// rest takes a baseline of every process. One that does not come to rest is on a
// busy machine; its last reading is as good as any.
func (r *round) rest(ctx context.Context) error {
	for _, m := range r.servers() {
		if _, err := m.Rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sampleUntil looks at the processes under load.
func (r *round) sampleUntil(ctx context.Context) {
	every := sampleEvery
	if len(r.plan.Expect.Metrics) > 0 {
		every = markEvery
	}
	for crew.Sleep(ctx, every) {
		s, sizes := r.sample(ctx)
		r.mu.Lock()
		r.samples = append(r.samples, s)
		r.sizes = append(r.sizes, sizes...)
		r.mu.Unlock()
		if d := time.Since(r.began); d > time.Minute && every == sampleEvery {
			every = time.Second // a long run has time
		}
	}
}

// sample asks every process that can answer. What changed meanwhile makes it less
// than exact, and it says so.
func (r *round) sample(ctx context.Context) (s sample, sizes []proc.Reading) {
	sockets := r.caller.ledger.Open()
	calls, version := r.openCalls()
	s = sample{At: time.Now(), Slots: map[string]int{}, Sockets: sockets, Calls: calls, Known: r.rules.Own}
	for _, m := range r.servers() {
		now, _, err := m.Read(ctx, r.markNames())
		if err != nil {
			s.Known = s.Known && m.role == roleGateway
			continue
		}
		sizes = append(sizes, now)
		if m.role != roleGateway {
			s.Runs += now.Runs
		}
		if m.role != roleWorker {
			s.Slots[m.Name] = now.Slots
		}
	}
	s.Churn = r.caller.ledger.Churn(s.At.Add(-churnFor))
	_, versionAfter := r.openCalls()
	s.Known = s.Known && version == versionAfter
	return s, sizes
}

func (r *round) openCalls() (open, changes int) {
	if r.vendor == nil {
		return 0, 0
	}
	return r.vendor.Count()
}

// settle waits until everything is as it was, or time is up; what it saw last is
// judged.
func (r *round) settle(ctx context.Context) (last []proc.Reading, err error) {
	bound := since(r.plan.Expect.Rest)
	late := time.Now().Add(bound)
	if r.vendor != nil {
		late = latest(late, r.vendor.Rests().Add(bound)) // an answer that nobody waits for ends by itself
	}
	for {
		last, err = r.readAll(ctx)
		open, _ := r.openCalls()
		if err == nil && open == 0 && r.atRest(last) || time.Now().After(late) {
			return last, err
		}
		if !crew.Sleep(ctx, settleEvery) {
			return last, errors.Join(err, context.Cause(ctx))
		}
	}
}

func (r *round) readAll(ctx context.Context) (all []proc.Reading, err error) {
	var pages []proc.Sink
	for _, m := range r.servers() {
		if !m.Running() && !m.died() {
			continue // ended by a step that does not start it again
		}
		now, page, err := m.Read(ctx, nil)
		if err != nil {
			return all, err
		}
		all = append(all, now)
		pages = append(pages, proc.Sink{Name: m.Name + "/metrics", Text: page})
	}
	if r.foreign != nil {
		page, err := r.foreign.Get(ctx, "/metrics")
		if err != nil {
			return all, err
		}
		pages = append(pages, proc.Sink{Name: "metrics", Text: page})
	}
	r.pages = pages
	return all, nil
}

func (r *round) atRest(now []proc.Reading) bool {
	return !slices.ContainsFunc(now, func(n proc.Reading) bool {
		before, ok := r.named(n.Process).Rested()
		return n.Slots > 0 || n.Connections > 0 || n.Runs > 0 || ok && before.Life == n.Life && grown(before, n)
	})
}

// grown tells whether a process holds more than it did at rest.
func grown(before, now proc.Reading) bool { return now.Grown(before, slackGoroutines) }

// collect waits for rest and gathers the evidence.
func (r *round) collect(ctx context.Context) (*evidence, error) {
	aborted, ended := ctx.Err() != nil, time.Now()
	ctx = context.WithoutCancel(ctx)
	settled, err := r.settle(ctx)
	if err != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("at rest: %v", err))
	}
	for _, m := range r.of(roleServe, roleGateway) {
		if page, err := m.Admin.Get(ctx, "/api/debug/websocket-status"); err == nil {
			r.pages = append(r.pages, proc.Sink{Name: m.Name + "/status", Text: page})
		}
	}
	logs, err := r.logs()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &evidence{
		Plan: r.plan, Rules: r.rules, Began: r.began, Ended: ended, Turns: r.book.turns, Probes: r.probes, Harms: r.harms, Floods: r.floods,
		Samples: r.samples, Sizes: r.sizes, Settled: settled, Sinks: append(r.pages, logs...), Wrong: r.wrong, Aborted: aborted, Unseen: r.unseen,
	}
	if r.vendor != nil {
		e.Calls, e.Strange = r.vendor.Take(r.began)
	}
	for _, m := range r.servers() {
		if before, ok := m.Rested(); ok {
			e.Baselines = append(e.Baselines, before)
		}
		if m.died() {
			e.Dead = append(e.Dead, fmt.Sprintf("%s ended by itself: %s", m.Name, m.LastWords()))
		}
	}
	return e, nil
}
