package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
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
	idleSince atomic.Int64 // a moment; 0 while a turn is live

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

// logger carries connection, session and address. It is made when it is needed:
// an idle connection should not hold half a kilobyte for it.
func (s *Session) logger() *zerolog.Logger {
	l := s.gateway.log.With().Str("connection", s.client.Connection).Str("session", logLabel(s.client.Session)).
		Str("address", s.client.Address).Logger()
	return &l
}

// logLabel keeps a label that was not validated yet from filling a line.
func logLabel(s string) string { return s[:min(len(s), protocol.MaxLabel)] }

// busy and idle keep the clock of pool.idle_timeout: it counts from the end of
// the last turn.
func (s *Session) busy()              { s.idleSince.Store(0) }
func (s *Session) idle(now time.Time) { s.idleSince.Store(int64(s.gateway.sys.moment(now))) }
func (s *Session) idleFor(now time.Time) time.Duration {
	since := moment(s.idleSince.Load())
	if since == 0 {
		return 0
	}
	return now.Sub(s.gateway.sys.at(since))
}
