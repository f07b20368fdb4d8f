package main

import (
	"context"
	"strings"
	"time"
)

// plan is how large the suites are.
type plan struct {
	rounds int

	streams int // of the paced relay
	pace    time.Duration
	words   int // chunks per stream

	idleFew, idleMany int // the two points of the slope

	connects int // handshakes of one round
	parallel int // how many of them at once
	firsts   int // connect to first chunk, one at a time

	fireStreams, fireWords int
}

func fullPlan() plan {
	return plan{
		rounds: 5, streams: 256, pace: 20 * time.Millisecond, words: 200,
		idleFew: 1000, idleMany: 5000, connects: 4000, parallel: 16, firsts: 300,
		fireStreams: 64, fireWords: 512,
	}
}

func quickPlan() plan {
	p := fullPlan()
	p.rounds, p.words, p.idleFew, p.idleMany, p.connects, p.firsts = 3, 120, 500, 2500, 1000, 100
	return p
}

// suite is one experiment. It starts one fresh process per call and returns
// what it read, by the key of a row.
type suite struct {
	name string
	run  func(ctx context.Context, p plan, start start) (readings, error)
}

// start makes the process to measure: troupe with these flags, or the floor of
// this kind.
type start func(ctx context.Context, f floorSpec, troupeFlags ...string) (*child, error)

// readings are the numbers of one suite on one side, by row.
type readings map[rowKey]float64

func suites() []suite {
	return []suite{
		{"chunk relay", relay},
		{"idle memory", idle},
		{"connect", connect},
		{"firehose", firehose},
	}
}

func suiteNames() string {
	var names []string
	for _, s := range suites() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// starter is the start of one side.
func starter(binary string, floor bool) start {
	if floor {
		return func(ctx context.Context, f floorSpec, _ ...string) (*child, error) { return startFloor(ctx, f) }
	}
	return func(ctx context.Context, _ floorSpec, flags ...string) (*child, error) {
		return startTroupe(ctx, binary, flags...)
	}
}

// question is what every client asks. The echo provider says it again word by
// word, so its answer is known.
const question = "Where do actors wait for their cue and who tells them"

// answerText is the whole answer of so many words: the question over and over.
func answerText(words int) string { return strings.Join(answerWords(words), " ") }

func answerWords(words int) []string {
	unit := strings.Fields(question)
	out := make([]string, words)
	for i := range out {
		out[i] = unit[i%len(unit)]
	}
	return out
}
