package fault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Message is one message that can be struck, and by what.
type Message struct {
	Name   string
	Faults []string
}

// Catalogue is what can be struck in a process: the messages of each actor, and
// of whatever else is addressed like one. Read-only.
type Catalogue map[string][]Message

// Pairs calls each with every actor and every fault that strikes one of its
// messages, in a fixed order.
func (c Catalogue) Pairs(each func(actor, fault string)) {
	for _, actor := range slices.Sorted(maps.Keys(c)) {
		for _, f := range Faults() {
			if len(c.struck(actor, f, "")) > 0 {
				each(actor, f)
			}
		}
	}
}

// Names lists the messages of each actor.
func (c Catalogue) Names() map[string][]string {
	out := make(map[string][]string, len(c))
	for actor, messages := range c {
		for _, m := range messages {
			out[actor] = append(out[actor], m.Name)
		}
	}
	return out
}

// Check fills in the defaults of a Spec, or says what in it cannot be and what
// can.
func (c Catalogue) Check(s *Spec) error {
	if err := s.known(); err != nil {
		return err
	}
	messages, ok := c[s.Actor]
	if !ok {
		return wrong(keyActor, s.Actor, "use "+either(slices.Sorted(maps.Keys(c))))
	}
	if len(c.struck(s.Actor, s.Fault, s.Message)) == 0 {
		return c.impossible(s, messages)
	}
	s.fill()
	return nil
}

// struck lists the messages that a fault strikes.
func (c Catalogue) struck(actor, fault, message string) (names []string) {
	for _, m := range c[actor] {
		if under(m.Name, message) && slices.Contains(m.Faults, fault) {
			names = append(names, m.Name)
		}
	}
	return names
}

// under tells whether a message is the one that is meant, or one of its sorts.
func under(name, meant string) bool {
	rest, ok := strings.CutPrefix(name, meant)
	return ok && (meant == "" || rest == "" || rest[0] == '.')
}

// impossible says why a Spec strikes nothing.
func (c Catalogue) impossible(s *Spec, messages []Message) error {
	var names, others []string
	for _, m := range messages {
		names = append(names, m.Name)
		if s.Message != "" && under(m.Name, s.Message) {
			others = m.Faults
		}
	}
	able := c.struck(s.Actor, s.Fault, "")
	switch {
	case s.Message != "" && others == nil:
		return wrong(keyMessage, s.Message, s.Actor+" takes "+either(names))
	case len(able) == 0:
		var where []string
		for _, actor := range slices.Sorted(maps.Keys(c)) {
			if to := c.struck(actor, s.Fault, ""); len(to) > 0 {
				where = append(where, actor+" ("+strings.Join(to[:min(len(to), 3)], ", ")+")")
			}
		}
		return fmt.Errorf("fault: %s means nothing for %s: it is for %s; for %s use %s",
			s.Fault, s.Actor, either(where), s.Actor, either(faultsOf(messages)))
	}
	return fmt.Errorf("message: %s cannot strike %s of %s, which takes %s; it can strike %s",
		s.Fault, s.Message, s.Actor, either(others), either(able))
}

// faultsOf lists what at least one of the messages takes.
func faultsOf(messages []Message) (list []string) {
	for _, f := range Faults() {
		if slices.ContainsFunc(messages, func(m Message) bool { return slices.Contains(m.Faults, f) }) {
			list = append(list, f)
		}
	}
	return list
}
