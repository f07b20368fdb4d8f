package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// proxies are the peers whose forwarding headers are believed. Immutable.
type proxies []netip.Prefix

func (p proxies) trusts(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// parsePrefix takes a CIDR or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not allowed: give an address or a CIDR, as in 10.0.0.0/8 or ::1", capped(s, 64))
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is not allowed: write IPv4 networks as IPv4, as in 10.0.0.0/8", capped(s, 64))
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func parsePrefixes(key string, list []string) (proxies, []error) {
	var (
		out  proxies
		errs []error
	)
	for i, s := range list {
		p, err := parsePrefix(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d]: %w", key, i, err))
			continue
		}
		out = append(out, p)
	}
	return out, errs
}

// plain is the one spelling of an address: IPv4 for IPv4-mapped, no zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// addressKey is what limits count by: an IPv4 address or an IPv6 /64.
func addressKey(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "unknown"
	case a.Is4():
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(ap.Addr())
}

// forwarded tells whether a request claims to come from somewhere else.
func forwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server"} {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// hop is what one proxy says about the request it received.
type hop struct {
	addr  netip.Addr // invalid where the proxy would not or could not say
	proto string
	host  string
}

// client resolves the address a request comes from. Headers count only when
// the peer itself is trusted; they are walked from the right, because
// everything left of the first untrusted address was written by a stranger.
// Whatever cannot be read, or two headers that disagree, means the peer.
func (p proxies) client(peer netip.Addr, h http.Header) netip.Addr {
	if !p.trusts(peer) {
		return peer
	}
	fwd, hasFwd := p.walk(parseForwarded(h["Forwarded"]))
	xff, hasXFF := p.walk(parseXFF(h["X-Forwarded-For"]))
	switch {
	case hasFwd && hasXFF && fwd.addr != xff.addr:
		return peer
	case hasFwd && fwd.addr.IsValid():
		return fwd.addr
	case hasXFF && xff.addr.IsValid():
		return xff.addr
	}
	return peer
}

// walk finds the hop of the first untrusted address from the right, or the
// leftmost where all are trusted. ok is false for an empty list; a hop without
// an address stands for a list that cannot be believed.
func (p proxies) walk(hops []hop) (h hop, ok bool) {
	for i := len(hops) - 1; i >= 0; i-- {
		h = hops[i]
		if !h.addr.IsValid() || !p.trusts(h.addr) {
			return h, true
		}
	}
	return h, len(hops) > 0
}

// reached is the scheme and host that the client used. Behind a trusted proxy
// they are the proxy's word; where it is silent, what it asked us for.
func (p proxies) reached(peer netip.Addr, r *http.Request) (scheme, host string) {
	scheme, host = "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if !p.trusts(peer) {
		return scheme, host
	}
	fwd, _ := p.walk(parseForwarded(r.Header["Forwarded"]))
	proto := firstOf(fwd.proto, rightmost(r.Header["X-Forwarded-Proto"]))
	if proto = strings.ToLower(proto); proto == "http" || proto == "https" {
		scheme = proto
	}
	return scheme, firstOf(fwd.host, rightmost(r.Header["X-Forwarded-Host"]), host)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func rightmost(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// parseXFF reads X-Forwarded-For: addresses by comma, over all lines in order.
func parseXFF(lines []string) []hop {
	var hops []hop
	for _, line := range lines {
		for _, s := range strings.Split(line, ",") {
			hops = append(hops, hop{addr: parseNode(strings.TrimSpace(s))})
		}
	}
	return hops
}

// parseForwarded reads the elements of RFC 7239. A line that breaks the
// grammar yields one hop without an address, so the walk stops there.
func parseForwarded(lines []string) []hop {
	var hops []hop
	for _, line := range lines {
		elements, ok := splitQuoted(line, ',')
		if !ok {
			hops = append(hops, hop{})
			continue
		}
		for _, element := range elements {
			hops = append(hops, parseElement(element))
		}
	}
	return hops
}

func parseElement(element string) hop {
	var h hop
	pairs, _ := splitQuoted(element, ';')
	for _, pair := range pairs {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			return hop{}
		}
		value = unquote(value)
		switch strings.ToLower(name) {
		case "for":
			h.addr = parseNode(value)
		case "proto":
			h.proto = value
		case "host":
			h.host = value
		}
	}
	return h
}

// splitQuoted splits at sep outside of quoted strings; ok is false where a
// quote stays open.
func splitQuoted(s string, sep byte) (parts []string, ok bool) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:]), !quoted
}

// unquote takes the quotes off. An escape inside is no address, so it needs no
// care: the value will not parse.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// parseNode reads an address with or without a port; IPv6 with or without
// brackets. "unknown" and obfuscated names have no address.
func parseNode(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr())
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return plain(a)
}

// maxWarnings bounds what the status shows of peers that want to be proxies.
const maxWarnings = 8

// address is the key of every limit for a request, and whether it is a proxy's,
// whose client is not known. A peer that sends
// forwarding headers and is not trusted is said once an hour, because behind a
// proxy all clients would share one address.
func (s *Server) address(r *http.Request) (key string, proxy bool) {
	p, peer := s.live.Load(), peerOf(r)
	if forwarded(r.Header) && !p.proxies.trusts(peer) {
		if repeats, ok := s.strangers.allow(peer.String(), time.Now()); ok {
			s.log.Warn().Stringer("address", peer).Int("repeats", repeats).
				Str("remedy", "if it is your proxy, add it to http.trusted_proxies").
				Msg("forwarding header of an untrusted peer ignored")
		}
	}
	client := p.proxies.client(peer, r.Header)
	return addressKey(client), p.proxies.trusts(client)
}

// Warnings lists what the status page shows: what the configuration risks, and
// the untrusted peers that sent forwarding headers within the last hour.
func (s *Server) Warnings() []string {
	list := s.config.Load().Warnings()
	for _, peer := range s.strangers.recent(time.Now(), maxWarnings) {
		list = append(list, "http.trusted_proxies: "+peer+
			" sends forwarding headers that are ignored; if it is your proxy, add it")
	}
	return list
}
