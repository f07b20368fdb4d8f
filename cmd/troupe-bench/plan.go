package main

import "time"

// plan is how large the suites are.
type plan struct {
	rounds int

	streams int           // sockets that are answered at once
	pace    time.Duration // between two words of a paced answer
	words   int           // of a paced answer

	fireWords, encores int // of an answer without a pace; how often it is measured

	firsts   int // questions that are timed to their first text
	delayFew int // paced streams of the smaller delay measurement

	connects int // handshakes of one round
	churn    int // connections that come and go

	idleFew, idleMany int    // the ends of the slope
	growth            [3]int // idle connections beside the streams
}

func fullPlan() plan {
	return plan{
		rounds: 5, streams: 256, pace: 20 * time.Millisecond, words: 140,
		fireWords: 512, encores: 3,
		firsts: 1000, delayFew: 64,
		connects: 6000, churn: 100_000,
		idleFew: 2000, idleMany: 15_000, growth: [3]int{0, 5000, 14_500},
	}
}

// quickPlan tells in a minute or two whether something is badly wrong.
func quickPlan() plan {
	p := fullPlan()
	p.rounds, p.words, p.encores, p.firsts, p.connects, p.churn = 3, 75, 1, 200, 1000, 5000
	p.idleFew, p.idleMany, p.growth = 500, 2500, [3]int{0, 500, 2500}
	return p
}

// paced is the answer that streams slowly.
func (p plan) paced() speech { return speech{Pace: p.pace, Words: p.words} }

// greeting is the one answer of a connection that then idles.
func (p plan) greeting() speech { return speech{Words: 8} }

// idlePoints are the numbers of connections at which memory is read.
func (p plan) idlePoints() [3]int { return [3]int{p.idleFew, (p.idleFew + p.idleMany) / 2, p.idleMany} }
