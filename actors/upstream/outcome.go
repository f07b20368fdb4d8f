package upstream

import "time"

// Kind says how a call ended, as far as others may learn from it.
type Kind int

// The kinds.
const (
	Neutral   Kind = iota // says nothing of key or provider: 403, other 4xx, cancelled, filtered
	Good                  // the vendor answered
	Failed                // 5xx, a broken answer: of the provider, whoever's key it was
	Limited               // 429: this key may not ask for this model for a while
	Spent                 // 402, or 429 for a used up quota: the whole key rests
	Refused               // 401: the whole key rests
	Unsent                // nobody was called: it counts as no call at all
	Unreached             // no connection: like Failed here, but perhaps only from here
)

const (
	limitedRest = 5 * time.Second  // where the vendor names no time
	longestRest = time.Hour        // whatever the vendor, or another worker, says
	refusedRest = 5 * time.Minute  // the whole key: somebody has to do something
	spentRest   = 30 * time.Second // the same, but short: some vendors say it of one dear question
)

// Outcome is how a call ended. The zero value is Neutral.
type Outcome struct {
	Kind       Kind
	RetryAfter time.Duration // of Limited, as the vendor said; 0 = it did not
}

// Reason says why somebody rests. It is told to other workers as it is, but for WhyAway.
type Reason string

// The reasons.
const (
	WhyFailing Reason = "failing" // the provider as a whole
	WhyAway    Reason = "away"    // the same, seen from here: it is not told to others
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
		return "", spentRest, WhySpent
	case Refused:
		return "", refusedRest, WhyRefused
	default:
		return "", 0, ""
	}
}
