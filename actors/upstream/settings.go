package upstream

import (
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Key is one deployment key.
type Key struct {
	Secret protocol.Secret
	Weight int // share of the calls beside the other keys'; less than 1 is 1
}

// Settings is what the configuration says of one provider's way out.
type Settings struct {
	Keys       []Key         // a key that is named twice has both weights; empty ones are left out
	Keyless    bool          // without any key, calls go without one: a local server
	Room       int           // calls at once, those with users' own keys included; 0 = no bound
	RoomPerKey int           // calls at once with one deployment key; 0 = no bound
	Queue      int           // callers that may wait for room; 0 = nobody waits
	Tag        any           // handed out with every call that enters under these settings: what belongs to their keys
	Patience   time.Duration // how long one waits at most; 0 = as long as its context lets it
}
