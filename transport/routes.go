package transport

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
	"github.com/troupe-chat/troupe/transport/web"
)

// Route is one address, as the documentation lists it.
type Route struct {
	Method   string
	Pattern  string
	Operator bool
}

// area says what is judged before a route runs.
type area uint8

const (
	areaOpen     area = iota // pages and probes: nothing is judged
	areaHealth               // CORS; a refused origin may read it too
	areaAPI                  // origin, then CORS
	areaChat                 // origin; a WebSocket or an explanation
	areaOperator             // operator rule; to everybody else the address does not exist
	areaFaults               // the same without its third rule, which takes a proxy that adds no header for a person here
	areaAsset                // files of pages, which are public; on the operators' port too, for the status page
)

// params are the variable segments of a path, unescaped and not yet judged.
type params struct{ session, product, run, version, asset, fault string }

type route struct {
	method  string
	pattern string
	area    area
	serve   func(*Server, http.ResponseWriter, *http.Request, params)
}

// routes is the whole outside of the server, besides faults.
func routes() []route {
	return []route{
		{"GET", "/ws/chat/{session_id}", areaChat, (*Server).socket},
		{"GET", "/api/ws/chat/{session_id}", areaChat, (*Server).socket},
		{"GET", "/ws/chat/customer/{product_id}/{session_id}", areaChat, (*Server).customerSocket},
		{"GET", "/api/ws/chat/customer/{product_id}/{session_id}", areaChat, (*Server).customerSocket},
		{"POST", "/api/chat", areaAPI, (*Server).chat},
		{"POST", "/api/chat/{run_id}/cancel", areaAPI, (*Server).cancel},
		{"GET", "/api/providers", areaAPI, plainly((*Server).providers)},
		{"GET", "/api/health", areaHealth, plainly((*Server).health)},
		{"GET", "/livez", areaOpen, plainly((*Server).livez)},
		{"GET", "/readyz", areaOpen, plainly((*Server).readyz)},
		{"GET", "/api/debug/websocket-status", areaOperator, plainly((*Server).status)},
		{"GET", actorsPath, areaOperator, plainly((*Server).actors)},
		{"POST", "/api/debug/reset-rate-limits", areaOperator, plainly((*Server).resetLimits)},
		{"GET", "/metrics", areaOperator, plainly((*Server).metrics)},
		{"GET", "/", areaOpen, plainly((*Server).index)},
		{"GET", "/products/{product_id}", areaOpen, (*Server).productPage},
		{"GET", operatorsPage, areaOperator, plainly((*Server).statusPage)},
		{"GET", web.Prefix + "{version}/{asset}", areaAsset, (*Server).asset},
		{"GET", "/troupe.js", areaAsset, stable("troupe.js")},
		{"GET", "/troupe.d.ts", areaAsset, stable("troupe.d.ts")},
		{"GET", "/embed.js", areaAsset, stable("embed.js")},
	}
}

// Routes lists every address for the documentation and its test.
func Routes() []Route { return listed(append(routes(), faultRoutes()...)) }

func listed(table []route) []Route {
	var list []Route
	for _, r := range table {
		list = append(list, Route{Method: r.method, Pattern: r.pattern, Operator: r.area == areaOperator || r.area == areaFaults})
	}
	return list
}

// plainly adapts a handler that has no variable segments.
func plainly(serve func(*Server, http.ResponseWriter, *http.Request)) func(*Server, http.ResponseWriter, *http.Request, params) {
	return func(s *Server, w http.ResponseWriter, r *http.Request, _ params) { serve(s, w, r) }
}

// match compares segment by segment, before anything is unescaped: a slash
// that was escaped stays inside its id, and no path is cleaned or redirected,
// so that every id reaches the one who refuses it in words.
func match(table []route, u *url.URL) (route, params, bool) {
	asked := strings.Split(u.EscapedPath(), "/")
	for _, r := range table {
		if p, ok := r.match(asked); ok {
			return r, p, true
		}
	}
	return route{}, params{}, false
}

func (r route) match(asked []string) (p params, ok bool) {
	n := 0
	for want := range strings.SplitSeq(r.pattern, "/") {
		if n == len(asked) {
			return params{}, false
		}
		switch got := asked[n]; want {
		case "{session_id}":
			p.session = unescaped(got)
		case "{product_id}":
			p.product = unescaped(got)
		case "{run_id}":
			p.run = unescaped(got)
		case "{fault_id}":
			p.fault = got
		case "{version}":
			p.version = got
		case "{asset}": // the rest, as it is: names of files hold nothing that is escaped
			p.asset = strings.Join(asked[n:], "/")
			return p, true
		default:
			if got != want {
				return params{}, false
			}
		}
		n++
	}
	return p, n == len(asked)
}

func unescaped(segment string) string {
	if s, err := url.PathUnescape(segment); err == nil {
		return s
	}
	return segment
}

