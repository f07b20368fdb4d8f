package natsproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// poolSize is how many connections two nodes have between them for
	// ordinary accounts; it is nats-server's own default, spelled out because
	// Meshed counts them.
	poolSize = 3

	maxNodes    = 16
	askEvery    = 20 * time.Millisecond
	askTimeout  = 2 * time.Second
	meshTimeout = 30 * time.Second
)

// Cluster starts n servers named nats-1 to nats-n with routes from each to each,
// and returns when every one is connected to all others. Each adds the lines of
// config to its own; logs and configurations are in dir. Servers do not tell
// clients of each other: who was given one address, a proxy's for example, stays
// there. Without n running servers there is none.
func Cluster(ctx context.Context, n int, dir, config string) ([]*Server, error) {
	if n < 1 || n > maxNodes {
		return nil, fmt.Errorf("natsproc: a cluster of %d servers: 1 to %d are possible", n, maxNodes)
	}
	ports, err := freePorts(3 * n)
	if err != nil {
		return nil, err
	}
	clients, routes, monitors := ports[:n], ports[n:2*n], ports[2*n:]
	var servers []*Server
	for i := range n {
		s, err := newServer(ctx, Options{
			Dir: dir, Name: fmt.Sprintf("nats-%d", i+1), Port: clients[i],
			Config: clusterConfig(routes, i, monitors[i]) + config,
		})
		if err == nil {
			s.port, s.monitor = clients[i], monitors[i]
			servers = append(servers, s)
			err = s.Start(ctx)
		}
		if err != nil {
			killAll(servers)
			return nil, err
		}
	}
	if err := Meshed(ctx, servers); err != nil {
		killAll(servers)
		return nil, err
	}
	return servers, nil
}

func killAll(servers []*Server) {
	for _, s := range servers {
		s.Kill()
	}
}

// clusterConfig is what makes a server the i-th node.
func clusterConfig(routes []int, i, monitor int) string {
	var urls []string
	for j, port := range routes {
		if j != i {
			urls = append(urls, fmt.Sprintf("\"nats-route://%s\"", loopback(port)))
		}
	}
	return fmt.Sprintf("http: %q\ncluster: {\n  name: fleet\n  listen: %q\n  no_advertise: true\n  pool_size: %d\n  routes: [%s]\n}\n",
		loopback(monitor), loopback(routes[i]), poolSize, strings.Join(urls, ", "))
}

// Meshed returns when every running server of a Cluster has all its connections
// to every other running one. A node that was started again needs a second or so.
// It waits 30 seconds at most.
func Meshed(ctx context.Context, servers []*Server) error {
	for _, s := range servers {
		if s.monitor == 0 {
			return fmt.Errorf("natsproc: %s is not part of a cluster", s.o.Name)
		}
	}
	ctx, stop := context.WithTimeoutCause(ctx, meshTimeout, errors.New("not connected in time"))
	defer stop()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		missing := missingRoutes(ctx, servers)
		if missing == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("natsproc: cluster: %w: %w", context.Cause(ctx), missing)
		}
	}
}

// missingRoutes names the first connection that is not there.
func missingRoutes(ctx context.Context, servers []*Server) error {
	for _, s := range servers {
		if !s.Running() {
			continue
		}
		have, err := s.routes(ctx)
		if err != nil {
			return err
		}
		for _, other := range servers {
			if other != s && other.Running() && have[other.o.Name] < poolSize {
				return fmt.Errorf("%s has %d of %d routes to %s", s.o.Name, have[other.o.Name], poolSize, other.o.Name)
			}
		}
	}
	return nil
}

// routes asks a node how many connections it has to each other node.
func (s *Server) routes(ctx context.Context) (map[string]int, error) {
	ctx, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(s.monitor)+"/routez", nil)
	if err != nil {
		return nil, err
	}
	req.Close = true // nothing is left open between two questions
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Routes []struct {
			Remote string `json:"remote_name"`
		} `json:"routes"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: /routez: %w", s.o.Name, err)
	}
	have := map[string]int{}
	for _, r := range answer.Routes {
		have[r.Remote]++
	}
	return have, nil
}
