package limit

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxEvents bounds Rule.Max. A key keeps a stamp per event; at this bound one
// key costs about 2 MiB, and a limit that high protects nothing.
const maxEvents = 100_000

// Rule admits Max events in any Window.
type Rule struct {
	Max    int           `koanf:"max" doc:"events admitted in any window; 0 = off"`
	Window time.Duration `koanf:"window" doc:"length of the sliding window"`
}

// Off tells whether the rule admits everything.
func (r Rule) Off() bool { return r.Max <= 0 }

// Describe says the rule in words: "50 connections per 5 minutes", "off". The
// noun may be singular or plural.
func (r Rule) Describe(noun string) string {
	if r.Off() {
		return "off"
	}
	noun = strings.TrimSuffix(noun, "s")
	if r.Max != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s per %s", r.Max, noun, span(r.Window))
}

// span says a duration in the largest unit that divides it.
func span(d time.Duration) string {
	units := [...]struct {
		name string
		size time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}}
	for _, u := range units {
		switch {
		case d == u.size:
			return u.name
		case d > 0 && d%u.size == 0:
			return fmt.Sprintf("%d %ss", d/u.size, u.name)
		}
	}
	return d.String()
}

// half is what the fallback may admit: half the events, rounded down, but never
// turned off or shut by the rounding.
func (r Rule) half() Rule {
	if r.Max > 1 {
		r.Max /= 2
	}
	return r
}

// bound is how many stamps a key keeps: what Windows admits, and what the
// fallback may have charged on top.
func (r Rule) bound() int { return r.Max + r.half().Max }

func (r Rule) validate(name string) error {
	var problems []error
	switch {
	case r.Max < 0:
		problems = append(problems, fmt.Errorf("limits.%s.max: %d is negative; use 0 to switch the limit off, or 1 to %d", name, r.Max, maxEvents))
	case r.Max > maxEvents:
		problems = append(problems, fmt.Errorf("limits.%s.max: %d is more than %d; use 0 to switch the limit off", name, r.Max, maxEvents))
	}
	if r.Window < 0 || r.Window == 0 && !r.Off() {
		problems = append(problems, fmt.Errorf("limits.%s.window: %v is not a length of time; use for example 1m", name, r.Window))
	}
	return errors.Join(problems...)
}

// Config holds the rules of one gateway.
type Config struct {
	Connections Rule `koanf:"connections" doc:"WebSocket connections per client address"`
	Messages    Rule `koanf:"messages" doc:"questions per client address and session"`
	Sessions    Rule `koanf:"sessions" doc:"new sessions per client address"`

	Adapt     bool            `koanf:"adapt" doc:"under pressure tighten these limits by a tenth each 10 s, down to half, and loosen them the same way"`
	Offenders OffendersConfig `koanf:"offenders"`
}

// Default returns the rules of a deployment that says nothing.
func Default() Config {
	return Config{
		Connections: Rule{Max: 50, Window: 5 * time.Minute},
		Messages:    Rule{Max: 30, Window: time.Minute},
		Sessions:    Rule{Max: 5, Window: time.Hour},
		Adapt:       true,
		Offenders:   OffendersConfig{Max: 10, Allow: []string{"127.0.0.0/8", "::1"}},
	}
}

// Validate reports every problem at once, each under its configuration key.
func (c Config) Validate() error {
	return errors.Join(
		c.Connections.validate("connections"),
		c.Messages.validate("messages"),
		c.Sessions.validate("sessions"),
		errors.Join(c.Offenders.validate()...),
	)
}

func (c Config) half() Config {
	return Config{
		Connections: c.Connections.half(),
		Messages:    c.Messages.half(),
		Sessions:    c.Sessions.half(),
	}
}
