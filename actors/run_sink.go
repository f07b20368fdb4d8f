package actors

import (
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/actors/upstream"
)

// sink is the provider call's way to its run. It copies, and has the run take
// each piece on the call's own goroutine, so that nobody has to wake for it.
type sink struct {
	// Set once.
	sys       *System
	run       *mailbox
	alive     *atomic.Int64
	runs      RunsConfig
	speaker   Speaker
	reasoning bool // the asker wants to see it

	// Owned by the inquiry's goroutine.
	room     int            // bytes that may still be sent: bounds the run's mailbox
	thoughts int            // bytes of reasoning that were sent
	begun    bool           // the vendor has said something: nobody else is asked any more
	call     *upstream.Call // of now; nil once its vendor has spoken
	accepted bool           // it has heard so
	trace    *callTrace     // of now; nil where it is not traced
	manners  manners
}

// calling says that a vendor is asked now, and who is to be told of its first
// signs of life; nobody where there is no room to keep.
func (s *sink) calling(m *calling, call *upstream.Call) {
	s.touch()
	s.call, s.accepted = call, false
	s.run.deliverHere(m)
}

// queued says that no vendor is asked now.
func (s *sink) queued(position int) { s.run.deliverHere(&queuedAt{position: position}) }

// began notes the first word.
func (s *sink) began() {
	s.begun = true
	if s.call != nil {
		s.call.Answered()
		s.call = nil
	}
}

// touch notes a sign of life, and when it was.
func (s *sink) touch() moment {
	now := s.sys.moment(time.Now())
	s.alive.Store(int64(now))
	return now
}

// Reasoning implements provider.Sink. It is kept within the bound of an answer;
// what goes beyond is not shown.
func (s *sink) Reasoning(text []byte) {
	now := s.touch()
	s.began()
	if s.trace != nil {
		s.trace.spoke(0)
	}
	s.thoughts += len(text)
	if s.reasoning && s.thoughts <= s.runs.MaxOutputBytes {
		s.run.deliverHere(&reasoned{text: append([]byte(nil), text...)})
		s.said(now, len(text))
	}
}

// Text implements provider.Sink.
func (s *sink) Text(text []byte) {
	now := s.touch()
	s.began()
	if s.trace != nil {
		s.trace.spoke(1)
	}
	if len(text) == 0 || s.room <= 0 {
		return
	}
	s.room -= len(text)
	s.run.deliverHere(&piece{text: append([]byte(nil), text...)})
	s.said(now, len(text))
}

func (s *sink) said(now moment, size int) {
	if s.manners.tooMuch(now, size) {
		makeWay(s.speaker)
	}
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
