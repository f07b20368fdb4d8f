package provider

import (
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Words of Google's errors that decide something here.
// https://google.aip.dev/193, https://ai.google.dev/gemini-api/docs/troubleshooting (read in November 2026)
const (
	googleNotFound     = "NOT_FOUND"
	googlePrecondition = "FAILED_PRECONDITION" // no billing, and a region without the free tier
	googleExhausted    = "RESOURCE_EXHAUSTED"
	googleDenied       = "PERMISSION_DENIED"
	googleBadKey       = "API_KEY_INVALID"
	googleCancelled    = 499 // CANCELLED: the server gave up, as with 5xx
)

// takeGoogle reads what Google's error objects have besides a code and a message.
func (v *vendorError) takeGoogle(o gjson.Result) {
	state := o.Get("status")
	if v.kind != "" || state.Type != gjson.String {
		return
	}
	v.kind = state.Str
	v.noQuota = v.kind == googleExhausted && saysNoQuota(v.message)
	o.Get("details").ForEach(func(_, detail gjson.Result) bool {
		v.takeDetail(detail)
		return true
	})
}

// takeDetail reads one of the standard details; others are for people.
// https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
func (v *vendorError) takeDetail(detail gjson.Result) {
	_, kind, _ := strings.Cut(detail.Get("@type").Str, "/google.rpc.")
	switch kind {
	case "ErrorInfo":
		v.reason = detail.Get("reason").Str
	case "RetryInfo":
		v.retry = retryDelay(detail.Get("retryDelay").Str)
	case "QuotaFailure":
		detail.Get("violations").ForEach(func(_, violation gjson.Result) bool {
			v.noQuota = v.noQuota || violation.Get("quotaValue").String() == "0"
			return true
		})
	case "BadRequest":
		v.param = googleParam(detail.Get("fieldViolations.0.field").Str)
	}
}

// googleParam is the last part of a field's path, in the words of our users
// where they have one for it.
func googleParam(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "max_output_tokens" || name == "maxOutputTokens" {
		return "max_tokens"
	}
	return name
}

// retryDelay reads a duration as Google's JSON spells it, rounded up to whole
// seconds and bounded; 0 where it is none.
func retryDelay(value string) int {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0
	}
	return int(min(math.Ceil(d.Seconds()), maxRetry))
}

// saysNoQuota finds a limit of zero: the plan of the key's project does not
// offer the model at all, so that waiting never helps. The object's details
// leave a zero out.
func saysNoQuota(message string) bool {
	for {
		_, after, ok := strings.Cut(message, "limit: 0")
		if !ok {
			return false
		}
		if after == "" || after[0] < '0' || after[0] > '9' {
			return true
		}
		message = after
	}
}

// badGoogleKey tells a key that Google does not know, which it calls a bad
// request.
func (v vendorError) badGoogleKey() bool {
	return v.reason == googleBadKey || strings.HasPrefix(v.message, "API key not valid") || strings.HasPrefix(v.message, "API key expired")
}

// notTheirs tells a tuned model that belongs to somebody else. Google denies
// that there, which must not count against the key: any stranger can ask for one.
func (v vendorError) notTheirs() bool {
	return v.kind == googleDenied && v.reason == "" && v.mentions("tunedmodels/", "tuned model")
}

// noPrepayment tells an account whose prepaid credit is used up. Google calls that
// exhausted, like a rate. Only how the sentence begins counts, see meant.
func (v vendorError) noPrepayment() bool {
	return strings.HasPrefix(v.message, "Your prepayment credits are depleted")
}

// meantByGoogle is the status that an error of Google's should have had.
func (v vendorError) meantByGoogle(status int) int {
	switch {
	case status == http.StatusForbidden && v.notTheirs():
		return http.StatusNotFound
	case status == http.StatusBadRequest && v.badGoogleKey():
		return http.StatusUnauthorized
	case status == http.StatusTooManyRequests && v.noPrepayment():
		return http.StatusPaymentRequired
	case status == http.StatusBadRequest && v.kind == googlePrecondition:
		return http.StatusForbidden
	}
	return status
}
