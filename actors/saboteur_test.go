package actors

import (
	"fmt"
	"slices"
	"sync"
)

// saboteur panics where it was told to, each time once.
type saboteur struct {
	mu     sync.Mutex
	plans  []sabotage
	struck []string // the types of the actors that panicked, in order
	call   any      // a message that is waited for
	heard  string   // the kind that has got it
}

// listen waits for another message, and tells what kind of actor got the last.
func (s *saboteur) listen(call any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.heard
	s.call, s.heard = call, ""
	return heard
}

// sabotage is one panic to come: on this very message, or on the next one of a
// type; "" is any type. Two types of actor are of the kind roster.
type sabotage struct {
	kind    string
	actor   string // its type; "" is any of the kind
	typ     string
	message any
}

// aimed reports whether a message that this type of actor has got is meant.
func (p sabotage) aimed(who, kind string, message any) bool {
	if p.kind != kind || p.actor != "" && p.actor != who {
		return false
	}
	if p.message != nil {
		return p.message == message
	}
	return p.typ == "" || p.typ == fmt.Sprintf("%T", message)
}

func on(kind string, sample any) sabotage {
	return sabotage{kind: kind, typ: fmt.Sprintf("%T", sample)}
}

func (s *saboteur) arm(p ...sabotage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = append(s.plans, p...)
}

// strikes tells how many panics were thrown and how many are still to come.
func (s *saboteur) strikes() (fired, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.struck), len(s.plans)
}

// victims are the types of the actors that panicked, in order.
func (s *saboteur) victims() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.struck)
}

func (s *saboteur) inject(kind string, message any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call != nil && s.call == message {
		s.heard = kind
	}
	if len(s.plans) == 0 {
		return
	}
	who := actorHere()
	for i, p := range s.plans {
		if p.aimed(who, kind, message) {
			s.plans = append(s.plans[:i], s.plans[i+1:]...)
			s.struck = append(s.struck, who)
			panic("sk-canary")
		}
	}
}
