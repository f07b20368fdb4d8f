package transport

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const operatorsPage = "/status"

// operatorRemedy is the one hint a refused operator finds, in the log.
const operatorRemedy = "http.admin_token, or http.admin_listen"

// admins says who may operate the server. Immutable.
type admins struct {
	token [sha256.Size]byte // of the Bearer token: equal lengths to compare
	set   bool
	from  proxies // direct peers by a loopback name; empty = rule off
}

func newAdmins(token protocol.Secret, from proxies) admins {
	return admins{token: sha256.Sum256(token.Reveal()), set: !token.Empty(), from: from}
}

// refuses returns why a request may not operate the server, or "".
// at is where the request came in, and asked what it is for.
func (a admins) refuses(r *http.Request, at *listener, asked area) string {
	switch {
	case a.set && a.bearer(r.Header):
		return ""
	case a.set && at.admin && a.password(r): // a browser adds it by itself, whoever's page asks
		return foreignPage(r)
	case at.admin && a.set:
		return "no valid bearer token"
	case at.admin && at.loopback && !loopbackHost(r.Host): // a page of that name sends no Origin with its GET
		return "http.admin_listen is this machine's own, and was asked for by a name that may be a page's: ask by a loopback name, or set http.admin_token"
	case at.admin:
		return foreignPage(r)
	case asked == areaFaults:
		return "faults are set on http.admin_listen or with the token of http.admin_token alone, also from this machine"
	case len(a.from) == 0:
		return "no valid bearer token, and local peers are not let in by configuration"
	}
	return a.refusesLocal(r)
}

func (a admins) bearer(h http.Header) bool {
	scheme, token, ok := strings.Cut(h.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	return a.is(strings.TrimSpace(token))
}

// password takes the token as a browser can send it: as a password (RFC 7617),
// with any name. On the operators' own port alone, which may ask for it.
func (a admins) password(r *http.Request) bool {
	_, password, ok := r.BasicAuth()
	return ok && a.is(password)
}

func (a admins) is(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
}

// refusesLocal is the rule for people on the machine itself: a direct peer, by
// a loopback name, with no sign of a proxy or of somebody else's page.
func (a admins) refusesLocal(r *http.Request) string {
	if !a.from.trusts(peerOf(r)) {
		return "the peer is outside http.admin_from"
	}
	host, _, err := splitAuthority(strings.ToLower(r.Host))
	if err != nil || !loopbackName(host) || r.URL.IsAbs() {
		return "the Host is not a loopback name"
	}
	for name := range r.Header {
		if name == "Via" || name == "X-Real-Ip" || name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded") {
			return "the request came through a proxy"
		}
	}
	return foreignPage(r)
}

// loopbackHost tells whether a request to a loopback listener asked for this
// machine, by name or address.
func loopbackHost(authority string) bool {
	host, _, err := splitAuthority(strings.ToLower(authority))
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || loopbackName(host)
}

// foreignPage returns why a browser's request is somebody else's page's, or "".
func foreignPage(r *http.Request) string {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return "a page of another site asks"
	}
	values := r.Header["Origin"]
	if len(values) == 0 {
		return ""
	}
	asked, err := parseOrigin(values[0])
	if err != nil || len(values) > 1 || r.TLS != nil && asked.scheme != "https" {
		return "a page of another origin asks"
	}
	// Behind a proxy that ends TLS the page is https and the request is not: host
	// and port decide.
	if own, err := parseAuthority(asked.scheme, r.Host); err != nil || own != asked {
		return "a page of another origin asks"
	}
	return ""
}

// operator runs next for those who may operate the server. For everybody else
// the address does not exist, and the log says at most once a minute why. Only
// the operators' own port asks a person for the token.
func (s *Server) operator(w http.ResponseWriter, r *http.Request, asked area, next http.HandlerFunc) {
	policy, at := s.live.Load(), listenerOf(r)
	admin := policy.admin
	if at.admin {
		admin = policy.port
	}
	reason := admin.refuses(r, at, asked)
	if reason == "" {
		next(w, r)
		return
	}
	if repeats, ok := s.refusals.allow("operator", time.Now()); ok {
		s.log.Warn().Str("address", addressKey(peerOf(r))).Str("path", capped(r.URL.Path, 128)).
			Str("reason", reason).Int("repeats", repeats).
			Str("remedy", operatorRemedy).Msg("operator address refused")
	}
	if admin.set && at.admin && r.URL.Path == operatorsPage && foreignPage(r) == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="Troupe, for operators: any name, and the token as the password", charset="UTF-8"`)
		answerError(w, protocol.NewError(protocol.Unauthorized, "Any name, and the value of http.admin_token as the password.", 0))
		return
	}
	answerNotFound(w, r)
}

// WhoMayOperate is one line for the start-up.
func (s *Server) WhoMayOperate() string {
	c := s.config.Load()
	var who []string
	if c.AdminListen != "" {
		by := "everybody who reaches http.admin_listen " + c.AdminListen
		if !c.AdminToken.Empty() {
			by = "the bearer of http.admin_token, also on http.admin_listen " + c.AdminListen
		}
		who = append(who, by)
	} else if !c.AdminToken.Empty() {
		who = append(who, "the bearer of http.admin_token")
	}
	if c.localOperators() {
		who = append(who, "direct peers in "+strings.Join(c.AdminFrom, ", ")+
			" by a loopback name (a proxy there needs http.admin_token, http.trusted_proxies or http.public_url)")
	}
	if len(who) == 0 {
		return "nobody; set http.admin_token or http.admin_listen"
	}
	return strings.Join(who, "; ")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	st := s.gw.Status()
	st.Warnings = append(append([]string(nil), st.Warnings...), s.Warnings()...)
	if st.Gateways == nil {
		st.Gateways = []protocol.GatewayStatus{}
	}
	if st.Workers == nil {
		st.Workers = []protocol.WorkerStatus{}
	}
	if st.Actors.Restarts == nil {
		st.Actors.Restarts = map[string]uint64{}
	}
	answerJSON(w, http.StatusOK, st)
}

func (s *Server) resetLimits(w http.ResponseWriter, _ *http.Request) {
	cleared := s.gw.ResetLimits()
	s.log.Info().Int("cleared", cleared).Msg("Rate limits reset")
	answerJSON(w, http.StatusOK, map[string]int{"cleared": cleared})
}
