package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// group waits for what it started.
type group struct{ wg sync.WaitGroup }

func (g *group) start(f func()) { g.wg.Go(f) }
func (g *group) wait()          { g.wg.Wait() }

// phaseName may be read while it is set.
type phaseName struct{ v atomic.Value }

func (p *phaseName) set(name string) { p.v.Store(name) }

func (p *phaseName) get() string {
	name, _ := p.v.Load().(string)
	return name
}

// cores is how many the tool may use at one time.
func cores() int { return runtime.GOMAXPROCS(0) }
