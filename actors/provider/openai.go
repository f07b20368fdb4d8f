package provider

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of a connection. How long an answer may take is the run's to say.
const (
	connectTimeout = 10 * time.Second // of the dial, and of the TLS handshake
	maxHeaderBytes = 64 << 10
)

// openAI speaks chat completions, the wire of OpenAI and of everything that
// copies it. One transport serves all calls of a provider.
type openAI struct {
	// Set once.
	name      string
	cfg       Config
	endpoint  string
	newNames  bool // max_completion_tokens instead of max_tokens
	transport *http.Transport

	answers sync.Pool // of *answer, for their buffers
}

func newOpenAI(name string, c Config, deps Deps) (*openAI, error) {
	base := c.BaseURL
	if base == "" {
		base = openAIBaseURL
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("providers.%s.base_url: not a URL", name)
	}
	if u.Scheme == "http" && !firstKey(c.APIKeys).Empty() && !isLoopback(u.Hostname()) {
		deps.Log.Warn().Str("provider", name).Str("host", u.Host).
			Msg("Provider key travels unencrypted: use https in base_url")
	}
	return &openAI{
		name:      name,
		cfg:       c,
		endpoint:  strings.TrimRight(base, "/") + "/chat/completions",
		newNames:  knowsNewNames(u),
		transport: newTransport(),
		answers:   sync.Pool{New: func() any { return new(answer) }},
	}, nil
}

// newTransport has no clock over an answer: those belong to the run. Idle
// HTTP/2 connections are pinged, or a dead one would swallow question after
// question.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Close lets go of idle connections.
func (p *openAI) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

// Stream implements Provider. It asks the transport directly, without an
// http.Client: so no redirect is ever followed, with a key or without.
func (p *openAI) Stream(ctx context.Context, q *Question, sink Sink) (Result, error) {
	key, err := p.key(q) // first: who has no key cannot do anything about the model
	if err != nil {
		return Result{Model: q.Model}, err
	}
	model, err := pickModel(p.name, &p.cfg, q.Model)
	if err != nil {
		return Result{}, err
	}
	body, err := p.body(model, q)
	if err != nil {
		return Result{Model: model}, p.internal(err)
	}
	ex := newExchange(ctx)
	defer ex.end()
	req, err := p.request(ex.ctx, body, key)
	if err != nil {
		return Result{Model: model}, p.internal(err)
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return Result{Model: model}, p.unreachable(ctx, key, err)
	}
	ex.begin(resp)
	if isStream(resp) {
		return p.read(ctx, ex, reading{model: model, key: key, question: q, sink: sink})
	}
	text, whole := ex.refusal()
	if ctx.Err() != nil {
		return Result{Model: model}, stopped(ctx)
	}
	return Result{Model: model}, p.refused(resp, refusal{body: text, whole: whole, key: key, model: model})
}

// key is the user's, else the deployment's, else none where base_url names a
// server that may need none.
func (p *openAI) key(q *Question) (protocol.Secret, error) {
	key := q.Key
	if key.Empty() {
		key = firstKey(p.cfg.APIKeys)
	}
	switch {
	case key.Empty() && p.cfg.BaseURL != "":
		return key, nil
	case key.Empty():
		return key, &protocol.Error{Code: protocol.ProviderUnauthorized, Message: fmt.Sprintf(
			"Provider %s needs a key: send yours as api_keys.%s, or let the operator set OPENAI_API_KEY (providers.%s.api_keys).", p.name, p.name, p.name)}
	case !validKey(key):
		return key, &protocol.Error{Code: protocol.ProviderUnauthorized, Message: fmt.Sprintf(
			"The key for provider %s holds a space, a line end or another character that no key has: check api_keys.%s.", p.name, p.name)}
	}
	return key, nil
}

// isStream tells an answer from a refusal. A server that names no type is
// given the benefit of the doubt: the [DONE] it must say decides.
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
	key      protocol.Secret
	question *Question
	sink     Sink
}

// read relays the stream until its end, whichever comes.
func (p *openAI) read(ctx context.Context, ex *exchange, rd reading) (Result, error) {
	a, _ := p.answers.Get().(*answer)
	a.reset(ex)
	defer func() {
		a.release()
		p.answers.Put(a)
	}()
	err := a.relay(rd.sink)
	res := a.result(rd.model, rd.question)
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
		return res, p.judge(verdict{vendor: said, key: rd.key, model: rd.model})
	}
	if a.filtered {
		return res, p.filtered()
	}
	return res, p.interrupted(rd.key, err)
}
