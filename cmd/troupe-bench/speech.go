package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// speech says how an answer goes. The echo provider, the vendor and the plain
// relay's worker all read it from the name of a model.
type speech struct {
	Pace  time.Duration // between two words; 0 = none
	Words int
	Clock bool // each word is the Unix time in microseconds at which it was said
}

// model is the name that asks for it.
func (s speech) model() string {
	name := fmt.Sprintf("echo-%s-%dw", s.Pace, s.Words)
	if s.Clock {
		name += "-clock"
	}
	return name
}

// lasts is how long a paced answer takes.
func (s speech) lasts() time.Duration { return time.Duration(s.Words) * s.Pace }

// startPaces is over how many paces the answers of a crowd start. A start costs
// more than a word: within one pace they would be all that is measured. The number
// is odd, so that the words of 2^k answers fall evenly into every pace.
const startPaces = 25

// start is when the i-th of n answers is asked for.
func (s speech) start(i, n int) time.Duration {
	return startPaces * s.Pace * time.Duration(i) / time.Duration(n)
}

// steady is the time, from the first start on, in which all answers of a crowd
// stream and none starts or ends. Short answers are never all there: then it is
// all of the time.
func (s speech) steady() (from, to time.Duration) {
	const margin = 5
	if s.Words <= startPaces+2*margin {
		return 0, s.start(1, 1) + s.lasts()
	}
	return (startPaces + margin) * s.Pace, s.lasts() - margin*s.Pace
}

// text is the whole answer; there is none to know beforehand with Clock.
func (s speech) text() string { return strings.Join(repeated(question, s.Words), " ") }

// parseSpeech reads what model writes.
func parseSpeech(model string) (speech, error) {
	var s speech
	parts := strings.Split(model, "-")
	if parts[0] != "echo" {
		return s, fmt.Errorf("model %.80q: want echo-<pace>-<n>w, perhaps with -clock", model)
	}
	for _, part := range parts[1:] {
		n, words := strings.CutSuffix(part, "w")
		var err error
		switch {
		case part == "clock":
			s.Clock = true
		case words:
			s.Words, err = strconv.Atoi(n)
		default:
			s.Pace, err = time.ParseDuration(part)
		}
		if err != nil {
			return s, fmt.Errorf("model %.80q: %w", model, err)
		}
	}
	if s.Words < 1 || s.Words > 1_000_000 || s.Pace < 0 {
		return s, fmt.Errorf("model %.80q: want 1 to 1000000 words and no negative pace", model)
	}
	return s, nil
}

// question is what every client asks. It holds nothing that JSON would escape.
const question = "Where do actors wait for their cue and who tells them"

// repeated are so many words of text, said over and over.
func repeated(text string, words int) []string {
	unit := strings.Fields(text)
	if len(unit) == 0 {
		return nil
	}
	out := make([]string, words)
	for i := range out {
		out[i] = unit[i%len(unit)]
	}
	return out
}

// spaced puts a space behind every word but the last: the pieces of an answer.
func spaced(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w + " "
	}
	if n := len(out); n > 0 {
		out[n-1] = words[n-1]
	}
	return out
}
