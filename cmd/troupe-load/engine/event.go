package engine

import "time"

// Kinds of events.
type kind uint8

const (
	evOther kind = iota // known, and of no interest: pong, status, reasoning
	evChunk
	evComplete
	evCancelled
	evError
	evAccepted
	evSnapshot
	evReconnect
	evBad // not understood
)

// event is what a message means, whoever speaks. Text is JSON as it was written,
// without quotes; slices are valid while the message is.
type event struct {
	kind    kind
	id      []byte // of the question, where the message names one
	runID   []byte
	seq     uint64 // of the chunk, its last where it was joined; 0 = there is none
	from    uint64 // first of a joined chunk, else 0
	text    []byte // of a chunk, a snapshot, or the partial text of an error
	hasText bool
	full    []byte // the whole text, as the end tells it
	hasFull bool
	code    string // of an error
	detail  string
	about   string // an error that ends no question: cancel, resume
	after   time.Duration
}

// dialect is how a server is spoken to.
type dialect interface {
	// parse says what a message means. e is zero.
	parse(payload []byte, e *event)
	// question appends the message that asks.
	question(dst []byte, c *client, t *turn) []byte
	// cancel appends the message that stops t; false where there is none.
	cancel(dst []byte, t *turn) ([]byte, bool)
	// resume appends the message that follows t again on a new socket; false
	// where there is none.
	resume(dst []byte, c *client, t *turn) ([]byte, bool)
}
