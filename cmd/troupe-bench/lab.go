package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// lab is where one side of a suite is measured once. The processes it starts and
// the clients it connects end with it.
type lab struct {
	plan   plan
	binary string // troupe
	socket string // websocket.reader; empty = what the server chooses
	all    []*child
	crowds []*crowd
}

func (l *lab) close() {
	for _, c := range l.crowds {
		c.close()
	}
	for _, c := range l.all {
		c.stop()
	}
}

// crowd connects n clients to srv; the first of them is this user.
func (l *lab) crowd(ctx context.Context, srv *child, first, n int) (*crowd, error) {
	c := &crowd{addr: srv.addr, first: first}
	l.crowds = append(l.crowds, c)
	return c, c.grow(ctx, n)
}

// streams connects those who are answered at once.
func (l *lab) streams(ctx context.Context, srv *child) (*crowd, error) {
	return l.crowd(ctx, srv, 0, l.plan.streams)
}

// keep remembers what was started, to end it.
func (l *lab) keep(c *child, err error) (*child, error) {
	if err == nil {
		l.all = append(l.all, c)
	}
	return c, err
}

// run starts one of the small programs of this one.
func (l *lab) run(ctx context.Context, name string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return l.keep(launch(exec.CommandContext(ctx, self, append([]string{name}, args...)...), "listening"))
}

func (l *lab) writes(ctx context.Context, f writesSpec) (*child, error) {
	return l.run(ctx, commandWrites, f.args()...)
}

// Flags of the gateway's side. Limits stay on, and count, but are far away. A
// server that is driven as hard as it goes is not to shed anything.
func (l *lab) edge(more ...string) []string {
	flags := append([]string{
		"--http.listen=127.0.0.1:0", "--log.format=json", "--pool.max_connections=15000",
		"--limits.connections.max=100000", "--limits.sessions.max=100000", "--limits.messages.max=100000",
		"--overload.lag=0s",
	}, more...)
	if l.socket != "" {
		flags = append(flags, "--websocket.reader="+l.socket)
	}
	return flags
}

// keptShort is for whoever measures memory: ended runs let go of their text.
const keptShort = "--runs.keep=1s"

// serve starts the whole of troupe in one process.
func (l *lab) serve(ctx context.Context, flags ...string) (*child, error) {
	return l.troupe(ctx, "listening", "serve", l.edge(flags...))
}

func (l *lab) troupe(ctx context.Context, word, role string, flags []string) (*child, error) {
	return l.keep(launch(exec.CommandContext(ctx, l.binary, append([]string{role}, flags...)...), word))
}

// split starts nats-server, a worker and a gateway, three processes, and returns
// the gateway when it knows the worker.
func (l *lab) split(ctx context.Context) (*child, error) {
	nats, err := l.run(ctx, commandNATS)
	if err != nil {
		return nil, err
	}
	bus := "--bus.url=nats://" + nats.addr
	if _, err := l.troupe(ctx, "operators", "worker", []string{bus, "--log.format=json", "--http.admin_listen=127.0.0.1:0", "--overload.lag=0s"}); err != nil {
		return nil, err
	}
	gateway, err := l.troupe(ctx, "listening", "gateway", l.edge(bus))
	if err != nil {
		return nil, err
	}
	return gateway, gateway.until(ctx, "a worker", func(s status) bool { return len(s.Workers) > 0 })
}

// relay starts the plain relay in the same three parts and returns its gateway.
func (l *lab) relay(ctx context.Context) (*child, error) {
	nats, err := l.run(ctx, commandNATS)
	if err != nil {
		return nil, err
	}
	if _, err := l.run(ctx, commandRelayWorker, nats.addr); err != nil {
		return nil, err
	}
	return l.run(ctx, commandRelay, nats.addr)
}

// vendorFlags start the vendor and point the provider openai to it.
func (l *lab) vendorFlags(ctx context.Context) ([]string, error) {
	v, err := l.run(ctx, commandVendor)
	if err != nil {
		return nil, err
	}
	return []string{"--providers.openai.base_url=http://" + v.addr + "/v1", "--providers.openai.api_keys=bench"}, nil
}

// status is what a gateway says of itself.
type status struct {
	Workers []struct{} `json:"workers"`
	Manager struct {
		Active int `json:"active_connections"`
	} `json:"websocket_manager"`
	Limiter struct {
		Stats struct {
			Keys int `json:"tracked_keys"`
		} `json:"stats"`
	} `json:"rate_limiter"`
	Actors struct {
		Connection int `json:"connection"`
		Run        int `json:"run"`
	} `json:"actors"`
}

func (c *child) status(ctx context.Context) (s status, err error) {
	res, err := get(ctx, c.addr, "/api/debug/websocket-status")
	if err != nil {
		return s, err
	}
	defer func() { _ = res.Body.Close() }()
	return s, json.NewDecoder(res.Body).Decode(&s)
}

// patience bounds how long a gateway is asked for something to come true.
const patience = 90 * time.Second

// until asks for the status until it is as wanted; what says it for the error.
func (c *child) until(ctx context.Context, what string, wanted func(s status) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("too late"))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.status(ctx)
		if err == nil && wanted(s) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w, last status %+v", what, errors.Join(context.Cause(ctx), err), s)
		}
	}
}

// get asks troupe for a page; the answer is a success and its body is to be
// closed.
func get(ctx context.Context, addr, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, res.Status)
	}
	return res, nil
}
