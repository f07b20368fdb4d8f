package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what may be configured.
const (
	minMessageBytes = 1 << 10
	maxMessageBytes = 960 << 10 // below the 1 MiB that one NATS message holds
	minOutboxBytes  = 4 << 10
	maxOutboxBytes  = 64 << 20
	weakToken       = 16
)

// DefaultHTTP listens on port 8000 and lets this machine operate it.
func DefaultHTTP() HTTPConfig {
	return HTTPConfig{
		Listen:    []string{":8000"},
		AdminFrom: []string{"127.0.0.0/8", "::1"},
	}
}

// DefaultWebSocket bounds a socket to half a MiB of buffers.
func DefaultWebSocket() WebSocketConfig {
	return WebSocketConfig{
		MaxMessageBytes:  256 << 10,
		OutboxBytes:      256 << 10,
		PingInterval:     25 * time.Second,
		PongTimeout:      10 * time.Second,
		HandshakeTimeout: 5 * time.Second,
		Reader:           ReaderAuto,
	}
}

// Validate names every key that cannot be obeyed, and what is allowed.
func (c HTTPConfig) Validate() error {
	var errs []error
	if len(c.Listen) == 0 {
		errs = append(errs, errors.New("http.listen: is empty; give at least one host:port, as in :8000"))
	}
	seen := map[string]bool{}
	for i, address := range c.Listen {
		errs = append(errs, checkListen(fmt.Sprintf("http.listen[%d]", i), address, seen))
	}
	if c.AdminListen != "" {
		errs = append(errs, checkListen("http.admin_listen", c.AdminListen, seen))
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs = append(errs, errors.New("http.tls: cert and key go together; one of them is empty"))
	}
	_, err := newPolicy(c)
	return errors.Join(append(errs, err)...)
}

func checkListen(key, address string, seen map[string]bool) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %q is not allowed: give host:port, as in :8000 or 127.0.0.1:8000", key, capped(address, 128))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s: port %q is not allowed: give a number from 0 to 65535", key, capped(port, 32))
	}
	if port != "0" && seen[address] {
		return fmt.Errorf("%s: %s is listened on already; every address may be given once", key, address)
	}
	seen[address] = true
	return nil
}

// Validate names every key that cannot be obeyed, and what is allowed.
func (c WebSocketConfig) Validate() error {
	return errors.Join(
		within("websocket.max_message_bytes", c.MaxMessageBytes, minMessageBytes, maxMessageBytes),
		within("websocket.outbox_bytes", c.OutboxBytes, minOutboxBytes, maxOutboxBytes),
		positive("websocket.ping_interval", c.PingInterval),
		positive("websocket.pong_timeout", c.PongTimeout),
		positive("websocket.handshake_timeout", c.HandshakeTimeout),
		oneOf("websocket.reader", c.Reader, ReaderAuto, ReaderGoroutine, ReaderLoop),
	)
}

func within(key string, v, low, high int) error {
	if v < low || v > high {
		return fmt.Errorf("%s: %d is not allowed: give %d to %d", key, v, low, high)
	}
	return nil
}

func oneOf(key, v string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%s: %q is not allowed: give one of %s", key, v, strings.Join(allowed, ", "))
	}
	return nil
}

func positive(key string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %s is not allowed: give a duration above 0, as in 5s", key, d)
	}
	return nil
}

// Warnings lists what is allowed and still probably a mistake.
func (c HTTPConfig) Warnings() []string {
	var list []string
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	trusted, _ := parsePrefixes("", c.TrustedProxies)
	for i, p := range trusted {
		if p.Bits() == 0 {
			warn("http.trusted_proxies[%d]: %s believes everybody's forwarding headers; clients can choose their own address", i, p)
		}
	}
	if c.AdminListen != "" && c.AdminToken.Empty() && !loopbackAddress(c.AdminListen) {
		warn("http.admin_listen: %s is open to whoever reaches it; set http.admin_token or listen on 127.0.0.1", c.AdminListen)
	}
	if n := len(c.AdminToken.Reveal()); n > 0 && n < weakToken {
		warn("http.admin_token: has less than %d characters and can be guessed", weakToken)
	}
	if c.PublicURL == "" && len(c.TrustedProxies) == 0 && c.localOperators() {
		admin, _ := parsePrefixes("", c.AdminFrom)
		for i, p := range admin {
			if !p.Addr().IsLoopback() {
				warn("http.admin_from[%d]: %s lets every peer in it operate this server by a loopback name; a proxy there needs http.admin_token, http.trusted_proxies or http.public_url", i, p)
			}
		}
	}
	if len(c.AllowedOrigins) > 0 && c.PublicURL == "" {
		warn("http.allowed_origins: replaces the defaults and the page's own origin; set http.public_url where the built-in page is used")
	}
	return list
}

// localOperators tells whether rule (c) of the operator addresses is on.
func (c HTTPConfig) localOperators() bool {
	return len(c.AdminFrom) > 0 && c.AdminToken.Empty() && len(c.TrustedProxies) == 0 && c.PublicURL == ""
}

func loopbackAddress(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return plain(a).IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// policy is whom to believe and whom to let in: the part of HTTPConfig that can
// change while the server runs. Immutable; a reload swaps the whole of it.
type policy struct {
	origins *origins
	proxies proxies
	admin   admins
	port    admins // the same, at http.admin_listen
}

func newPolicy(c HTTPConfig) (*policy, error) {
	o, err := newOrigins(c)
	errs := []error{err}
	trusted, more := parsePrefixes("http.trusted_proxies", c.TrustedProxies)
	errs = append(errs, more...)
	from, more := parsePrefixes("http.admin_from", c.AdminFrom)
	errs = append(errs, more...)
	if strings.ContainsAny(string(c.AdminToken.Reveal()), " \t\r\n") {
		errs = append(errs, errors.New("http.admin_token: holds white space, which a Bearer token cannot"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !c.localOperators() {
		from = nil
	}
	a := newAdmins(c.AdminToken, from)
	return &policy{origins: o, proxies: trusted, admin: a, port: a}, nil
}

// fixedKeys lists the keys of http that differ and need a restart.
func fixedKeys(running, wanted HTTPConfig) []string {
	var keys []string
	if strings.Join(running.Listen, ",") != strings.Join(wanted.Listen, ",") {
		keys = append(keys, "http.listen")
	}
	if running.AdminListen != wanted.AdminListen {
		keys = append(keys, "http.admin_listen")
	}
	if running.TLS.Cert != wanted.TLS.Cert {
		keys = append(keys, "http.tls.cert")
	}
	if running.TLS.Key != wanted.TLS.Key {
		keys = append(keys, "http.tls.key")
	}
	return keys
}
