package main

import (
	"context"
	"time"
)

// connect is the cost of connections that only come: the upgrade, and the
// admission.
func connect() suite {
	return suite{name: "connect", sides: []side{
		{"troupe serve", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.serve(ctx)
			if err != nil {
				return nil, err
			}
			there := func(n int) error {
				return srv.until(ctx, "the admission of all connections", func(s status) bool { return s.Manager.Active == n })
			}
			perSecond, perCPU, err := l.handshakes(ctx, srv, there)
			return readings{serveConnects: perSecond, serveConnectsCPU: perCPU}, err
		}},
		{"net/http and gobwas", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.writes(ctx, writesSpec{speech: speech{Words: 1}, HTTP: true})
			if err != nil {
				return nil, err
			}
			perSecond, perCPU, err := l.handshakes(ctx, srv, func(int) error { return nil })
			return readings{bareConnects: perSecond, bareConnectsCPU: perCPU}, err
		}},
	}}
}

// handshakes opens many connections, several at once; there waits until the server
// has so many of them, none turned away, which counts. A tenth as many go first,
// to warm up.
func (l *lab) handshakes(ctx context.Context, srv *child, there func(n int) error) (perSecond, perCPU float64, err error) {
	visit := func(from, n int) (took, spent time.Duration, err error) {
		c := &crowd{addr: srv.addr, first: from}
		defer c.close()
		began, cpu := time.Now(), srv.cpu()
		if err := c.grow(ctx, n); err != nil {
			return 0, 0, err
		}
		err = there(n)
		return time.Since(began), srv.cpu() - cpu, err
	}
	n := l.plan.connects
	if _, _, err := visit(0, n/10); err != nil {
		return 0, 0, err
	}
	if err := there(0); err != nil {
		return 0, 0, err
	}
	took, spent, err := visit(n/10, n)
	if err != nil {
		return 0, 0, err
	}
	return float64(n) / took.Seconds(), float64(n) / spent.Seconds(), srv.err
}
