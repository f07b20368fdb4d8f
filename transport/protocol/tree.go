package protocol

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of GET /api/debug/actors.
const (
	// ActorsListed is how many actors of a kind are listed where no limit is given.
	ActorsListed = 100
	// MaxActorsListed bounds the limit that may be given.
	MaxActorsListed = 10_000
	// ForemostActors bounds the list of the largest mailboxes, and that of the
	// oldest messages.
	ForemostActors = 20
)

// ErrNoActor says that no living actor has this id.
var ErrNoActor = errors.New("no living actor has this id; it ended, or it lives in another process")

// ActorsQuery is what GET /api/debug/actors was asked. At most one of Kind and
// ID is set; without either the answer is the whole tree.
type ActorsQuery struct {
	Kind  string // list the actors of this kind
	Limit int    // of the list, 1 to MaxActorsListed; 0 = ActorsListed
	ID    string // show this one actor
}

// Actors answers GET /api/debug/actors: the whole tree has Kinds, Tree,
// Largest and Oldest, the list of a kind Count and List, one actor Actor.
type Actors struct {
	Role    string      `json:"role"` // of the process
	At      time.Time   `json:"at"`
	Kinds   []ActorKind `json:"kinds,omitempty"`
	Tree    []ActorNode `json:"tree,omitempty"`
	Largest []Actor     `json:"largest,omitempty"` // most waiting first, then those that handle one message longest
	Oldest  []Actor     `json:"oldest,omitempty"`  // those that keep a message longest, waiting or in hand
	Kind    string      `json:"kind,omitempty"`
	Count   *int        `json:"actors,omitempty"` // of that kind, listed or not
	List    []Actor     `json:"list,omitempty"`   // in the order of Largest
	Actor   *ActorAlone `json:"actor,omitempty"`
}

// ActorKind is one kind of actor in a process. Started, Restarts and Panics count
// from the start of the process.
type ActorKind struct {
	Kind     string   `json:"kind"`
	Actors   int      `json:"actors"` // that live
	Started  uint64   `json:"started"`
	Restarts uint64   `json:"restarts"` // came back after a panic
	Panics   uint64   `json:"panics"`
	Waiting  int      `json:"waiting"` // messages in their mailboxes
	Oldest   Duration `json:"oldest"`  // how long at least the oldest of them has waited
	Busy     Duration `json:"busy"`    // how long at least one message has been handled, at most
}

// ActorNode is a line of the tree: a permanent actor, or all temporary ones of a
// kind below one parent. Started, Restarts and Panics count from the start of the
// process; temporary actors never come back.
type ActorNode struct {
	Actor    string      `json:"actor,omitempty"` // its id; empty for many
	Kind     string      `json:"kind"`
	Actors   int         `json:"actors"`
	Started  uint64      `json:"started"`
	Restarts uint64      `json:"restarts"`
	Panics   uint64      `json:"panics"`
	Waiting  int         `json:"waiting"`
	Oldest   Duration    `json:"oldest"`
	Busy     Duration    `json:"busy"`
	Children []ActorNode `json:"children,omitempty"`
}

// Actor is one living actor. State is idle, due (it waits for a goroutine), busy
// or suspended (it panicked and did not come back yet).
type Actor struct {
	Actor   string   `json:"actor"` // its id
	Kind    string   `json:"kind"`
	State   string   `json:"state"`
	Waiting int      `json:"waiting"`
	Oldest  Duration `json:"oldest"`
	Busy    Duration `json:"busy"` // how long at least it has been handling this message

	RunID    string `json:"run_id,omitempty"`   // of a run
	Provider string `json:"provider,omitempty"` // of a run: its supervisor's; and of a provider

	Connection string `json:"connection,omitempty"` // its name in the log
	Client     string `json:"client,omitempty"`     // of a connection: websocket, http
	Turns      *int   `json:"turns,omitempty"`      // of a connection: live ones
}

// ActorAlone is everything that can be told of one actor.
type ActorAlone struct {
	Actor
	Parent   string `json:"parent"` // empty for a root
	Children int    `json:"children"`
	Restarts uint64 `json:"restarts"` // of a permanent one; the others never come back
	Panics   uint64 `json:"panics"`   // of a permanent one
}

// Duration is written as Go writes it: 1.5s, 20ms.
type Duration time.Duration

// String is the text of a duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("read a duration: %w", err)
	}
	*d = Duration(parsed)
	return nil
}
