package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/limit"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Every message, grouped by who receives it. An order is a verb, a fact a
// participle. Nothing is changed after it was sent.

// To the limiter.
type (
	// decide asks for one decision; an answer after until is not wanted.
	decide struct {
		from    *actor.PID
		n       uint32 // names the ask among those of one connection
		until   time.Time
		message bool // a chat message; else a connection
		address string
		session string
		options limit.ConnectOptions
	}
	// probe is answered by being handled: the limiter is back.
	probe struct{}
)

// To the pool.
type (
	acquire struct {
		owner *Session // whose actor waits for the answer
		n     uint32
	}
	vacated struct{ owner *Session } // its actor has ended
)

// To the supervisor of connections.
type (
	open      struct{ connection *connection }
	sweepIdle struct{ now time.Time }
	drainAll  struct{ until time.Time }
	closeAll  struct{}
)

// To a connection.
type (
	// asked is one request of the client.
	asked struct{ request protocol.Request }
	// socketClosed says that the client is gone.
	socketClosed struct{ cause protocol.Cause }

	decided struct {
		n        uint32
		decision limit.Decision
		charged  *limit.Decision // set where the fallback admitted: what the windows were charged
		replaced bool            // the fallback decided
	}
	limiterLate struct{ ask *decide }
	granted     struct{ n uint32 }
	full        struct {
		n     uint32
		scope limit.Scope
	}
	poolLate struct{ n uint32 }

	// replied is a worker's answer to a job, a resume or a cancel.
	replied struct {
		to    uint64
		reply *bus.Reply
	}
	noResponders struct{ to uint64 }
	offerLate    struct{ to uint64 }
	retryDue     struct{ to uint64 }
	settled      struct{ to uint64 } // the roster was waited for
	searchLate   struct{ to uint64 } // no worker is waited for any more

	// chunksArrived are chunks of one run that one message of the bus brought,
	// in their order. Whoever handled it gives it back to the gateway's spares.
	chunksArrived struct {
		to     uint64
		chunks []arrived
	}
	eventArrived struct{ event bus.Event }
	workerLost   struct{ to uint64 }
	busLost      struct{} // for longer than a turn may wait
	busBack      struct{}
	checkSilence struct{ now time.Time }

	idled    struct{}
	drain    struct{ until time.Time }
	endNow   struct{} // the drain is over
	closeDue struct{}
	nextDue  struct{}
)

// arrived is one chunk. Its text is the bus's and is never written to.
type arrived struct {
	seq  uint64
	text []byte
}

// To the roster.
type (
	beatHeard struct {
		beat     *bus.Beat
		received time.Time
	}
	rosterTick struct{ now time.Time }
	// tellRests says that a worker met something at a vendor that others should know.
	tellRests struct{}
	// unreachable says that nobody listened where a probe of the worker went.
	unreachable struct {
		worker string
		now    time.Time
	}
)

// To a provider's supervisor.
type (
	startRun struct {
		job    *bus.Job
		reply  string
		coming *coming
	}
)

// To a run.
type (
	keyArrived  struct{ sealed []byte }
	keyLate     struct{}
	nameDue     struct{}
	piece       struct{ text []byte }
	streamEnded struct{ answered }
	// reasoned is a piece of what the model thinks aloud.
	reasoned struct{ text []byte }
	// queuedAt says that the vendor is not asked yet, or not now; 0 = soon.
	queuedAt struct{ position int }
	// calling says that a vendor is asked now, for the nth time.
	calling struct {
		clocks          clocks
		n               int
		keyID           string // fingerprint of the deployment's key, if it is one
		provider, model string
	}
	clockDue struct{}
	followed struct {
		control *bus.Control
		reply   string
	}
	stopRun struct {
		control *bus.Control
		reply   string
	}
	stopLate     struct{}
	followerGone struct{ control *bus.Control }
	acknowledged struct {
		gateway string
		to      uint64
	}
	graceOver struct{ round int }
	repeatDue struct{}
	expire    struct{}
	speak     struct{} // say your last seq, or your end, again
	shutDown  struct{}
)
