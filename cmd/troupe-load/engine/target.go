package engine

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// target is where the sockets go.
type target struct {
	url     *url.URL
	host    string // as in the Host header
	address string // ip:port, chosen once
	tls     *tls.Config
	path    string // with {{session}}
	extra   string // header lines
	proto   string
	sources []netip.Addr
	timeout time.Duration
}

// newTarget reads the address, looks its host up and chooses what it stands for.
func newTarget(ctx context.Context, address string, s *scenario.Scenario) (*target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, UsageError{fmt.Errorf("--url %q: give an address like ws://127.0.0.1:8000 or wss://chat.example.com", address)}
	}
	t := &target{url: u, host: u.Host, proto: s.Subprotocol, timeout: time.Duration(s.Timeouts.Handshake)}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	if u.Scheme == "wss" {
		t.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: s.InsecureTLS, NextProtos: []string{"http/1.1"}}
	}
	t.path = joined(u, s.Path)
	if t.sources, err = scenario.Sources(s.SourceAddresses); err != nil {
		return nil, UsageError{err}
	}
	if t.extra, err = headerLines(s.Headers, u.User); err != nil {
		return nil, UsageError{err}
	}
	ips, err := new(net.Resolver).LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(ips) == 0 {
		return nil, fmt.Errorf("--url %s: cannot look up %s: %w", u.Redacted(), u.Hostname(), err)
	}
	if t.address, err = t.reachable(ctx, ips, port); err != nil {
		return nil, UsageError{fmt.Errorf("--url %s: %w", u.Redacted(), err)}
	}
	return t, nil
}

// joined is the path of the address with the scenario's behind it. Each may have a
// query.
func joined(u *url.URL, path string) string {
	path = strings.TrimSuffix(u.EscapedPath(), "/") + path
	if path == "" || path[0] == '?' {
		path = "/" + path
	}
	switch {
	case u.RawQuery == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&" + u.RawQuery
	}
	return path + "?" + u.RawQuery
}

// tryFor bounds one try of reachable.
const tryFor = 2 * time.Second

// reachable chooses the address that every socket goes to: the first that somebody
// listens at, among those that the sources can be used for. Where nobody listens
// at any it is the first, and the ramp tells why.
func (t *target) reachable(ctx context.Context, ips []netip.Addr, port string) (string, error) {
	var usable []string
	for _, ip := range ips {
		ip = ip.Unmap()
		other := func(source netip.Addr) bool { return source.Is4() != ip.Is4() }
		if !slices.ContainsFunc(t.sources, other) {
			usable = append(usable, net.JoinHostPort(ip.String(), port))
		}
	}
	if len(usable) == 0 {
		return "", fmt.Errorf("source_addresses are of another family than %s, which it stands for", ips[0].Unmap())
	}
	if len(usable) == 1 {
		return usable[0], nil // the ramp tries it
	}
	for _, address := range usable {
		nc, err := (&net.Dialer{Timeout: tryFor}).DialContext(ctx, "tcp", address)
		if err == nil {
			return address, nc.Close()
		}
	}
	return usable[0], nil
}

// headerLines are the scenario's, and the user of the address where the scenario
// does not say who asks.
func headerLines(headers map[string]string, user *url.Userinfo) (string, error) {
	var b strings.Builder
	said := false
	for name, value := range headers {
		if name == "" || strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("headers: %q is no header", name)
		}
		said = said || strings.EqualFold(name, "Authorization")
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	if user != nil && !said {
		password, _ := user.Password()
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	return b.String(), nil
}

// dial opens a connection from the source address that is client n's.
func (t *target) dial(ctx context.Context, n, receiveBuffer int) (net.Conn, error) {
	d := net.Dialer{Control: dialControl(len(t.sources) > 0, receiveBuffer), KeepAlive: -1}
	if len(t.sources) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: t.sources[n%len(t.sources)].AsSlice()}
	}
	nc, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	if t.tls == nil {
		return nc, nil
	}
	secure := tls.Client(nc, t.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return secure, nil
}

// loopback tells whether server and tool share a machine.
func (t *target) loopback() bool {
	a, err := netip.ParseAddrPort(t.address)
	return err == nil && a.Addr().IsLoopback()
}

// http returns the address of a path on the same host, by HTTP.
func (t *target) http(path string) string {
	scheme := "http"
	if t.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + t.host + path
}
