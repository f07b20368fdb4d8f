package limit

import "time"

// Name says which limit decided. Refusals, logs and metrics share it.
type Name string

// The limits.
const (
	Connections Name = "connection"
	Messages    Name = "message"
	Sessions    Name = "session"
)

// Decision is the answer to one attempt.
type Decision struct {
	OK   bool
	Rule Rule
	// Limit is the limit that refused. Of several it is the one that takes
	// longest to open, so that waiting RetryAfter is enough for all of them.
	// When OK it is the first limit that was asked, or Connections if none was.
	Limit Name
	// Count is how many events Limit's window holds now, this one included when
	// it was admitted; 0 when the limit is off or was not asked.
	Count int
	// RetryAfter is the exact time until the same attempt is admitted if nobody
	// else is before then; 0 when OK. Round it up for people.
	RetryAfter time.Duration
	// Stamp is when the attempt was made.
	Stamp time.Time

	grant grant
}

// grant is what an admitted connect consumed, in the words of the table that
// admitted it.
type grant struct {
	at         int64
	touch      uint32 // of the session's key, to see whether anybody used it since
	connection bool
	session    bool
}

// ConnectOptions says what kind of attempt a connect is.
type ConnectOptions struct {
	// CountConnection is set for WebSockets; an HTTP exchange is no connection
	// to the connection limit.
	CountConnection bool
	// NewSession is set when the server made the session up: no session is
	// counted, and none is remembered.
	NewSession bool
	// Connected is set while another connection of this session from this
	// address is alive: the session is not new.
	Connected bool
}
