package main

import (
	"context"
	"strings"
)

// suite is one experiment: sides that are measured by turns, under the same
// conditions.
type suite struct {
	name  string
	sides []side
	times func(p plan) int // in how many rounds it takes part; nil = all
}

// side starts what it needs in the lab, measures once, and returns what it read.
type side struct {
	name string
	run  func(ctx context.Context, l *lab) (readings, error)
}

// readings are the numbers of one side in one round, by what they are.
type readings map[key]float64

func suites() []suite {
	return []suite{
		chunkServe(), chunkSplit(), firehoseSplit(), firehoseServe(), firstText(), delay(),
		connect(), idleMemory(), churn(), growth(),
	}
}

func suiteNames() string {
	var names []string
	for _, s := range suites() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func (s suite) rounds(p plan) int {
	if s.times == nil {
		return p.rounds
	}
	return min(p.rounds, s.times(p))
}

// fewer is for suites that take long and vary little.
func fewer(p plan) int { return max(1, p.rounds*3/5) }

// once is for suites that judge a state, not a time.
func once(plan) int { return 1 }
