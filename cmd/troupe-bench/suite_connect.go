package main

import (
	"context"
	"time"
)

// connect is the cost of connections that only come and go: the upgrade, the
// admission, and the end.
func connect() suite {
	return suite{name: "connect", sides: []side{
		{"troupe serve", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.serve(ctx)
			if err != nil {
				return nil, err
			}
			gone := func() error {
				return srv.until(ctx, "the end of all connections", func(s status) bool { return s.Actors.Connection == 0 })
			}
			perSecond, perCPU, err := l.handshakes(ctx, srv, gone)
			return readings{serveConnects: perSecond, serveConnectsCPU: perCPU}, err
		}},
		{"net/http and gobwas", func(ctx context.Context, l *lab) (readings, error) {
			srv, err := l.writes(ctx, writesSpec{speech: speech{Words: 1}, HTTP: true})
			if err != nil {
				return nil, err
			}
			perSecond, perCPU, err := l.handshakes(ctx, srv, func() error { return nil })
			return readings{bareConnects: perSecond, bareConnectsCPU: perCPU}, err
		}},
	}}
}

// handshakes connects and leaves many times, several at once; gone waits for the
// server to be done with all of them, which counts. A tenth as many go first,
// to warm up.
func (l *lab) handshakes(ctx context.Context, srv *child, gone func() error) (perSecond, perCPU float64, err error) {
	visit := func(from, n int) error {
		err := each(n, parallel, func(i int) error {
			k, err := dial(ctx, srv.addr, from+i)
			if err == nil {
				k.close()
			}
			return err
		})
		if err != nil {
			return err
		}
		return gone()
	}
	n := l.plan.connects
	if err := visit(0, n/10); err != nil {
		return 0, 0, err
	}
	began, cpu := time.Now(), srv.cpu()
	if err := visit(n/10, n); err != nil {
		return 0, 0, err
	}
	took, spent := time.Since(began), srv.cpu()-cpu
	return float64(n) / took.Seconds(), float64(n) / spent.Seconds(), srv.err
}
