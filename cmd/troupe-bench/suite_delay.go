package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// firstText is the time from a question to the first chunk of its answer, one
// question after the other on one open socket.
func firstText() suite {
	measured := func(p50, p99 key) func(context.Context, *lab, *child) (readings, error) {
		return func(ctx context.Context, l *lab, srv *child) (readings, error) {
			times, err := l.firsts(ctx, srv)
			if err != nil {
				return nil, err
			}
			return readings{p50: percentile(times, 50), p99: percentile(times, 99)}, nil
		}
	}
	return suite{name: "first text", sides: againstRelay(measured(gatewayFirst50, gatewayFirst99), measured(relayFirst50, relayFirst99))}
}

// delay is how long a word is under way, from the moment it is said to the read
// that brings it.
func delay() suite {
	measured := func(few50, few99, many50, many99 key) func(context.Context, *lab, *child) (readings, error) {
		return func(ctx context.Context, l *lab, srv *child) (readings, error) {
			few, err := l.delays(ctx, srv, l.plan.delayFew)
			if err != nil {
				return nil, err
			}
			many, err := l.delays(ctx, srv, l.plan.streams)
			if err != nil {
				return nil, err
			}
			return readings{
				few50: percentile(few, 50), few99: percentile(few, 99),
				many50: percentile(many, 50), many99: percentile(many, 99),
			}, nil
		}
	}
	return suite{name: "delay", sides: againstRelay(
		measured(gatewayFew50, gatewayFew99, gatewayMany50, gatewayMany99),
		measured(relayFew50, relayFew99, relayMany50, relayMany99))}
}

// againstRelay are troupe in three processes and the plain relay in three.
func againstRelay(ours, floor func(context.Context, *lab, *child) (readings, error)) []side {
	return []side{
		{"troupe gateway", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.split(ctx)
			if err != nil {
				return nil, err
			}
			return ours(ctx, l, srv)
		}},
		{"plain relay", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.relay(ctx)
			if err != nil {
				return nil, err
			}
			return floor(ctx, l, srv)
		}},
	}
}

// firsts are the times to the first chunk in microseconds, sorted. The first
// tenth of the questions warms up.
func (l *lab) firsts(ctx context.Context, srv *child) ([]float64, error) {
	k, err := dial(ctx, srv.addr, 0)
	if err != nil {
		return nil, err
	}
	defer k.close()
	s := speech{Words: 1}
	var times []float64
	for i := range l.plan.firsts {
		began := time.Now()
		if err := k.ask("echo", s.model()); err != nil {
			return nil, err
		}
		if err := k.firstChunk(); err != nil {
			return nil, err
		}
		if i >= l.plan.firsts/10 {
			times = append(times, micros(k.at.Sub(began)))
		}
		if err := k.finish(s.text()); err != nil {
			return nil, err
		}
		time.Sleep(pauseLeast + rand.N(pauseMost-pauseLeast))
	}
	slices.Sort(times)
	return times, nil
}

// The pause between two questions lets both sides finish with one before the next:
// a run says its end, hears that it arrived and is logged, while the client reads.
// It is drawn, so that no clock of either side is met at the same point each time.
const (
	pauseLeast = time.Millisecond
	pauseMost  = 4 * time.Millisecond
)

// firstChunk reads until a chunk was there.
func (c *client) firstChunk() error {
	for before := c.chunks.Load(); c.chunks.Load() == before; {
		done, err := c.step()
		if done {
			err = errors.New("an answer without a chunk")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// delays are those of paced streams in microseconds, sorted.
func (l *lab) delays(ctx context.Context, srv *child, streams int) ([]float64, error) {
	c, err := l.crowd(ctx, srv, 0, streams)
	if err != nil {
		return nil, err
	}
	defer c.close()
	s := speech{Pace: l.plan.pace, Words: l.plan.words, Clock: true}
	warm := s
	warm.Words = 1
	for _, s := range []speech{warm, s} { // stacks and pools have their size then
		if err := c.perform("echo", s); err != nil {
			return nil, err
		}
	}
	return c.delays(), nil
}

// percentile takes sorted values; p is 0 to 100.
func percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
