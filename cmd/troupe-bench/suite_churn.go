package main

import (
	"context"
	"os"
	"strconv"
	"time"
)

// churn is what is left of very many connections that came and went: some
// asked, some left in the middle of an answer, some without a goodbye.
func churn() suite {
	return suite{name: "churn", times: once, sides: []side{{"troupe serve", comeAndGo}}}
}

func comeAndGo(ctx context.Context, l *lab) (readings, error) {
	// Counting windows are short: their keys are let go of while we wait.
	srv, err := l.serve(ctx, keptShort, longPing,
		"--limits.connections.window=5s", "--limits.sessions.window=5s", "--limits.messages.window=5s")
	if err != nil {
		return nil, err
	}
	warm, half := l.plan.churn/5, l.plan.churn/2
	before, err := l.churn(ctx, srv, 0, warm) // tables get a size
	if err != nil {
		return nil, err
	}
	cpu := srv.cpu()
	between, err := l.churn(ctx, srv, warm, half)
	if err != nil {
		return nil, err
	}
	after, err := l.churn(ctx, srv, warm+half, half)
	if err != nil {
		return nil, err
	}
	return srv.checked(readings{
		churnGoroutinesBefore: before.goroutines, churnGoroutines: after.goroutines,
		churnActorsBefore: before.actors, churnActors: after.actors,
		churnFilesBefore: before.files, churnFiles: after.files,
		churnHeapBefore: before.objects, churnHeap: after.objects,
		churnHalves: after.objects - between.objects, churnCPU: micros(between.cpu-cpu) / float64(half),
	})
}

// churn has so many users come and go, and returns what is left of them.
func (l *lab) churn(ctx context.Context, srv *child, from, n int) (remains, error) {
	s := speech{Words: 4}
	err := each(n, 2*parallel, func(i int) error {
		k, err := dial(ctx, srv.addr, from+i)
		if err != nil {
			return err
		}
		switch {
		case i%4 == 0: // a short chat
			if err = k.ask("echo", s.model()); err == nil {
				err = k.finish(s.text())
			}
		case i%16 == 1: // leaves without the answer
			err = k.ask("echo", s.model())
		}
		if i%2 == 0 {
			k.leave()
		} else {
			k.close()
		}
		return err
	})
	if err != nil {
		return remains{}, err
	}
	return srv.left(ctx)
}

// remains are what a process holds at rest.
type remains struct {
	goroutines, actors, files, objects float64
	cpu                                time.Duration // used when the last user had gone
}

// left waits for the end of all connections and runs and of what the limiter
// remembers of them, and reads what is left.
func (c *child) left(ctx context.Context) (remains, error) {
	r := remains{cpu: c.cpu()}
	err := c.until(ctx, "rest", func(s status) bool {
		r.actors = float64(s.Actors.Connection + s.Actors.Run)
		return r.actors == 0 && s.Limiter.Stats.Keys == 0
	})
	if err != nil {
		return remains{}, err
	}
	m, err := c.settled(ctx)
	if err != nil {
		return remains{}, err
	}
	series, err := c.scrape(ctx)
	if err != nil {
		return remains{}, err
	}
	r.goroutines, r.objects = series["go_goroutines"], m.objects
	files, err := os.ReadDir("/proc/" + strconv.Itoa(c.pid) + "/fd")
	r.files = float64(len(files))
	return r, err
}
