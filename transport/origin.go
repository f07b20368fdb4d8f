package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxOrigin is more than the longest host name with scheme and port needs.
const maxOrigin = 320

// origin is scheme, host and port in one spelling: lower case, the default
// port of http and https written out, an IPv6 address in its shortest form.
// Two origins are the same if and only if they are equal.
type origin struct {
	scheme string
	host   string // IPv6 without brackets
	port   string // empty only for schemes without a known default
}

var errOrigin = errors.New(`not an origin: allowed is scheme://host or scheme://host:port, as in "https://app.example.com"`)

// parseOrigin takes nothing but an origin: no userinfo, path, query, blank,
// control character, escape or backslash, in which two parsers could disagree.
func parseOrigin(s string) (origin, error) {
	if len(s) > maxOrigin {
		return origin{}, errOrigin
	}
	scheme, authority, ok := strings.Cut(strings.ToLower(s), "://")
	if !ok || !validScheme(scheme) {
		return origin{}, errOrigin
	}
	return parseAuthority(scheme, authority)
}

// parseAuthority reads host[:port] as a browser wrote it for scheme.
func parseAuthority(scheme, authority string) (origin, error) {
	host, port, err := splitAuthority(strings.ToLower(authority))
	if err != nil {
		return origin{}, err
	}
	if port == "" {
		port = defaultPort(scheme)
	}
	return origin{scheme: scheme, host: host, port: port}, nil
}

func splitAuthority(s string) (host, port string, err error) {
	rest := s
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errOrigin
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", errOrigin
		}
		host, rest = addr.String(), s[end+1:]
	} else {
		end := strings.IndexByte(s, ':')
		if end < 0 {
			end = len(s)
		}
		host, rest = s[:end], s[end:]
		if !validHost(host) {
			return "", "", errOrigin
		}
	}
	if rest == "" {
		return host, "", nil
	}
	if rest[0] != ':' || !validPort(rest[1:]) {
		return "", "", errOrigin
	}
	return host, rest[1:], nil
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

func validHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 253 && s[0] != '.' && !strings.Contains(s, "..")
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// String spells the origin as a browser does.
func (o origin) String() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port == "" || o.port == defaultPort(o.scheme) {
		return o.scheme + "://" + host
	}
	return o.scheme + "://" + host + ":" + o.port
}

// loopbackName tells whether a browser can mean only its own machine by host.
// A name that merely resolves to loopback does not count (DNS rebinding).
func loopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// rule allows one origin, all ports of a loopback name, or the names below one.
type rule struct {
	text    string
	origin  origin // with labels set, host is what follows "*"
	anyPort bool
	labels  bool
}

func parseRule(s string) (rule, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	if base, ok := strings.CutSuffix(text, ":*"); ok {
		o, err := parseOrigin(base)
		if err != nil || o.scheme != "http" || o.port != "80" || !loopbackName(o.host) {
			return rule{}, ruleError(s, `":*" is for http://localhost:*, http://127.0.0.1:* and http://[::1]:* only`)
		}
		return rule{text: s, origin: o, anyPort: true}, nil
	}
	if rest, ok := strings.CutPrefix(text, "https://*."); ok {
		o, err := parseOrigin("https://" + rest)
		if err != nil || !strings.Contains(o.host, ".") || strings.Contains(o.host, ":") {
			return rule{}, ruleError(s, `a wildcard needs a name of at least two labels, as in https://*.example.com`)
		}
		o.host = "." + o.host
		return rule{text: s, origin: o, labels: true}, nil
	}
	o, err := parseOrigin(text)
	if err != nil {
		return rule{}, ruleError(s, `allowed are an exact origin, http://localhost:*, http://127.0.0.1:*, http://[::1]:* or https://*.example.com`)
	}
	return rule{text: s, origin: o}, nil
}

func ruleError(s, why string) error {
	return fmt.Errorf("%q is not an origin rule: %s", capped(s, maxOrigin), why)
}

func (r rule) allows(o origin) bool {
	switch {
	case o.scheme != r.origin.scheme:
		return false
	case r.anyPort:
		return o.host == r.origin.host
	case r.labels:
		return o.port == r.origin.port && len(o.host) > len(r.origin.host) && strings.HasSuffix(o.host, r.origin.host)
	}
	return o == r.origin
}

