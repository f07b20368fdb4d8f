package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// chunkServe is the cost of a chunk in the whole of troupe, and its two floors:
// what it must at least do to sockets, and what it must at least do to a
// vendor's stream.
func chunkServe() suite {
	return suite{name: "chunk serve", sides: []side{
		{"troupe serve, echo", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.serve(ctx)
			if err != nil {
				return nil, err
			}
			c, err := l.streams(ctx, srv)
			if err != nil {
				return nil, err
			}
			before, err := srv.counts(ctx)
			if err != nil {
				return nil, err
			}
			cpu, err := srv.pacedChunk(c, "echo", l.plan.paced())
			if err != nil {
				return nil, err
			}
			after, err := srv.counts(ctx)
			return readings{serveEcho: cpu, pacedWrites: (after.writes - before.writes) / (after.frames - before.frames)}, err
		}},
		{"troupe serve, openai", func(ctx context.Context, l *lab) (readings, error) {
			flags, err := l.vendorFlags(ctx)
			if err != nil {
				return nil, err
			}
			srv, err := l.serve(ctx, flags...)
			if err != nil {
				return nil, err
			}
			cpu, err := l.pacedChunk(ctx, srv, "openai", l.plan.paced())
			return readings{serveOpenAI: cpu}, err
		}},
		{"bare write loop", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.writes(ctx, writesSpec{speech: l.plan.paced()})
			if err != nil {
				return nil, err
			}
			cpu, err := l.pacedChunk(ctx, srv, "echo", l.plan.paced())
			return readings{bareWrite: cpu}, err
		}},
		{"bare SSE reader", readVendor},
	}}
}

// chunkSplit is the cost of a chunk in the gateway's process alone.
func chunkSplit() suite {
	return suite{name: "chunk split", sides: []side{
		{"troupe gateway", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.split(ctx)
			if err != nil {
				return nil, err
			}
			cpu, err := l.pacedChunk(ctx, srv, "echo", l.plan.paced())
			return readings{gatewayChunk: cpu}, err
		}},
		{"plain relay", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.relay(ctx)
			if err != nil {
				return nil, err
			}
			cpu, err := l.pacedChunk(ctx, srv, "echo", l.plan.paced())
			return readings{relayChunkCPU: cpu}, err
		}},
	}}
}

// pacedChunk connects the plan's number of clients and streams to them.
func (l *lab) pacedChunk(ctx context.Context, srv *child, provider string, s speech) (float64, error) {
	c, err := l.streams(ctx, srv)
	if err != nil {
		return 0, err
	}
	return srv.pacedChunk(c, provider, s)
}

// pacedChunk streams a paced answer to every client and returns what a chunk
// costs the process, in microseconds.
func (c *child) pacedChunk(to *crowd, provider string, s speech) (float64, error) {
	over := make(chan error, 1)
	go func() { over <- to.perform(provider, s) }()
	middle := c.middle(s, to.chunks)
	if err := <-over; err != nil {
		return 0, err
	}
	due, came := int64(len(to.clients)*s.Words), to.chunks()
	if came < due*99/100 { // texts are complete, finish has looked
		return 0, fmt.Errorf("%d chunks arrived as %d: too many were joined because the clients could not keep up", due, came)
	}
	return middle.perChunk(), c.err
}

// middle is what the process uses while all answers of a crowd that begins now
// stream: no start, no end.
func (c *child) middle(s speech, count func() int64) usage {
	from, to := s.steady()
	time.Sleep(from)
	steady := c.meter(count)
	time.Sleep(to - from)
	return steady()
}

// readVendor has the bare SSE reader read the same answers.
func readVendor(ctx context.Context, l *lab) (readings, error) {
	v, err := l.run(ctx, commandVendor)
	if err != nil {
		return nil, err
	}
	r, err := l.run(ctx, commandReader)
	if err != nil {
		return nil, err
	}
	s := l.plan.paced()
	if _, err := r.ask(fmt.Sprintf("start http://%s/v1/chat/completions %d %s", v.addr, l.plan.streams, s.model())); err != nil {
		return nil, err
	}
	var trouble error
	middle := r.middle(s, func() int64 {
		answer, err := r.ask("count")
		if err != nil {
			trouble = err
			return 0
		}
		n, err := strconv.ParseInt(answer, 10, 64)
		if err != nil {
			trouble = err
		}
		return n
	})
	if _, err := r.ask("end"); err != nil {
		return nil, err
	}
	if trouble != nil {
		return nil, trouble
	}
	return r.checked(readings{bareRead: middle.perChunk()})
}
