package config

import (
	"net"
	"slices"
	"time"

	"github.com/troupe-chat/troupe/actors/limit"
)

const originDev = "--dev"

// Dev widens what a developer trips over and tells each thing it did, one line
// each. What somebody set is left as it is. An error means that the listener
// could be reached from elsewhere, which --dev refuses.
func Dev(c *Config, r *Report) ([]string, error) {
	lines, err := devListen(c, r)
	if err != nil {
		return nil, err
	}
	for _, w := range []struct {
		key  string
		rule *limit.Rule
		to   limit.Rule
		line string
	}{
		{"limits.sessions", &c.Limits.Sessions, limit.Rule{Max: 1000, Window: time.Hour}, "1000 sessions an hour"},
		{"limits.connections", &c.Limits.Connections, limit.Rule{Max: 1000, Window: 5 * time.Minute}, "1000 connections per 5 minutes"},
		{"limits.messages", &c.Limits.Messages, limit.Rule{Max: 1000, Window: time.Minute}, "1000 messages a minute"},
	} {
		if r.given(w.key+".max") || r.given(w.key+".window") {
			continue
		}
		*w.rule = w.to
		r.sources[w.key+".max"], r.sources[w.key+".window"] = originDev, originDev
		lines = append(lines, w.line)
	}
	return append(lines, devOrigins(c, r)...), nil
}

// devListen keeps the listeners on this machine: a port alone gets 127.0.0.1.
func devListen(c *Config, r *Report) ([]string, error) {
	if !r.given("http.listen") {
		c.HTTP.Listen = []string{"127.0.0.1:8000"}
		r.sources["http.listen"] = originDev
	}
	listen := slices.Clone(c.HTTP.Listen)
	for i := range listen {
		if err := devAddress("http.listen", &listen[i], r); err != nil {
			return nil, err
		}
	}
	if c.HTTP.AdminListen != "" {
		if err := devAddress("http.admin_listen", &c.HTTP.AdminListen, r); err != nil {
			return nil, err
		}
	}
	c.HTTP.Listen = listen
	lines := make([]string, len(listen))
	for i, a := range listen {
		lines[i] = "listens on " + a + " alone"
	}
	return lines, nil
}

func devAddress(key string, address *string, r *Report) error {
	if host, port, err := net.SplitHostPort(*address); err == nil && host == "" {
		*address = net.JoinHostPort("127.0.0.1", port)
	}
	if loopback(*address) {
		return nil
	}
	return problem(key, quoted(*address), r.Source(key), "--dev widens the limits and so listens on this machine alone; use 127.0.0.1, or leave --dev off")
}

func devOrigins(c *Config, r *Report) []string {
	extra := slices.Clone(c.HTTP.ExtraOrigins)
	for _, rule := range []string{"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"} {
		if !slices.Contains(extra, rule) {
			extra = append(extra, rule)
		}
	}
	if len(extra) == len(c.HTTP.ExtraOrigins) {
		return nil
	}
	c.HTTP.ExtraOrigins = extra
	if !r.given("http.extra_origins") {
		r.sources["http.extra_origins"] = originDev
	}
	return []string{"any port of this machine as origin"}
}
