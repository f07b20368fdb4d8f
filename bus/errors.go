package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

var (
	// ErrDisconnected says that the bus is away and nothing was sent.
	ErrDisconnected = errors.New("bus: not connected to NATS")
	// ErrTooLarge says that a message is above the server's max_payload.
	ErrTooLarge = errors.New("bus: message is larger than the NATS server's max_payload")
	// ErrClosed says that the bus, or the part of it that was asked, is closed.
	ErrClosed = errors.New("bus: closed")
	// ErrToken says that a word cannot be part of a subject.
	ErrToken = errors.New("bus: not a subject token of 1 to 64 characters A-Z a-z 0-9 _ -")
	// ErrMalformed says that a message is not what its subject promises. It
	// never carries a piece of the message.
	ErrMalformed = errors.New("bus: malformed message")
)

// sendError puts what the client says about a publish into our words.
func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return ErrClosed
	default: // reconnecting, or a write that failed: either way it did not go out
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
}
