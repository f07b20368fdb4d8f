package provider

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// How long a user is told to wait where the vendor says nothing, and at most.
const (
	defaultRetry = 5
	maxRetry     = 3600
)

// statusOverloaded is what Anthropic, and CDNs, answer where 503 would do.
const statusOverloaded = 529

// vendorError is an error object of the vendor. It is never shown: it helps to
// choose our own words, and a redacted extract goes to the operator.
type vendorError struct {
	code, kind, param, message string
	reason                     string // Google's word for a refused key and the like
	retry                      int    // seconds, where Retry-After or the object itself says when to come back
	noQuota                    bool   // what is asked for is not in the key's plan at all
	flagged                    bool   // a moderator in between objects to the question
}

// Error implements error only so that an answer can return it; nothing prints it.
func (vendorError) Error() string { return "the vendor sent an error object" }

// parseVendorError reads the shapes in use: {"error":{…}}, {"error":"…"}, the
// bare object of older servers, and any of them as the only one of a list.
func parseVendorError(root gjson.Result) vendorError {
	if root.IsArray() {
		root = root.Get("0")
	}
	o := root.Get("error")
	if o.Type == gjson.String {
		return vendorError{message: o.Str}
	}
	if !o.IsObject() {
		o = root
	}
	v := vendorError{code: o.Get("code").String(), kind: o.Get("type").String(), param: o.Get("param").String(), message: o.Get("message").String()}
	if v.message == "" {
		v.message = o.Get("detail").String()
	}
	if m := o.Get("metadata"); m.IsObject() { // https://openrouter.ai/docs/api/reference/errors-and-debugging
		v.flagged = m.Get("reasons").IsArray() || m.Get("flagged_input").Exists()
	}
	v.takeGoogle(o)
	return v
}

// bareError reads an error object that stands outside of any event. Google's
// servers end a stream like that when they have to give it up.
func bareError(text []byte) (vendorError, bool) {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' || tooDeep(text) || !gjson.ValidBytes(text) {
		return vendorError{}, false
	}
	root := gjson.ParseBytes(text)
	return parseVendorError(root), root.Get("error").Exists() || root.Get("0.error").Exists()
}

func (v vendorError) mentions(words ...string) bool {
	text := strings.ToLower(v.code + "\n" + v.kind + "\n" + v.reason + "\n" + v.message)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func (v vendorError) tooLong() bool {
	return v.mentions("context_length", "context length", "context window", "maximum context", "prompt is too long", "exceed context limit",
		"exceeds the maximum number of tokens", "request payload size exceeds")
}

func (v vendorError) filtered() bool {
	return v.flagged || v.mentions("content_filter", "content_policy", "content management policy", "content filtering policy")
}

func (v vendorError) noModel() bool {
	return v.mentions("model_not_found") || v.kind == googleNotFound || v.notTheirs() ||
		v.mentions("model") && v.mentions("not found", "not exist", "not_found", "unknown model")
}

// noCredit tells an account that cannot pay from one that asks too fast. Vendors
// name their billing page in the sentences of both, so a sentence counts only
// where there is nothing else, and who says when to come back means a rate.
func (v vendorError) noCredit() bool {
	if v.noQuota || v.retry > 0 {
		return v.noQuota
	}
	if !v.nameless() {
		v.message = ""
	}
	return v.mentions("insufficient_quota", "insufficient_credit", "billing")
}

// meant is the status that an error should have had. Anthropic refuses an
// account without credit, and one that it closed, as a bad request; OpenAI a
// question that no waiting makes smaller as one too many, and a model that is not
// for this key as if the key were bad; OpenRouter what a moderator flagged. Only how the
// sentence begins counts: what follows may repeat what a stranger asked, who
// must not be able to take a key out of service.
func (v vendorError) meant(status int) int {
	status = v.meantByGoogle(status)
	switch {
	case status == http.StatusTooManyRequests && strings.HasPrefix(v.message, "Request too large for"):
		return http.StatusRequestEntityTooLarge
	case status == http.StatusForbidden && v.code == "model_not_found":
		return http.StatusNotFound
	case status == http.StatusForbidden && v.flagged:
		return http.StatusBadRequest
	case status != http.StatusBadRequest:
		return status
	case strings.HasPrefix(v.message, "Your credit balance is too low"),
		strings.HasPrefix(v.message, "You have reached your specified API usage limits"):
		return http.StatusPaymentRequired
	case strings.HasPrefix(v.message, "This organization has been disabled"):
		return http.StatusForbidden
	}
	return status
}

// blamed is the parameter that the vendor objects to. Anthropic has no field for
// it: its sentence begins with a path and a colon, or with a quoted name.
func (v vendorError) blamed() string {
	if v.param != "" {
		return v.param
	}
	if quoted, ok := strings.CutPrefix(v.message, "`"); ok {
		name, _, _ := strings.Cut(quoted, "`")
		return name
	}
	path, _, ok := strings.Cut(v.message, ":")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(path, ".")
	return name
}

// status is the HTTP status that an error inside a stream would have had; 0
// where its words do not tell. What the sentence says counts only where nothing
// else does, and never against a key: it may repeat what a stranger asked.
func (v vendorError) status() int {
	if n, err := strconv.Atoi(v.code); err == nil && n >= 400 && n < 600 {
		return n
	}
	named := v
	if !v.nameless() {
		named.message = ""
	}
	switch {
	case v.named("invalid_api_key", "authentication"):
		return http.StatusUnauthorized
	case v.named("permission"):
		return http.StatusForbidden
	case named.noCredit(), named.mentions("rate_limit", "rate limit", "too many requests"):
		return http.StatusTooManyRequests
	case named.mentions("overloaded", "server_error", "service_unavailable"):
		return http.StatusServiceUnavailable
	case named.mentions("invalid_request"):
		return http.StatusBadRequest
	}
	return 0
}

// nameless tells whether an error is a sentence and nothing else.
func (v vendorError) nameless() bool { return v.code+v.kind+v.reason == "" }

// named is mentions for the words of an error that are no sentence.
func (v vendorError) named(words ...string) bool {
	v.message = ""
	return v.mentions(words...)
}

// retryAfter reads Retry-After, seconds or a date, rounded up and bounded.
func retryAfter(h http.Header, otherwise int) int {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return otherwise
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		at, err := http.ParseTime(value)
		if err != nil {
			return otherwise
		}
		seconds = time.Until(at).Seconds()
	}
	if !(seconds < maxRetry) { // also NaN
		return maxRetry
	}
	whole := int(max(seconds, 1))
	if float64(whole) < seconds {
		whole++
	}
	return whole
}
