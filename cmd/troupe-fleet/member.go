package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Roles of members.
const (
	roleGateway = "gateway"
	roleWorker  = "worker"
)

// member is one process of the fleet and its wires to the bus, one to each NATS
// server. Its methods may be called from any goroutine.
type member struct {
	// Set once.
	name    string
	role    string
	proc    *process
	proxies []*proxy
	base    string // of a gateway: http://host:port where clients connect
	admin   string // http://host:port of its operator's listener

	mu       sync.Mutex
	life     int      // counts its starts
	baseline *reading // of this life, taken at rest
}

// lifeNow is which start this is.
func (m *member) lifeNow() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

// start runs it again after its end.
func (m *member) start(ctx context.Context) error {
	if err := m.proc.restart(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life++
	m.baseline = nil
	return nil
}

// rested returns the reading that this life began with.
func (m *member) rested() (reading, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.baseline == nil {
		return reading{}, false
	}
	return *m.baseline, true
}

func (m *member) rest(r reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.baseline == nil {
		m.baseline = &r
	}
}

// read takes the figures of the process, and its page for the search for keys.
func (m *member) read(ctx context.Context, client *http.Client) (reading, string, error) {
	page, err := fetch(ctx, client, m.admin+"/metrics")
	if err != nil {
		return reading{}, "", fmt.Errorf("%s: %w", m.name, err)
	}
	r, err := parseReading(page)
	if err != nil {
		return reading{}, "", fmt.Errorf("%s: %w", m.name, err)
	}
	r.Process, r.Life, r.At = m.name, m.lifeNow(), time.Now()
	return r, page, nil
}

// ready waits until the process says that it is.
func (m *member) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := waitReady(ctx, m.admin+"/readyz"); err != nil {
		return fmt.Errorf("%s, whose log is %s: %w", m.name, m.proc.logFile(), err)
	}
	return nil
}

// startTimeout bounds the start of one process on a busy machine.
const startTimeout = 30 * time.Second

func (m *member) close() {
	if m.proc != nil {
		m.proc.kill()
	}
	for _, p := range m.proxies {
		p.close()
	}
}

// restAgain forgets the reading of this life: it is taken anew.
func (m *member) restAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.baseline = nil
}