const noSniff = "X-Content-Type-Options"

// handle judges a request in the order of the package's contract and runs it.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	defer s.recovered(w, r)
	if tooManyHeaders(r.Header) {
		w.Header().Set("Connection", "close")
		answerStatus(w, http.StatusRequestHeaderFieldsTooLarge, "The request has more than 64 header lines or 8 KiB of headers.")
		return
	}
	setDeadlines(w, r)
	found, p, ok := match(s.routes, r.URL)
	if !ok || listenerOf(r).admin && !found.forOperators() {
		answerNotFound(w, r)
		return
	}
	if found.area != areaChat || !isUpgrade(r) { // a handshake has no headers for it; a refusal of one is JSON, which sets its own
		w.Header().Set(noSniff, "nosniff")
	}
	run := func(w http.ResponseWriter, r *http.Request) { s.run(w, r, found, p) }
	switch found.area {
	case areaOpen, areaAsset:
		run(w, r)
	case areaOperator, areaFaults:
		s.operator(w, r, found.area, run)
	default:
		s.fromPage(w, r, found.area, run)
	}
}

// setDeadlines bounds what net/http leaves open: answers that nobody takes, and
// bodies, also those that no route reads and net/http skips by itself.
func setDeadlines(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	now := time.Now()
	_ = rc.SetWriteDeadline(now.Add(writeTimeout))
	if r.ContentLength != 0 {
		_ = rc.SetReadDeadline(now.Add(bodyTimeout))
	}
}

// run is the last step: the method, then the route itself. An address that takes
// several methods is in the table once for each.
func (s *Server) run(w http.ResponseWriter, r *http.Request, found route, p params) {
	if found.takes(r.Method) {
		found.serve(s, w, r, p)
		return
	}
	var takes []string
	for _, f := range s.routes {
		switch {
		case f.pattern != found.pattern:
			continue
		case f.takes(r.Method):
			f.serve(s, w, r, p)
			return
		}
		takes = append(takes, f.method)
	}
	allow := strings.Join(takes, ", ")
	if takes[0] == http.MethodGet && found.area != areaChat {
		allow += ", " + http.MethodHead
	}
	w.Header().Set("Allow", allow)
	answerStatus(w, http.StatusMethodNotAllowed, "This address takes "+strings.Join(takes, ", ")+" only.")
}

// takes tells whether the route answers a method: HEAD goes where GET does.
func (r route) takes(method string) bool {
	return method == r.method || method == http.MethodHead && r.method == http.MethodGet && r.area != areaChat
}

// forOperators tells whether the operators' port has this address.
func (r route) forOperators() bool {
	return r.area == areaOperator || r.area == areaFaults || r.area == areaAsset || probe(r.pattern)
}

// probe tells whether an address is for balancers and orchestrators, which
// may ask on the operator's port too.
func probe(pattern string) bool {
	return pattern == "/api/health" || pattern == "/livez" || pattern == "/readyz"
}

// tooManyHeaders leaves out the Origin, which is refused by its own length.
func tooManyHeaders(h http.Header) bool {
	lines, size := 1, 0 // Host, which net/http keeps elsewhere
	for name, values := range h {
		lines += len(values)
		if name == "Origin" {
			continue
		}
		for _, v := range values {
			size += len(name) + len(": \r\n") + len(v)
		}
	}
	return lines > maxHeaderLines || size > maxHeaderBytes
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		answerError(w, &protocol.Error{Code: protocol.Internal, Message: "The answer could not be written.", Err: err})
		return
	}
	answerBytes(w, status, body)
}

func answerBytes(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set(noSniff, "nosniff")
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone needs no answer
}

// answerError is how every refusal of a known code looks over HTTP.
func answerError(w http.ResponseWriter, e *protocol.Error) {
	answerErrorStatus(w, statusOf(e.Code), e)
}

func answerErrorStatus(w http.ResponseWriter, status int, e *protocol.Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	answerBytes(w, status, protocol.AppendHTTPError(nil, e))
}

// answerStatus is for mistakes about HTTP itself, which the closed list of
// codes files under INVALID_MESSAGE; the status tells them apart.
func answerStatus(w http.ResponseWriter, status int, message string) {
	answerErrorStatus(w, status, protocol.NewError(protocol.InvalidMessage, message, 0))
}

func answerNotFound(w http.ResponseWriter, r *http.Request) {
	there := "The chat page is at /, the server's health at /api/health."
	if listenerOf(r).admin {
		there = "This port is the operators': health is at /api/health, metrics at /metrics."
	}
	answerStatus(w, http.StatusNotFound, "There is nothing at this address. "+there)
}

func statusOf(c protocol.Code) int {
	if status := protocol.Lookup(c).HTTPStatus; status != 0 {
		return status
	}
	return http.StatusInternalServerError
}
