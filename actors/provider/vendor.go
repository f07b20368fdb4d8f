package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of a connection. How long an answer may take is the run's to say.
const (
	connectTimeout = 10 * time.Second // of the dial, and of the TLS handshake, where nobody said otherwise
	maxHeaderBytes = 64 << 10
)

// vendor is a Provider that is asked over HTTP and answers with an event
// stream, in the language of its wire. One transport serves all its calls.
type vendor struct {
	// Set once.
	name      string
	cfg       Config
	wire      wire
	transport *http.Transport

	answers sync.Pool // of *answer, for their buffers
}

func newVendor(name string, c Config, w wire, deps Deps) (*vendor, error) {
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil {
			return nil, fmt.Errorf("providers.%s.base_url: not a URL", name)
		}
		if u.Scheme == "http" && len(c.Keys()) > 0 && !isLoopback(u.Hostname()) {
			deps.Log.Warn().Str("provider", name).Str("host", u.Host).
				Msg("Provider key travels unencrypted: use https in base_url")
		}
	}
	return &vendor{
		name: name, cfg: c, wire: w, transport: newTransport(c.ConnectTimeout),
		answers: sync.Pool{New: func() any { return new(answer) }},
	}, nil
}

// newTransport has no clock over an answer: those belong to the run.
func newTransport(connect time.Duration) *http.Transport {
	if connect <= 0 {
		connect = connectTimeout
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connect,
		ForceAttemptHTTP2:      true,
		HTTP2:                  newHTTP2(),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
	}
}

// newHTTP2 pings idle connections, or a dead one would swallow question after
// question. Its table of headers, which lives as long as the connection, has room
// for none: the key of each call would stay in it.
func newHTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second, MaxEncoderHeaderTableSize: 1}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Close lets go of idle connections.
func (p *vendor) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

// Stream implements Provider. It asks the transport directly, without an
// http.Client: so no redirect is ever followed, with a key or without.
func (p *vendor) Stream(ctx context.Context, q *Question, sink Sink) (Result, error) {
	if fault, err := p.checkKey(q.Key); err != nil { // first: who has no key cannot do anything about the model
		res := unsent(q.Model)
		res.Fault = fault
		return res, err
	}
	model, err := pickModel(p.name, &p.cfg, q.Model)
	if err != nil {
		return unsent(q.Model), err
	}
	ex := newExchange(ctx)
	defer ex.end()
	req, err := p.request(ex.ctx, model, q)
	if err != nil {
		return unsent(model), p.internal(err)
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return p.unreachable(ctx, ex, model, q.Key, err)
	}
	ex.begin(resp)
	if isStream(resp) {
		return p.read(ctx, ex, reading{model: model, question: q, sink: sink})
	}
	text, whole := ex.refusal()
	if ctx.Err() != nil {
		return Result{Model: model}, stopped(ctx)
	}
	res := nothing(model)
	var told *protocol.Error
	res.Fault, told = p.refused(resp, refusal{body: text, whole: whole, key: q.Key, model: model})
	return res, told
}

// nothing is the result of a call that the vendor did not begin to answer: it
// costs nothing, and that is no estimate.
func nothing(model string) Result { return Result{Model: model, Usage: &protocol.Usage{}} }

// unsent is the result of a call that never was one.
func unsent(model string) Result {
	res := nothing(model)
	res.Unsent = true
	return res
}

// request builds the call. The headers hold a copy of the key that cannot be
// wiped, and must not be taken out again: after a cancel net/http may still be
// writing it. It is dropped with the request. GetBody, which NewRequest sets,
// lets net/http send again only what the vendor certainly did not get: a call
// that met a closed idle connection before its first byte left.
func (p *vendor) request(ctx context.Context, model string, q *Question) (*http.Request, error) {
	body, err := p.wire.body(model, q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.wire.address(model), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	p.sign(req, q.Key)
	if q.Call != "" {
		req.Header.Set(CallHeader, q.Call)
	}
	return req, nil
}

func (p *vendor) sign(req *http.Request, key protocol.Secret) {
	req.Header.Set("User-Agent", "troupe")
	p.wire.sign(req.Header, key)
}

// checkKey lets a call go without a key only where base_url names a server that
// may need none.
func (p *vendor) checkKey(key protocol.Secret) (Fault, error) {
	switch {
	case key.Empty() && p.cfg.BaseURL != "":
		return FaultNone, nil
	case key.Empty():
		return FaultKeyDenied, noKey(p.name, &p.cfg)
	case !validKey(key):
		return FaultNone, &protocol.Error{Code: protocol.ProviderUnauthorized, Message: fmt.Sprintf(
			"The key for provider %s holds a space, a line end or another character that no key has: check api_keys.%s.", p.name, p.name)}
	}
	return FaultNone, nil
}

// isStream tells an answer from a refusal. A server that names no type is
// given the benefit of the doubt: the end it must say decides.
func isStream(resp *http.Response) bool {
	if resp.StatusCode != http.StatusOK {
		return false
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind != "application/json" && kind != "text/html"
}

// reading is one answer's constants.
type reading struct {
	model    string
	question *Question
	sink     Sink
}

// read relays the stream until its end, whichever comes. That there is one says
// already that the vendor is alive and took the key.
func (p *vendor) read(ctx context.Context, ex *exchange, rd reading) (Result, error) {
	rd.sink.Progress()
	a, _ := p.answers.Get().(*answer)
	a.reset(ex)
	defer func() {
		a.release()
		p.answers.Put(a)
	}()
	err := a.relay(p.wire, rd.sink)
	res := a.result(rd.model, rd.question)
	key := rd.question.Key
	switch {
	case err == nil:
		ex.finish()
		if a.filtered {
			return res, p.filtered()
		}
		return res, nil
	case ctx.Err() != nil:
		return res, stopped(ctx)
	}
	var said vendorError
	if errors.As(err, &said) {
		var told *protocol.Error
		res.Fault, told = p.judge(verdict{vendor: said, key: key, model: rd.model})
		return res, told
	}
	if a.filtered {
		return res, p.filtered()
	}
	res.Fault = FaultVendor
	return res, p.interrupted(key, err)
}
