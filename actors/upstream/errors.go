package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Why a caller does not get in.
var (
	ErrFull     = errors.New("upstream: no room, and the queue in front of it is full: ask again later, or raise the provider's concurrency or queue")
	ErrPatience = errors.New("upstream: no room came free in time: ask again later, or raise the provider's concurrency or patience")
	ErrNoKey    = errors.New("upstream: the provider has no key: configure one, or bring your own")
	ErrTriedAll = errors.New("upstream: every key of the provider failed for this question: try another provider")
)

// Resting is the error of a caller that came while the provider, or every key
// that it could use, rests.
type Resting struct {
	After time.Duration // until somebody may be let in; more than 0
	Why   Reason
}

// Error implements error.
func (r *Resting) Error() string {
	who := "every key that may be used"
	if r.Why == WhyFailing || r.Why == WhyAway {
		who = "the provider"
	}
	return fmt.Sprintf("upstream: %s rests (%s): ask again in %v", who, r.Why, r.After.Round(time.Millisecond))
}

// left is the error of a caller whose context ended before it got in.
func left(ctx context.Context) error {
	return fmt.Errorf("upstream: left before there was room: %w", context.Cause(ctx))
}