// DefaultOrigins is what http.allowed_origins means when it is empty. The
// page's own origin comes on top.
func DefaultOrigins() []string {
	var list []string
	for _, host := range []string{"http://localhost", "http://127.0.0.1"} {
		list = append(list, host)
		for _, port := range []string{"3000", "3001", "3002", "5173"} {
			list = append(list, host+":"+port)
		}
	}
	return list
}

// origins is the whole judgement, immutable.
type origins struct {
	rules     []rule
	own       *origin // http.public_url
	ownByHost bool    // the page's own origin is what the client asked for
	extra     []string
}

func newOrigins(c HTTPConfig) (*origins, error) {
	o := &origins{ownByHost: len(c.AllowedOrigins) == 0, extra: c.ExtraOrigins}
	var errs []error
	add := func(key string, list []string) {
		for i, s := range list {
			r, err := parseRule(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("http.%s[%d]: %w", key, i, err))
			}
			o.rules = append(o.rules, r)
		}
	}
	if o.ownByHost {
		add("allowed_origins", DefaultOrigins())
	}
	add("allowed_origins", c.AllowedOrigins)
	add("extra_origins", c.ExtraOrigins)
	if c.PublicURL != "" {
		own, err := parseOrigin(strings.TrimSuffix(c.PublicURL, "/"))
		if err != nil || own.scheme != "http" && own.scheme != "https" {
			errs = append(errs, fmt.Errorf("http.public_url: %q is not allowed: give scheme and host alone, as in https://chat.example.com", capped(c.PublicURL, maxOrigin)))
		}
		o.own, o.ownByHost = &own, false
	}
	return o, errors.Join(errs...)
}

// site is how the client reached the page, as far as we believe it.
type site struct {
	scheme   string // http or https
	host     string // host[:port] as the client wrote it
	loopback bool   // the listener is bound to loopback
}

// verdict says whether an Origin may come in, and why not.
type verdict struct {
	allowed bool
	origin  string // as sent, capped
	valid   bool   // it is an origin that a rule could allow
}

// judge decides over the values of the Origin header. None, or an empty one,
// is no browser and passes; what is not one plain origin never does.
func (o *origins) judge(values []string, at site) verdict {
	if len(values) == 0 {
		return verdict{allowed: true}
	}
	sent := values[0]
	for _, v := range values[1:] {
		if v != sent {
			return verdict{origin: capped(strings.Join(values, ", "), maxOrigin)}
		}
	}
	if sent == "" {
		return verdict{allowed: true}
	}
	v := verdict{origin: capped(sent, maxOrigin)}
	parsed, err := parseOrigin(sent)
	if err != nil {
		return v
	}
	v.valid = true
	v.allowed = o.allows(parsed, at)
	return v
}

func (o *origins) allows(asked origin, at site) bool {
	for _, r := range o.rules {
		if r.allows(asked) {
			return true
		}
	}
	if o.own != nil {
		return asked == *o.own
	}
	if !o.ownByHost {
		return false
	}
	own, err := parseAuthority(at.scheme, at.host)
	if err != nil || at.loopback && !loopbackName(own.host) {
		return false
	}
	return asked == own
}

// texts lists the rules that were consulted, for the one who was refused.
func (o *origins) texts(at site) []string {
	list := make([]string, 0, len(o.rules)+1)
	for _, r := range o.rules {
		list = append(list, r.text)
	}
	switch {
	case o.own != nil:
		list = append(list, o.own.String())
	case o.ownByHost:
		if own, err := parseAuthority(at.scheme, at.host); err == nil && (!at.loopback || loopbackName(own.host)) {
			list = append(list, own.String())
		}
	}
	return list
}

// remedy spells the configuration that would allow a refused origin, as a
// line of the file and as a variable. Both keep what is configured already.
func (o *origins) remedy(v verdict) (file, env string) {
	if !v.valid {
		return "", ""
	}
	list := append(append([]string(nil), o.extra...), strings.ToLower(v.origin))
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return "http: {extra_origins: [" + strings.Join(quoted, ", ") + "]}",
		"TROUPE_HTTP_EXTRA_ORIGINS=" + strings.Join(list, ",")
}
