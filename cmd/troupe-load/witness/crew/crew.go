// Package crew starts the goroutines of a tool that judges others, and loses
// none: a panic in one is kept, for a tool that lost a part must not call
// anything green.
package crew

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Crew starts goroutines and waits for them. The zero Crew is ready; its methods
// may be called from any goroutine.
type Crew struct {
	wg sync.WaitGroup

	mu    sync.Mutex
	wrong []string
}

// Start runs f in a goroutine of its own. name stands before its panic.
func (c *Crew) Start(name string, f func()) {
	c.wg.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				c.Fail("panic in %s: %v\n%s", name, v, debug.Stack())
			}
		}()
		f()
	})
}

// Fail notes what went wrong in the tool itself.
func (c *Crew) Fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// Wait returns when all that were started have ended.
func (c *Crew) Wait() { c.wg.Wait() }

// Failures are what went wrong in the tool itself so far.
func (c *Crew) Failures() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.wrong)
}

// Sleep waits; false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
