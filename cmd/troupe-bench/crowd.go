package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// crowd is many clients of one server.
type crowd struct {
	addr    string
	clients []*client
}

// grow connects until there are n, at most parallel at a time.
func (c *crowd) grow(ctx context.Context, n, parallel int) error {
	have := len(c.clients)
	c.clients = append(c.clients, make([]*client, max(0, n-have))...)
	return each(n-have, parallel, func(i int) (err error) {
		c.clients[have+i], err = dial(ctx, c.addr, fmt.Sprintf("bench-%d", have+i))
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

// perform has every client ask and read to the end. They start evenly spread
// over stagger: users do not type in step.
func (c *crowd) perform(model string, words int, stagger time.Duration) error {
	n, want, began := len(c.clients), answerText(words), time.Now()
	return each(n, n, func(i int) error {
		time.Sleep(time.Until(began.Add(stagger * time.Duration(i) / time.Duration(n))))
		if err := c.clients[i].ask(model); err != nil {
			return err
		}
		return c.clients[i].finish(want)
	})
}

// each calls f for 0…n-1, parallel at a time, and returns the first errors.
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
	return errors.Join(errs[:min(len(errs), 3)]...)
}
