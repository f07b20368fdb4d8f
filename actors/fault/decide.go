package fault

import "time"

// Verdict is what happens to one message. The zero Verdict lets it pass.
type Verdict struct {
	Fault string
	Delay time.Duration   // of delay and reorder
	Over  <-chan struct{} // closed when the fault ends
}

// Wait holds up whoever calls it as a hang or a delay does: until the fault is
// over, a delay at most for Delay. An end of stop lets go, too; nil never ends.
func (v Verdict) Wait(stop <-chan struct{}) {
	var due <-chan time.Time
	switch v.Fault {
	case Hang:
	case Delay:
		t := time.NewTimer(v.Delay)
		defer t.Stop()
		due = t.C
	default:
		return
	}
	select {
	case <-due:
	case <-v.Over:
	case <-stop:
	}
}

// Asked is one message that is about to be handled.
type Asked struct {
	Actor   string // the kind
	Message string
	ID      string // of the very actor, for the list of hits
	Holding bool   // it holds a message back already: no reorder strikes
}

// Active tells whether any fault is set: one atomic load.
func (s *Set) Active() bool { return s.count.Load() > 0 }

// Decide says what happens to a message: the first fault in the order of setting
// that strikes it. The draws of a fault depend on its seed and on how many
// matching messages came before, and on nothing else.
func (s *Set) Decide(a Asked) Verdict {
	if !s.Active() {
		return Verdict{}
	}
	v := s.strike(a)
	if v.Fault != "" && s.options.Hit != nil {
		s.options.Hit(a.Actor, v.Fault)
	}
	return v
}

func (s *Set) strike(a Asked) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.active {
		if f.spec.Actor != a.Actor || !f.strikes[a.Message] || a.Holding && f.spec.Fault == Reorder {
			continue
		}
		if f.met++; !f.due() {
			continue
		}
		f.hit++
		s.hits.put(hit{fault: f, at: time.Now(), actor: a.ID, message: a.Message})
		return Verdict{Fault: f.spec.Fault, Delay: f.spec.Delay, Over: f.over}
	}
	return Verdict{}
}

// due tells whether the message that was met last is struck.
func (f *active) due() bool {
	n := f.met - f.spec.After
	switch {
	case n <= 0, (n-1)%f.spec.Every != 0, f.spec.Times > 0 && f.hit >= f.spec.Times:
		return false
	}
	return f.spec.Probability >= 1 || f.dice.Float64() < f.spec.Probability
}
