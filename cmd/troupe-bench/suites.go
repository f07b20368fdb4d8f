package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// roomy lets the bench in: limits stay on, and count, but are far away.
func roomy(more ...string) []string {
	return append([]string{
		"--limits.connections.max=100000", "--limits.sessions.max=100000", "--limits.messages.max=100000",
		"--pool.max_connections=15000", "--pool.max_per_ip=0", "--runs.keep=1s",
	}, more...)
}

// relay streams paced answers to many sockets. The steady reading is the CPU of
// the middle of the answers alone; the whole one includes the start and the end
// of each run.
func relay(ctx context.Context, p plan, start start) (readings, error) {
	srv, err := start(ctx, floorSpec{Pace: p.pace, Words: p.words}, roomy()...)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	c := &crowd{addr: srv.addr}
	defer c.close()
	if err := c.grow(ctx, p.streams, p.parallel); err != nil {
		return nil, err
	}
	before, err := srv.counts(ctx)
	if err != nil {
		return nil, err
	}

	over := make(chan error, 1)
	whole := srv.meter(c)
	go func() { over <- c.perform(fmt.Sprintf("echo-%s-%dw", p.pace, p.words), p.words, p.pace) }()
	length := time.Duration(p.words) * p.pace
	time.Sleep(length / 5)
	steady := srv.meter(c)
	time.Sleep(length * 3 / 5)
	middle := steady()
	if err := <-over; err != nil {
		return nil, err
	}
	all := whole()
	after, err := srv.counts(ctx)
	if err != nil {
		return nil, err
	}
	if due := int64(p.streams * p.words); all.chunks < due*99/100 { // texts are complete, finish has looked
		return nil, fmt.Errorf("%d chunks arrived as %d: too many were joined because the clients could not keep up", due, all.chunks)
	}
	return srv.checked(readings{
		relayCPU:    middle.perChunk(),
		relayWhole:  all.perChunk(),
		relayWrites: after.writesPerFrame(before),
	})
}

// idle is the slope of memory between few and many connections, each of which
// has had one answer.
func idle(ctx context.Context, p plan, start start) (readings, error) {
	const words = 8
	srv, err := start(ctx, floorSpec{Words: words}, roomy("--websocket.ping_interval=10m")...)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	c := &crowd{addr: srv.addr}
	defer c.close()
	at := func(n int) (memory, error) {
		first := len(c.clients)
		if err := c.grow(ctx, n, p.parallel); err != nil {
			return memory{}, err
		}
		model, want := fmt.Sprintf("echo-0s-%dw", words), answerText(words)
		err := each(n-first, p.parallel, func(i int) error {
			k := c.clients[first+i]
			if err := k.ask(model); err != nil {
				return err
			}
			return k.finish(want)
		})
		if err != nil {
			return memory{}, err
		}
		return srv.settled(ctx)
	}
	few, err := at(p.idleFew)
	if err != nil {
		return nil, err
	}
	many, err := at(p.idleMany)
	if err != nil {
		return nil, err
	}
	more := float64(p.idleMany - p.idleFew)
	return readings{
		idleLive:    (many.live - few.live) / more,
		idlePrivate: (many.private - few.private) / more,
	}, nil
}

// connect measures handshakes alone, many at once, and then the way from
// connect to the first chunk, one client at a time.
func connect(ctx context.Context, p plan, start start) (readings, error) {
	srv, err := start(ctx, floorSpec{Words: 1, HTTP: true}, roomy()...)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	began, cpu := time.Now(), srv.cpu()
	err = each(p.connects, p.parallel, func(i int) error {
		k, err := dial(ctx, srv.addr, fmt.Sprintf("hello-%d", i))
		if err == nil {
			k.close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	took, spent := time.Since(began), srv.cpu()-cpu

	times := make([]time.Duration, p.firsts)
	err = each(p.firsts, 1, func(i int) error {
		at := time.Now()
		k, err := dial(ctx, srv.addr, fmt.Sprintf("first-%d", i))
		if err != nil {
			return err
		}
		defer k.close()
		if err := k.ask("echo-0s-1w"); err != nil {
			return err
		}
		if _, err := k.step(); err != nil {
			return err
		}
		times[i] = time.Since(at)
		return k.finish(answerText(1))
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(times)
	return srv.checked(readings{
		connectRate: float64(p.connects) / took.Seconds(),
		connectCPU:  micros(spent) / float64(p.connects),
		firstChunk:  micros(times[len(times)/2]),
	})
}

// firehose sends answers without a pace. Chunks that meet a busy socket are
// joined, so what is counted is texts, words of the provider, not frames.
func firehose(ctx context.Context, p plan, start start) (readings, error) {
	srv, err := start(ctx, floorSpec{Words: p.fireWords}, roomy("--websocket.outbox_bytes=4194304")...)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	c := &crowd{addr: srv.addr}
	defer c.close()
	if err := c.grow(ctx, p.fireStreams, p.parallel); err != nil {
		return nil, err
	}
	const encores = 4 // one after the other: a single one is over too soon to be measured
	texts := float64(encores * p.fireStreams * p.fireWords)
	began, cpu := time.Now(), srv.cpu()
	for range encores {
		if err := c.perform(fmt.Sprintf("echo-0s-%dw", p.fireWords), p.fireWords, 0); err != nil {
			return nil, err
		}
	}
	took, spent := time.Since(began), srv.cpu()-cpu
	return srv.checked(readings{
		fireRate: texts / took.Seconds(),
		fireCPU:  micros(spent) / texts,
	})
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
