package chaos

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// Roles of members.
const (
	roleServe   = "serve"
	roleGateway = "gateway"
	roleWorker  = "worker"
	roleNATS    = "nats"
)

// member is one process that the tool started, over all its lives. Its methods
// may be called from any goroutine.
type member struct {
	proc.Process

	// Set once.
	role  string
	ws    string                      // of serve and gateways: ws://host:port
	ready func(context.Context) error // nil = its operator's address says

	mu     sync.Mutex
	wanted bool // it is to run: an end of its own is a fault of the server
}

// start runs it, first or again, and returns when it is ready.
func (m *member) start(ctx context.Context) error {
	switch err := m.Start(ctx); {
	case errors.Is(err, proc.ErrRuns):
		return nil
	case err != nil:
		return err
	}
	m.want(true)
	return m.Ready(ctx, m.ready)
}

// want says whether the process is to run from now on.
func (m *member) want(running bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = running
}

// died tells whether the process ended and nobody had ended it.
func (m *member) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted && !m.Running()
}

// kill ends it without a word, paused or not.
func (m *member) kill() {
	m.want(false)
	m.Kill()
}

// terminate asks it to end, so many times, and waits until it has. It returns the
// exit status and how long that took.
func (m *member) terminate(ctx context.Context, times int) (exit int, took time.Duration, err error) {
	m.want(false)
	began := time.Now()
	for range max(1, times) {
		if err := m.Terminate(); err != nil {
			return 0, 0, err
		}
		crew.Sleep(ctx, 50*time.Millisecond)
	}
	exit, err = m.Wait(ctx)
	return exit, time.Since(began), err
}
