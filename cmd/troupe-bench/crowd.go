package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// parallel is how many clients connect at once.
const parallel = 16

// crowd is many clients of one server.
type crowd struct {
	addr    string
	first   int // the number of its first user
	clients []*client
}

// grow connects until there are n.
func (c *crowd) grow(ctx context.Context, n int) error {
	have := len(c.clients)
	c.clients = append(c.clients, make([]*client, max(0, n-have))...)
	return each(n-have, parallel, func(i int) (err error) {
		c.clients[have+i], err = dial(ctx, c.addr, c.first+have+i)
		return err
	})
}

func (c *crowd) close() {
	for _, k := range c.clients {
		if k != nil {
			k.close()
		}
	}
}

// chunks counts what all of them have received.
func (c *crowd) chunks() int64 {
	var n int64
	for _, k := range c.clients {
		n += k.chunks.Load()
	}
	return n
}

// delays are those of all of them, sorted; in microseconds.
func (c *crowd) delays() []float64 {
	var all []float64
	for _, k := range c.clients {
		all = append(all, k.delays...)
	}
	slices.Sort(all)
	return all
}

// perform has every client ask and read to the end. They start one after the
// other: users do not type in step. Delays are kept of the words that are said
// while all of them read.
func (c *crowd) perform(provider string, s speech) error {
	n, want, began := len(c.clients), s.text(), time.Now()
	from, to := s.steady()
	return each(n, n, func(i int) error {
		k := c.clients[i]
		k.timed, k.delays, k.from, k.to = s.Clock, k.delays[:0], time.Time{}, time.Time{}
		if from > 0 {
			k.from, k.to = began.Add(from), began.Add(to)
		}
		time.Sleep(time.Until(began.Add(s.start(i, n))))
		if err := k.ask(provider, s.model()); err != nil {
			return err
		}
		if s.Clock {
			return k.finishClock(s.Words)
		}
		return k.finish(want)
	})
}

// each calls f for 0…n-1, parallel at a time, and returns the first errors; a
// refusal only where there is nothing worse.
func each(n, parallel int, f func(i int) error) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next int
		errs []error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= n || len(errs) > 0 {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(n, parallel) {
		wg.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := f(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if worse := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return errors.As(err, new(refusal)) }); len(worse) > 0 {
		errs = worse
	}
	return errors.Join(errs[:min(len(errs), 3)]...)
}
