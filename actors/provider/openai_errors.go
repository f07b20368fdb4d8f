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

// vendorError is an error object of the vendor. It is never shown: it helps to
// choose our own words, and a redacted extract goes to the operator.
type vendorError struct {
	code, kind, param, message string
}

// Error implements error only so that an answer can return it; nothing prints it.
func (vendorError) Error() string { return "the vendor sent an error object" }

// parseVendorError reads the shapes in use: {"error":{…}}, {"error":"…"}, and
// the bare object of older servers.
func parseVendorError(root gjson.Result) vendorError {
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
	return v
}

func (v vendorError) mentions(words ...string) bool {
	text := strings.ToLower(v.code + "\n" + v.kind + "\n" + v.message)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func (v vendorError) tooLong() bool {
	return v.mentions("context_length", "context length", "context window", "maximum context", "prompt is too long")
}

func (v vendorError) filtered() bool {
	return v.mentions("content_filter", "content_policy", "content management policy")
}

func (v vendorError) noModel() bool {
	return v.mentions("model_not_found") ||
		v.mentions("model") && v.mentions("not found", "not exist", "not_found", "unknown model")
}

func (v vendorError) noCredit() bool {
	return v.mentions("insufficient_quota", "insufficient_credit", "billing")
}

// status is the HTTP status that an error inside a stream would have had; 0
// where its words do not tell.
func (v vendorError) status() int {
	if n, err := strconv.Atoi(v.code); err == nil && n >= 400 && n < 600 {
		return n
	}
	switch {
	case v.mentions("invalid_api_key", "authentication", "permission"):
		return http.StatusUnauthorized
	case v.noCredit(), v.mentions("rate_limit", "rate limit", "too many requests"):
		return http.StatusTooManyRequests
	case v.mentions("overloaded", "server_error", "service_unavailable"):
		return http.StatusServiceUnavailable
	case v.mentions("invalid_request"):
		return http.StatusBadRequest
	}
	return 0
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
