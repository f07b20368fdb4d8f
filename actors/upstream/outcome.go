package upstream

import "time"

// Kind says how a call ended, as far as others may learn from it.
type Kind int

// The kinds.
const (
	Neutral Kind = iota // says nothing of key or provider: 403, other 4xx, cancelled, filtered
	Good                // the vendor answered
	Failed              // could not connect, 5xx: of the provider, whoever's key it was
	Limited             // 429: this key may not ask for this model for a while
	Spent               // 402, or 429 for a used up quota: the whole key rests
	Refused             // 401: the whole key rests
)

const (
	limitedRest = 5 * time.Second // where the vendor names no time
	longestRest = time.Hour       // whatever the vendor, or another worker, says
	wholeRest   = 5 * time.Minute // of a key that is spent or refused
)

// Outcome is how a call ended. The zero value is Neutral.
type Outcome struct {
	Kind       Kind
	RetryAfter time.Duration // of Limited, as the vendor said; 0 = it did not
}

// Reason says why somebody rests. It is told to other workers as it is.
type Reason string

// The reasons.
const (
	WhyFailing Reason = "failing" // the provider as a whole
	WhyLimited Reason = "limited" // a key for one model
	WhySpent   Reason = "spent"   // a key as a whole
	WhyRefused Reason = "refused" // a key as a whole
)

// keyRest is what an outcome means for the key of its call.
func (o Outcome) keyRest(model string) (forModel string, length time.Duration, why Reason) {
	switch o.Kind {
	case Limited:
		if o.RetryAfter <= 0 {
			return model, limitedRest, WhyLimited
		}
		return model, min(o.RetryAfter, longestRest), WhyLimited
	case Spent:
		return "", wholeRest, WhySpent
	case Refused:
		return "", wholeRest, WhyRefused
	default:
		return "", 0, ""
	}
}
