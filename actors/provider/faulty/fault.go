package faulty

import "net/http"

// Reason is why a vendor refuses, where the status alone does not tell.
type Reason string

// Reasons. Each wire has its own status and words for one.
const (
	KeyRefused     Reason = "key"     // the key is not known
	KeyMissing     Reason = "no-key"  // there is no key
	OutOfCredit    Reason = "credit"  // the key's account cannot pay
	ModelUnknown   Reason = "model"   // there is no such model
	ContextTooLong Reason = "context" // the question does not fit
	Filtered       Reason = "filter"  // the question is not allowed
	Overloaded     Reason = "overloaded"
)

// Fault is an error that a vendor tells.
type Fault struct {
	Status     int    // 0 = the wire's own for Why
	Why        Reason // "" = what the status says
	RetryAfter int    // seconds; 0 = nothing is said
	Model      string // the model asked for
	Message    string // "" = words of ours
}

// status is the fault's own or, where it has none, the wire's.
func (f Fault) status(otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

// say is the fault's own message or, where it has none, another.
func (f Fault) say(otherwise string) string {
	if f.Message != "" {
		return f.Message
	}
	return otherwise
}

// Figures of the refusal that a question does not fit. They are said, not meant.
const (
	windowTokens = 8192
	tooManyWords = "9001"
)

// plain is what a status without a reason says, on any wire.
func plain(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "The key is not valid: send one that is."
	case http.StatusPaymentRequired:
		return "The account is out of credit: top it up."
	case http.StatusForbidden:
		return "The key has no permission for this: use another key."
	case http.StatusNotFound:
		return "There is nothing at this address: check the path and the model."
	case http.StatusRequestEntityTooLarge:
		return "The request is too large: send less."
	case http.StatusTooManyRequests:
		return "The rate limit is reached: ask again later."
	case http.StatusServiceUnavailable, statusOverloaded:
		return "Overloaded: ask again later."
	case http.StatusGatewayTimeout:
		return "The answer took too long: ask again."
	}
	if status >= http.StatusInternalServerError {
		return "Something broke inside: ask again."
	}
	return "The request is not valid."
}

// statusOverloaded is Anthropic's status for an overloaded vendor.
const statusOverloaded = 529
