package main

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// crew starts the goroutines of the harness and waits for them. A panic in one
// is kept and fails the run: a harness that lost a part must not call anything
// green.
type crew struct {
	wg sync.WaitGroup

	mu     sync.Mutex
	panics []string
}

// start runs f in a goroutine of its own.
func (c *crew) start(name string, f func()) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		defer c.catch(name)
		f()
	}()
}

func (c *crew) catch(name string) {
	if v := recover(); v != nil {
		c.fail(fmt.Sprintf("panic in %s: %v\n%s", name, v, debug.Stack()))
	}
}

func (c *crew) fail(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics = append(c.panics, text)
}

// wait returns when all have ended.
func (c *crew) wait() { c.wg.Wait() }

// failed returns what went wrong in the harness itself.
func (c *crew) failed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.panics...)
}
