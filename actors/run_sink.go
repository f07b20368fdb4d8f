package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-chat/troupe/actors/upstream"
)

// sink is the provider call's way to its run. It copies, sends and never blocks.
type sink struct {
	// Set once.
	sys       *System
	pid       *actor.PID
	alive     *atomic.Int64
	runs      RunsConfig
	reasoning bool // the asker wants to see it

	// Owned by the inquiry's goroutine.
	room     int            // bytes that may still be sent: bounds the run's mailbox
	thoughts int            // bytes of reasoning that were sent
	begun    bool           // the vendor has said something: nobody else is asked any more
	call     *upstream.Call // of now; nil once its vendor has spoken
	accepted bool           // it has heard so
}

// calling says that a vendor is asked now, and who is to be told of its first
// signs of life; nobody where there is no room to keep.
func (s *sink) calling(m *calling, call *upstream.Call) {
	s.touch()
	s.call, s.accepted = call, false
	s.sys.root.Send(s.pid, m)
}

// queued says that no vendor is asked now.
func (s *sink) queued(position int) { s.sys.root.Send(s.pid, &queuedAt{position: position}) }

// began notes the first word.
func (s *sink) began() {
	s.begun = true
	if s.call != nil {
		s.call.Answered()
		s.call = nil
	}
}

// touch notes a sign of life.
func (s *sink) touch() { s.alive.Store(int64(s.sys.moment(time.Now()))) }

// Reasoning implements provider.Sink. It is kept within the bound of an answer;
// what goes beyond is not shown.
func (s *sink) Reasoning(text []byte) {
	s.touch()
	s.began()
	s.thoughts += len(text)
	if s.reasoning && s.thoughts <= s.runs.MaxOutputBytes {
		s.sys.root.Send(s.pid, &reasoned{text: append([]byte(nil), text...)})
	}
}

// Text implements provider.Sink.
func (s *sink) Text(text []byte) {
	s.touch()
	s.began()
	if len(text) == 0 || s.room <= 0 {
		return
	}
	s.room -= len(text)
	s.sys.root.Send(s.pid, &piece{text: append([]byte(nil), text...)})
}

// Progress implements provider.Sink. The first one says that the vendor took the
// key.
func (s *sink) Progress() {
	s.touch()
	if s.call != nil && !s.accepted {
		s.accepted = true
		s.call.Accepted()
	}
}
