package provider

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// refusal is a response that is no stream.
type refusal struct {
	body  []byte
	whole bool
	key   protocol.Secret
	model string
}

// refused puts a response that is no stream into our words.
func (p *vendor) refused(resp *http.Response, r refusal) (Fault, *protocol.Error) {
	v := verdict{status: resp.StatusCode, header: resp.Header, key: r.key, model: r.model}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	v.html = kind == "text/html" || bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("<"))
	if r.whole && gjson.ValidBytes(r.body) {
		v.vendor = parseVendorError(gjson.ParseBytes(r.body))
	} else if !r.whole { // the cut may have gone through a key: drop what could be its head
		r.body = r.body[:max(0, len(r.body)-3*len(r.key.Reveal()))]
	}
	if v.vendor == (vendorError{}) {
		v.vendor.message = string(r.body)
	}
	v.vendor.retry = retryAfter(v.header, v.vendor.retry)
	if v.status == http.StatusOK { // JSON instead of a stream: an error, or an answer nobody asked for
		v.status = v.vendor.status()
		v.unasked = v.status == 0
	}
	return p.judge(v)
}

// verdict is everything an error is judged by.
type verdict struct {
	status  int // 0 = an error inside a stream
	header  http.Header
	vendor  vendorError
	html    bool
	unasked bool
	key     protocol.Secret
	model   string
}

// judge maps what a vendor said to one code and one sentence of ours.
func (p *vendor) judge(v verdict) (Fault, *protocol.Error) {
	inside := v.status == 0 && !v.unasked
	if inside {
		v.status = v.vendor.status()
	}
	code, sentence := v.decide()
	return v.fault(code, inside), &protocol.Error{Code: code, Message: p.say(sentence), RetryAfter: v.wait(code), Err: v.chain(inside)}
}

// decide is the table of what a vendor can say; the first line that fits counts.
// In a sentence {name} is the provider's name, {variable} its key's variable.
func (v *verdict) decide() (protocol.Code, string) {
	s := v.vendor.meant(v.status)
	switch {
	case s == http.StatusForbidden && v.vendor.kind == googlePrecondition:
		return protocol.ProviderUnauthorized, "does not serve this key from here: enable billing for the key's project, or send another key as api_keys.{name}; the operator should check that the provider serves this region."
	case s == http.StatusUnauthorized, s == http.StatusForbidden && !v.html:
		return protocol.ProviderUnauthorized, "did not accept the key: check api_keys.{name}, or the operator's {variable} (providers.{name}.api_keys)."
	case s == http.StatusPaymentRequired:
		return protocol.ProviderUnauthorized, sayNoCredit
	case s == http.StatusTooManyRequests && v.vendor.noCredit():
		return protocol.ProviderRateLimited, sayNoCredit
	case s == http.StatusTooManyRequests:
		return protocol.ProviderRateLimited, "limits how much this key may ask: wait, then ask again."
	case s == http.StatusRequestEntityTooLarge && v.status == http.StatusTooManyRequests:
		return protocol.ProviderRejected, "takes no question of this size: it is larger than what this key may ask in a minute. Shorten it or begin a new conversation."
	case s == http.StatusRequestEntityTooLarge, s == http.StatusRequestURITooLong: // a proxy's page, too
		return protocol.ProviderRejected, sayTooLong
	case v.unasked, v.html, s > 0 && s < 400:
		return protocol.ProviderUnavailable, "did not answer with a stream: the operator should check providers.{name}.base_url."
	case s >= googleCancelled, s == http.StatusRequestTimeout:
		return protocol.ProviderUnavailable, "cannot answer now: ask again in a moment."
	case s == http.StatusNotFound && (v.vendor.noModel() || v.vendor.param == "model"), v.vendor.code == "model_not_found":
		return protocol.UnknownModel, "does not know the model " + quote(v.model) + ", or this key may not use it: ask for another one."
	case v.vendor.tooLong():
		return protocol.ProviderRejected, sayTooLong
	case v.vendor.filtered():
		return protocol.ProviderRejected, sayFiltered
	case s == http.StatusNotFound:
		return protocol.ProviderRejected, "has nothing at its configured address: the operator should check providers.{name}.base_url."
	case s == 0:
		return protocol.ProviderInterrupted, "broke its answer off with an error: ask again."
	default:
		return protocol.ProviderRejected, "refused the question as it was asked" + v.objection() + ": check the model, temperature and max_tokens."
	}
}

// Sentences that are said in more than one place.
const (
	sayNoCredit = "says that the key's account is out of credit: top it up, or send another key as api_keys.{name}."
	sayTooLong  = "cannot take that much text: the question with its earlier turns is longer than the model's context. Shorten it or begin a new conversation."
	sayFiltered = "stopped at its content filter: ask differently."
)

