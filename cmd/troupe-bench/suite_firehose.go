package main

import (
	"context"
	"errors"
	"time"
)

// firehoseSplit is what the gateway's process makes of answers without a pace.
func firehoseSplit() suite {
	return suite{name: "firehose split", sides: []side{
		{"troupe gateway", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.split(ctx)
			if err != nil {
				return nil, err
			}
			f, err := l.fire(ctx, srv, "echo", func() (float64, error) {
				c, err := srv.counts(ctx)
				return c.writes, err
			})
			return readings{gatewayFire: f.perCPU, gatewayFireRate: f.perSecond, fireWrites: f.writes}, err
		}},
		{"plain relay", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.relay(ctx)
			if err != nil {
				return nil, err
			}
			f, err := l.fire(ctx, srv, "echo", nil)
			return readings{relayFire: f.perCPU, relayFireRate: f.perSecond}, err
		}},
	}}
}

// firehoseServe is the same of the whole of troupe, at a vendor who pours.
func firehoseServe() suite {
	return suite{name: "firehose serve", sides: []side{
		{"troupe serve, openai", func(ctx context.Context, l *lab) (readings, error) {
			flags, err := l.vendorFlags(ctx)
			if err != nil {
				return nil, err
			}
			srv, err := l.serve(ctx, flags...)
			if err != nil {
				return nil, err
			}
			f, err := l.fire(ctx, srv, "openai", nil)
			return readings{serveFire: f.perCPU, serveFireRate: f.perSecond}, err
		}},
	}}
}

// fired is what a firehose brought. Chunks that meet a busy socket are joined,
// so what is counted is texts, the words that the provider said, not frames.
type fired struct {
	perCPU    float64 // texts per second of the process's CPU time
	perSecond float64
	writes    float64 // write(2) per text
}

// fire has every client ask for an answer without a pace, several times. The
// first time warms up and is not measured. writes counts write(2), nil where
// nobody does.
func (l *lab) fire(ctx context.Context, srv *child, provider string, writes func() (float64, error)) (fired, error) {
	c, err := l.streams(ctx, srv)
	if err != nil {
		return fired{}, err
	}
	if writes == nil {
		writes = func() (float64, error) { return 0, nil }
	}
	s := speech{Words: l.plan.fireWords}
	if err := c.perform(provider, s); err != nil {
		return fired{}, err
	}
	before, err := writes()
	if err != nil {
		return fired{}, err
	}
	began, cpu := time.Now(), srv.cpu()
	for range l.plan.encores {
		if err := c.perform(provider, s); err != nil {
			return fired{}, err
		}
	}
	took, spent := time.Since(began), srv.cpu()-cpu
	after, err := writes()
	texts := float64(l.plan.encores * l.plan.streams * s.Words)
	return fired{
		perCPU: texts / spent.Seconds(), perSecond: texts / took.Seconds(), writes: (after - before) / texts,
	}, errors.Join(err, srv.err)
}
