package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// stopped is the error of a Stream whose ctx ended. Both ctx.Err() and the
// cause are in its chain, so the run can tell its own clocks from a cancel with
// errors.Is. Where the cause already is a *protocol.Error, its code is kept.
func stopped(ctx context.Context) *protocol.Error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	} else {
		err = cause
	}
	var known *protocol.Error
	switch {
	case errors.As(cause, &known):
		return &protocol.Error{Code: known.Code, Message: known.Message, RetryAfter: known.RetryAfter, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &protocol.Error{Code: protocol.ProviderTimeout, Message: "The provider took too long to answer. Ask again, or ask for less.", Err: err}
	default:
		return &protocol.Error{Code: protocol.ProviderInterrupted, Message: "The answer was stopped before its end.", Err: err}
	}
}
