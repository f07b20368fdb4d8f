package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec is one injection, as the operator address takes it.
type Spec struct {
	Actor       string  `json:"actor"`
	Fault       string  `json:"fault"`
	Message     string  `json:"message,omitempty"`
	For         string  `json:"for,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	After       int     `json:"after,omitempty"`
	Every       int     `json:"every,omitempty"`
	Times       int     `json:"times,omitempty"`
	Delay       string  `json:"delay,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
}

// specFor is how long an injection lasts that does not say.
const specFor = 10 * time.Second

func specActors() []string {
	return []string{"connection", "limiter", "pool", "roster", "connections", "provider", "run", "bus", "vendor"}
}

func specFaults() []string {
	return []string{"panic", "hang", "delay", "error", "drop", "repeat", "reorder"}
}

// ParseSpec reads "connection panic message=chunksArrived probability=0.01 for=1m".
func ParseSpec(text string) (Spec, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Spec{}, fmt.Errorf("%q is no injection; write an actor and a fault, like \"limiter hang for=3s\"", text)
	}
	s := Spec{Actor: words[0], Fault: words[1]}
	if !slices.Contains(specActors(), s.Actor) {
		return Spec{}, fmt.Errorf("%q: there is no actor %q; there are %s", text, s.Actor, strings.Join(specActors(), ", "))
	}
	if !slices.Contains(specFaults(), s.Fault) {
		return Spec{}, fmt.Errorf("%q: there is no fault %q; there are %s", text, s.Fault, strings.Join(specFaults(), ", "))
	}
	for _, w := range words[2:] {
		key, value, _ := strings.Cut(w, "=")
		if err := s.set(key, value); err != nil {
			return Spec{}, fmt.Errorf("%q: %w", text, err)
		}
	}
	return s, nil
}

func (s *Spec) set(key, value string) (err error) {
	switch key {
	case "message":
		s.Message = value
	case "for", "delay":
		if _, err = time.ParseDuration(value); err == nil && key == "for" {
			s.For = value
		} else if err == nil {
			s.Delay = value
		}
	case "probability":
		if s.Probability, err = strconv.ParseFloat(value, 64); err == nil && (s.Probability <= 0 || s.Probability > 1) {
			return fmt.Errorf("probability=%s is not above 0 and at most 1", value)
		}
	case "after":
		s.After, err = strconv.Atoi(value)
	case "every":
		s.Every, err = strconv.Atoi(value)
	case "times":
		s.Times, err = strconv.Atoi(value)
	case "seed":
		s.Seed, err = strconv.ParseUint(value, 10, 64)
	default:
		return fmt.Errorf("there is no key %q; there are message, for, probability, after, every, times, delay, seed", key)
	}
	if err != nil {
		return fmt.Errorf("%s=%s cannot be read: durations are like 10s, the others numbers", key, value)
	}
	return nil
}

// lasts is how long the injection is there.
func (s Spec) lasts() time.Duration {
	if d, err := time.ParseDuration(s.For); err == nil {
		return d
	}
	return specFor
}

// atWorkers and atGateways say which roles have what the injection is about.
func (s Spec) atWorkers() bool {
	return slices.Contains([]string{"provider", "run", "bus", "vendor"}, s.Actor)
}

func (s Spec) atGateways() bool {
	return s.Actor == "bus" || !s.atWorkers()
}
