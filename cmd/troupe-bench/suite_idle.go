package main

import (
	"context"
	"fmt"
)

// longPing keeps pings out of suites whose sockets nobody reads.
const longPing = "--websocket.ping_interval=10m"

// idleMemory is what an idle connection holds: the slope between few and many
// of them, each after one answer.
func idleMemory() suite {
	return suite{name: "idle memory", times: fewer, sides: []side{
		{"troupe serve", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.serve(ctx, longPing, keptShort, "--limits.messages.window=1h") // no key is let go of between two points
			if err != nil {
				return nil, err
			}
			return l.idle(ctx, srv, troupeIdle(), func() (memory, error) {
				err := srv.until(ctx, "the end of all runs", func(s status) bool { return s.Actors.Run == 0 })
				if err != nil {
					return memory{}, err
				}
				return srv.settled(ctx)
			})
		}},
		{"parked goroutines", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.writes(ctx, writesSpec{speech: l.plan.greeting()})
			if err != nil {
				return nil, err
			}
			return l.idle(ctx, srv, parkedIdle(), func() (memory, error) { return srv.settledFloor(ctx) })
		}},
	}}
}

// idle connects, chats once, and reads the memory at three points.
func (l *lab) idle(ctx context.Context, srv *child, keys idleKeys, read func() (memory, error)) (readings, error) {
	c, err := l.crowd(ctx, srv, 0, 0)
	if err != nil {
		return nil, err
	}
	r := readings{}
	var at [3]memory
	points := l.plan.idlePoints()
	for i, n := range points {
		if err := c.growAndGreet(ctx, n, l.plan.greeting()); err != nil {
			return nil, fmt.Errorf("at %d connections: %w", len(c.clients), err)
		}
		m, err := read()
		if err != nil {
			return nil, err
		}
		at[i] = m
		r[keys.private[i]], r[keys.live[i]] = m.private, m.live
	}
	slope := func(from, to int, of func(memory) float64) float64 {
		return (of(at[to]) - of(at[from])) / float64(points[to]-points[from])
	}
	private, live := func(m memory) float64 { return m.private }, func(m memory) float64 { return m.live }
	r[keys.privateSlope], r[keys.liveSlope] = slope(0, 2, private), slope(0, 2, live)
	r[keys.liveLinear] = slope(1, 2, live) / slope(0, 1, live)
	return srv.checked(r)
}

// growAndGreet connects until there are n, each of which has one short answer.
func (c *crowd) growAndGreet(ctx context.Context, n int, s speech) error {
	first := len(c.clients)
	if err := c.grow(ctx, n); err != nil {
		return err
	}
	model, want := s.model(), s.text()
	return each(n-first, parallel, func(i int) error {
		k := c.clients[first+i]
		if err := k.ask("echo", model); err != nil {
			return err
		}
		return k.finish(want)
	})
}