// wait is what the vendor says about waiting, and a guess of ours where it says
// nothing but waiting helps.
func (v *verdict) wait(code protocol.Code) int {
	switch {
	case code != protocol.ProviderRateLimited && code != protocol.ProviderUnavailable, v.vendor.noCredit():
		return 0
	case v.status == http.StatusTooManyRequests, v.status == http.StatusServiceUnavailable, v.status == statusOverloaded:
		return cmp.Or(v.vendor.retry, defaultRetry)
	}
	return v.vendor.retry
}

// fault tells what the verdict means for the next call.
func (v *verdict) fault(code protocol.Code, inside bool) Fault {
	s := v.vendor.meant(v.status)
	switch {
	case inside && v.vendor.nameless(): // a sentence alone says nothing against a key
		if code == protocol.ProviderRejected || code == protocol.UnknownModel {
			return FaultNone
		}
		return FaultVendor
	case s == http.StatusUnauthorized:
		return FaultKeyRefused
	case s == http.StatusRequestEntityTooLarge && v.status == http.StatusTooManyRequests, // another key may ask for more a minute,
		s == http.StatusNotFound && v.status == http.StatusForbidden && v.vendor.code == "model_not_found": // or for this model
		return FaultKeyDenied
	case s == http.StatusTooManyRequests && v.vendor.noQuota: // of one model: any stranger can ask for one
		return FaultLimited
	case s == http.StatusPaymentRequired, s == http.StatusTooManyRequests && v.vendor.noCredit():
		return FaultKeySpent
	case s == http.StatusForbidden:
		return FaultKeyDenied
	case s == http.StatusTooManyRequests:
		return FaultLimited
	case v.html && s >= 400 && s < 500 && s != http.StatusRequestTimeout:
		return FaultNone // something in between speaks of this question or this address, not of the vendor's health
	case code == protocol.ProviderUnavailable, inside && code == protocol.ProviderInterrupted:
		return FaultVendor
	}
	return FaultNone
}

// say starts a sentence about the provider; {name} in it is the provider's name.
func (p *vendor) say(rest string) string {
	return "Provider " + p.name + " " + strings.NewReplacer("{name}", p.name, "{variable}", KeyVariable(p.cfg.Type)).Replace(rest)
}

// objection names the parameter a vendor objects to where it is one that our
// users can set.
func (v verdict) objection() string {
	switch name := v.vendor.blamed(); name {
	case "model", "temperature", "messages":
		return " because of " + name
	case "max_tokens", "max_completion_tokens":
		return " because of max_tokens"
	}
	return ""
}

// chain is the operator's side: the status and a redacted extract.
func (v verdict) chain(inside bool) error {
	where := "error inside the stream"
	if !inside {
		where = "HTTP status " + strconv.Itoa(v.status)
		if v.unasked {
			where = "no event stream"
		}
	}
	extract := strings.TrimSpace(v.vendor.kind + " " + v.vendor.code + " " + strings.TrimSpace(v.vendor.reason+" "+v.vendor.message))
	if id := cmp.Or(v.header.Get("Request-Id"), v.header.Get("X-Request-Id")); id != "" {
		extract = "request " + clip(redact(id, v.key), 64) + ": " + extract
	}
	if extract = redact(extract, v.key); extract == "" {
		return errors.New(where)
	}
	return errors.New(where + ": " + extract)
}

// filtered is an answer that the vendor ended by finish_reason.
func (p *vendor) filtered() *protocol.Error {
	return &protocol.Error{Code: protocol.ProviderRejected, Message: p.say(sayFiltered), Err: errors.New("finish_reason content_filter")}
}

// unreachable is a call that got no response: nothing was said yet. Where the
// vendor may have had the whole question by then it may also have begun to
// answer it, and to charge for it.
func (p *vendor) unreachable(ctx context.Context, ex *exchange, model string, key protocol.Secret, err error) (Result, error) {
	res := nothing(model)
	res.Fault = FaultConnect
	if ex.sent() {
		res.Fault, res.Usage = FaultVendor, nil
	}
	if ctx.Err() != nil {
		res.Fault = FaultNone
		return res, stopped(ctx)
	}
	told := &protocol.Error{
		Code:    protocol.ProviderUnavailable,
		Message: p.say("cannot be reached: ask again in a moment; the operator should check providers.{name}.base_url and the network."),
		Err:     errors.New(redact(err.Error(), key)), // its text can hold bytes of the vendor: only that, cleaned, is kept
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		told.Code, told.Message = protocol.ProviderTimeout, p.say("could not be reached in time: ask again in a moment.")
	}
	return res, told
}

func (p *vendor) interrupted(key protocol.Secret, err error) *protocol.Error {
	return &protocol.Error{
		Code:    protocol.ProviderInterrupted,
		Message: p.say("broke its answer off: ask again."),
		Err:     errors.New(redact(err.Error(), key)),
	}
}

func (p *vendor) internal(err error) *protocol.Error {
	return &protocol.Error{Code: protocol.Internal, Message: "The question could not be sent to provider " + p.name + ".", Err: err}
}
