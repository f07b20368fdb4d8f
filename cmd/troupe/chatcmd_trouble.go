package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/coder/websocket"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// trouble is what went wrong between here and a server, in words for a person.
type trouble struct {
	Code       protocol.Code // empty where the server said none
	What       string
	Remedy     string
	RetryAfter int  // whole seconds
	Closed     bool // the socket is gone with it
}

// Error implements error.
func (t *trouble) Error() string {
	if t.Code != "" {
		return string(t.Code) + ": " + t.What
	}
	return t.What
}

// write tells it in up to three lines: what, when to try again, what to do.
// Messages of a server are shown on one line each, without control characters.
func (t *trouble) write(w io.Writer, first, next string) {
	fmt.Fprintln(w, first+oneLine(t.Error()))
	if t.RetryAfter > 0 {
		fmt.Fprintf(w, "%stry again in %d s\n", next, t.RetryAfter)
	}
	if t.Remedy != "" {
		fmt.Fprintln(w, next+oneLine(t.Remedy))
	}
}

func oneLine(text string) string {
	return printable(strings.NewReplacer("\r", "", "\n", " ").Replace(text))
}

// trouble turns an error frame into words, with the code's own advice.
func (f frame) trouble() *trouble {
	t := &trouble{Code: f.Code, What: f.Message, RetryAfter: f.RetryAfter}
	if info := protocol.Lookup(f.Code); info.Code == f.Code {
		t.Remedy, t.Closed = info.Advice, info.Close != 0 && f.ID == ""
	}
	return t
}

// explain says why a server could not be reached or refused the upgrade.
func explain(address *url.URL, resp *http.Response, err error) *trouble {
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return explainStatus(address, resp)
	}
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		plan tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &trouble{What: "nothing listens on " + address.Host, Remedy: "start it with `troupe serve`, or give the right address and port"}
	case errors.As(err, &dns):
		return &trouble{What: "the name " + dns.Name + " cannot be resolved", Remedy: "check the host of the address"}
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &plan):
		return &trouble{What: address.Host + " does not speak TLS", Remedy: "use http:// or ws://, or the port that speaks TLS"}
	case errors.As(err, &cert):
		return &trouble{What: "the certificate of " + address.Host + " is not trusted: " + cert.Err.Error(), Remedy: "use the name the certificate was made for, or install its authority (SSL_CERT_FILE)"}
	case errors.Is(err, context.DeadlineExceeded):
		return &trouble{What: address.Host + " does not answer in time", Remedy: "check the network and what stands between: firewall, proxy, load balancer"}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return &trouble{What: address.Host + " closed the connection without an answer", Remedy: "check that the port is Troupe's, and http:// against https://"}
	}
	return &trouble{What: "cannot reach " + address.Host + ": " + err.Error(), Remedy: "check the address"}
}

// explainStatus says what an HTTP answer means that should have been an upgrade
// or a 200. The words of Troupe win; without them it was somebody else.
func explainStatus(address *url.URL, resp *http.Response) *trouble {
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // part of an explanation is enough
	var f frame
	if json.Unmarshal(body, &f) == nil && f.Code != "" {
		t := f.trouble()
		t.Closed = true
		return t
	}
	plain := fmt.Sprintf("%s answered %d %s", address, resp.StatusCode, http.StatusText(resp.StatusCode))
	switch code := resp.StatusCode; {
	case code == http.StatusBadRequest && strings.Contains(string(body), "HTTPS server"):
		return &trouble{What: address.Host + " speaks TLS", Remedy: "use https:// or wss://"}
	case code == http.StatusForbidden:
		return &trouble{What: plain, Remedy: "Troupe refused the origin, or a proxy in front refused the request: set http.extra_origins, or look at the proxy's log"}
	case code == http.StatusNotFound:
		return &trouble{What: plain + ": this is not Troupe, or not its root", Remedy: "give the address and port of Troupe, with the path a proxy puts before it"}
	case code >= 300 && code < 400:
		return &trouble{What: plain + ", to " + resp.Header.Get("Location"), Remedy: "use that address"}
	case code == http.StatusUpgradeRequired:
		return &trouble{What: plain + ": the upgrade was lost on the way", Remedy: "let the proxy in front pass Upgrade and Connection (HTTP/1.1)"}
	case code == http.StatusTooManyRequests:
		return &trouble{What: plain + ": a limit was reached", Remedy: "wait, then try again", RetryAfter: retryAfter(resp)}
	case code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		return &trouble{What: plain + ": the proxy in front cannot reach Troupe", Remedy: "check that Troupe runs and where the proxy looks for it"}
	}
	return &trouble{What: plain, Remedy: "check the address, and the log of the server"}
}

func retryAfter(resp *http.Response) int {
	var seconds int
	_, _ = fmt.Sscanf(resp.Header.Get("Retry-After"), "%d", &seconds) // a date, or nothing, is 0
	return seconds
}

// explainEnd says why a socket that was open is not any more.
func explainEnd(err error) *trouble {
	t := &trouble{Closed: true}
	var e websocket.CloseError
	switch status := websocket.CloseStatus(err); {
	case status == websocket.StatusGoingAway:
		t.What, t.Remedy = "the server is going away", "connect again: another one answers, or this one after its restart"
	case status == websocket.StatusPolicyViolation:
		t.What, t.Remedy = "the server closed the connection (1008): a limit or a refusal", "wait before you connect again; the server's log names the limit"
	case status == websocket.StatusTryAgainLater:
		info := protocol.Lookup(protocol.SlowConsumer)
		t.Code, t.What, t.Remedy = info.Code, "this client read too slowly", info.Advice
	case errors.As(err, &e):
		t.What = fmt.Sprintf("the server closed the connection (%d %s)", e.Code, e.Reason)
	case errors.Is(err, context.DeadlineExceeded):
		t.What, t.Remedy = "the server did not answer in time", "look at the server's log"
	default:
		t.What, t.Remedy = "the connection was lost", "check that the server still runs, then ask again"
	}
	return t
}
