package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Session is the transport's handle of one connection actor, and what is left
// of a connection when its actor is gone. Safe for concurrent use.
type Session struct {
	gateway *Gateway
	socket  Socket // used by the actor; by its supervisor once the actor is gone
	client  protocol.Client

	pid       atomic.Pointer[actor.PID]
	cause     atomic.Pointer[protocol.Cause] // set once the socket is gone
	closed    atomic.Bool                    // the actor said Close to the socket
	admitted  atomic.Bool
	idleSince atomic.Int64 // unix nanoseconds; 0 while a turn is live

	follows []uint64 // what the actor listens to; guarded by the gateway's followers
}

// Receive hands one request of the client to its actor.
func (s *Session) Receive(r protocol.Request) {
	if pid := s.pid.Load(); pid != nil {
		s.gateway.sys.root.Send(pid, &asked{request: r})
	}
}

// Closed tells the actor that the socket is gone. It may come before the actor
// was spawned: the supervisor looks again then.
func (s *Session) Closed(cause protocol.Cause) {
	s.cause.Store(&cause)
	if pid := s.pid.Load(); pid != nil {
		s.gateway.sys.root.Send(pid, &socketClosed{cause: cause})
	}
}

// gone tells whether the socket has ended, and why.
func (s *Session) gone() (protocol.Cause, bool) {
	if c := s.cause.Load(); c != nil {
		return *c, true
	}
	return "", false
}

// busy and idle keep the clock of pool.idle_timeout: it counts from the end of
// the last turn.
func (s *Session) busy()              { s.idleSince.Store(0) }
func (s *Session) idle(now time.Time) { s.idleSince.Store(now.UnixNano()) }
func (s *Session) idleFor(now time.Time) time.Duration {
	since := s.idleSince.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}
