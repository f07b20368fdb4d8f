package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a fault does to a message.
const (
	Panic   = "panic"   // whoever handles it panics
	Hang    = "hang"    // it is handled when the fault is over
	Delay   = "delay"   // it is handled later
	Error   = "error"   // it is not handled; whoever asked hears of a failure
	Drop    = "drop"    // it is not handled, and nobody hears of it
	Repeat  = "repeat"  // it is handled twice
	Reorder = "reorder" // it is handled after the next one
)

// Faults lists every fault.
func Faults() []string { return []string{Panic, Hang, Delay, Error, Drop, Repeat, Reorder} }

// Spec is one fault as it was asked for. A zero For, Probability, Every, Delay
// or Seed is its default, which Catalogue.Check fills in.
type Spec struct {
	Actor       string
	Fault       string
	Message     string // empty = every message that the fault can strike
	For         time.Duration
	Probability float64
	After       int
	Every       int
	Times       int // 0 = no bound
	Delay       time.Duration
	Seed        uint64
}

// Bounds and defaults of a Spec.
const (
	defaultFor     = 10 * time.Second
	defaultDelay   = 100 * time.Millisecond
	defaultReorder = 50 * time.Millisecond
	maxFor         = time.Hour
	maxDelay       = time.Minute
	maxCount       = 1_000_000_000
)

// fill sets the defaults of all but the seed.
func (s *Spec) fill() {
	if s.For == 0 {
		s.For = defaultFor
	}
	if s.Probability == 0 {
		s.Probability = 1
	}
	if s.Every == 0 {
		s.Every = 1
	}
	switch {
	case s.Delay != 0:
	case s.Fault == Delay:
		s.Delay = defaultDelay
	case s.Fault == Reorder:
		s.Delay = defaultReorder
	}
}

// String is the line that Parse reads. What is default is left out where it is
// zero, so a filled Spec shows all that matters.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Actor + " " + s.Fault)
	put := func(key, value string, there bool) {
		if there {
			b.WriteString(" " + key + "=" + value)
		}
	}
	put(keyMessage, s.Message, s.Message != "")
	put(keyFor, short(s.For), s.For != 0)
	put(keyProbability, strconv.FormatFloat(s.Probability, 'g', -1, 64), s.Probability != 0)
	put(keyAfter, strconv.Itoa(s.After), s.After != 0)
	put(keyEvery, strconv.Itoa(s.Every), s.Every > 1)
	put(keyTimes, strconv.Itoa(s.Times), s.Times != 0)
	put(keyDelay, short(s.Delay), s.Delay != 0)
	put(keySeed, strconv.FormatUint(s.Seed, 10), s.Seed != 0)
	return b.String()
}

// The fields of a Spec besides actor and fault, as they are spelled.
const (
	keyActor       = "actor"
	keyFault       = "fault"
	keyMessage     = "message"
	keyFor         = "for"
	keyProbability = "probability"
	keyAfter       = "after"
	keyEvery       = "every"
	keyTimes       = "times"
	keyDelay       = "delay"
	keySeed        = "seed"
)

func keys() []string {
	return []string{keyActor, keyFault, keyMessage, keyFor, keyProbability, keyAfter, keyEvery, keyTimes, keyDelay, keySeed}
}

// wrong is an error that names the field, its value and what is allowed.
func wrong(key, value, allowed string) error {
	return fmt.Errorf("%s: %s is not allowed: %s", key, quoted(value), allowed)
}

// maxQuoted bounds what an error repeats of its input.
const maxQuoted = 64

func quoted(value string) string {
	if len(value) > maxQuoted {
		value = value[:maxQuoted] + "…"
	}
	return strconv.Quote(value)
}

// either lists words for a person.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
