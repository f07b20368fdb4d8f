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
	idleSince atomic.Int64  // a moment; 0 while a turn is live
	follows   []uint64      // what the actor listens to; guarded by the gateway's followers
	cause     atomic.Uint32 // a protocol.Cause, once the socket is gone
	marks     atomic.Uint32 // markClosed, markAdmitted
}

// Marks of a Session.
const (
	markClosed   uint32 = 1 << iota // the actor said Close to the socket
	markAdmitted                    // the client was let in
)

func (s *Session) mark(m uint32)        { s.marks.Or(m) }
func (s *Session) marked(m uint32) bool { return s.marks.Load()&m != 0 }

// Receive hands one request of the client to its actor.
func (s *Session) Receive(r protocol.Request) {
	if pid := s.pid.Load(); pid != nil {
		s.gateway.sys.root.Send(pid, &asked{request: r})
	}
}

// Closed tells the actor that the socket is gone. It may come before the actor
// was spawned: the supervisor looks again then.
func (s *Session) Closed(cause protocol.Cause) {
	s.cause.Store(uint32(cause))
	if pid := s.pid.Load(); pid != nil {
		s.gateway.sys.root.Send(pid, &socketClosed{cause: cause})
	}
}

// Who names the client in logs.
func (s *Session) Who() (connection, address string) { return s.client.Connection, s.client.Address }

// Place implements limit.Owner. A session that the server made up is none: nobody
// can come back to it.
func (s *Session) Place() (address, session string) {
	if s.client.NewSession {
		return s.client.Address, ""
	}
	return s.client.Address, s.client.Session
}

// gone tells whether the socket has ended, and why.
func (s *Session) gone() (protocol.Cause, bool) {
	c := protocol.Cause(s.cause.Load())
	return c, c != 0
}

// line begins a line of the log with connection, session and address. They are
// written into it then and there: a logger of the session's own would be half a
// kilobyte, for an idle connection to hold or for each line to make anew.
func (s *Session) line(level zerolog.Level) *zerolog.Event {
	return s.gateway.log.WithLevel(level).Str("connection", s.client.Connection).
		Str("session", logLabel(s.client.Session)).Str("address", s.client.Address)
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
