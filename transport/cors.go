package transport

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rs/cors"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// newCORS opens /api/* to exactly the origins that may open a WebSocket.
func newCORS(s *Server) *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) {
			return s.judge(r).allowed, nil
		},
		AllowedMethods:   []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders:   []string{"Accept", "Authorization", "Content-Type", "Last-Event-ID", "Traceparent", "X-Requested-With"},
		ExposedHeaders:   []string{"Retry-After", "Allow", sessionHeader},
		AllowCredentials: true,
		MaxAge:           int((10 * time.Minute).Seconds()),
	})
}

// judge decides over the Origin of a request.
func (s *Server) judge(r *http.Request) verdict {
	p := s.live.Load()
	return p.origins.judge(r.Header["Origin"], s.siteOf(p, r))
}

func (s *Server) siteOf(p *policy, r *http.Request) site {
	scheme, host := p.proxies.reached(peerOf(r), r)
	return site{scheme: scheme, host: host, loopback: listenerOf(r).loopback}
}

// fromPage runs next for requests of allowed origins and of no browser at all.
// A refused page learns why where it can read it: a plain GET on a chat
// address and the health carry a wildcard without credentials. Its preflights
// stay closed.
func (s *Server) fromPage(w http.ResponseWriter, r *http.Request, a area, next http.HandlerFunc) {
	v := s.judge(r)
	upgrade := a == areaChat && isUpgrade(r)
	plainGet := (r.Method == http.MethodGet || r.Method == http.MethodHead) && !upgrade
	if !v.allowed {
		if plainGet && a != areaAPI {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
		if plainGet && a == areaHealth {
			w.Header().Add("Vary", "Origin")
			next(w, r)
			return
		}
		if upgrade {
			s.counts.originRefused.Add(1)
		}
		s.refuseOrigin(w, r, a, v)
		return
	}
	if upgrade {
		next(w, r)
		return
	}
	if len(r.Header["Origin"]) > 1 {
		r.Header["Origin"] = r.Header["Origin"][:1] // equal ones; a browser takes only one back
	}
	s.cors.ServeHTTP(w, r, next)
}

// originRefused is the body of a 403: an error object that also says what was
// compared and which line of configuration would have allowed it.
type originRefused struct {
	Type      protocol.Type `json:"type"`
	Code      protocol.Code `json:"code"`
	Message   string        `json:"message"`
	Retryable bool          `json:"retryable"`
	Origin    string        `json:"origin"`
	Rules     []string      `json:"rules"`
	Config    string        `json:"config,omitempty"`
	Env       string        `json:"env,omitempty"`
}

func (s *Server) refuseOrigin(w http.ResponseWriter, r *http.Request, a area, v verdict) {
	p := s.live.Load()
	s.counts.error(protocol.OriginNotAllowed)
	file, env := p.origins.remedy(v)
	body := originRefused{
		Type: protocol.TypeError, Code: protocol.OriginNotAllowed, Origin: v.origin,
		Rules: p.origins.texts(s.siteOf(p, r)), Config: file, Env: env,
		Message: "The origin " + strconv.Quote(v.origin) + " is not allowed here; the setting in config would allow it.",
	}
	if !v.valid {
		body.Message = strconv.Quote(v.origin) + " is not one plain origin and cannot be allowed; open the page from a server over http or https."
	}
	s.logRefused(r, a, v, file)
	w.Header().Add("Vary", "Origin")
	answerJSON(w, http.StatusForbidden, body)
}

// logRefused says it once per address and 10 s.
func (s *Server) logRefused(r *http.Request, a area, v verdict, file string) {
	address, _ := s.address(r)
	message, folded := "WebSocket connection rejected: Invalid origin", "socket "+address
	if a != areaChat {
		message, folded = "HTTP request rejected: Invalid origin", "request "+address
	}
	repeats, ok := s.badOrigins.allow(folded, time.Now())
	if !ok {
		return
	}
	_, p, _ := match(s.routes, r.URL)
	s.log.Warn().Str("origin", v.origin).Str("address", address).Str("session", capped(p.session, protocol.MaxLabel)).
		Str("config", file).Int("repeats", repeats).Msg(message)
}
