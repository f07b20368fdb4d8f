package main

import "fmt"

// rowKey names one line of the table.
type rowKey int

const (
	relayCPU rowKey = iota
	relayWhole
	relayWrites
	idleLive
	idlePrivate
	connectRate
	connectCPU
	firstChunk
	fireRate
	fireCPU
)

// row says how one reading is shown and judged.
type row struct {
	key   rowKey
	name  string
	show  func(v float64) string
	rate  bool    // more is better: the ratio is turned over
	ratio float64 // goal: at most so many times the floor; 0 = none
	most  float64 // goal: at most so much; 0 = none
}

func rows(p plan) []row {
	paced := fmt.Sprintf("%d streams, a chunk every %s", p.streams, p.pace)
	return []row{
		{key: relayCPU, name: "CPU per relayed chunk: " + paced, show: us, ratio: 3},
		{key: relayWhole, name: "the same with start and end of each run", show: us},
		{key: relayWrites, name: "write(2) per frame, paced", show: plain, most: 1},
		{key: idleLive, name: fmt.Sprintf("live heap and stack per idle connection (slope %d → %d)", p.idleFew, p.idleMany), show: kib, most: 8 << 10},
		{key: idlePrivate, name: "private memory per idle connection, garbage included", show: kib},
		{key: connectRate, name: fmt.Sprintf("handshakes, %d at once", p.parallel), show: perSecond, rate: true},
		{key: connectCPU, name: "CPU per handshake and end", show: us},
		{key: firstChunk, name: "connect to first chunk, p50, one at a time", show: us},
		{key: fireRate, name: fmt.Sprintf("firehose: texts to %d streams without a pace", p.fireStreams), show: perSecond, rate: true},
		{key: fireCPU, name: "CPU per text of the firehose", show: us},
	}
}

func us(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f µs", v)
	}
	return fmt.Sprintf("%.0f µs", v)
}

func kib(v float64) string { return fmt.Sprintf("%.2f KiB", v/1024) }

func plain(v float64) string { return fmt.Sprintf("%.3f", v) }

func perSecond(v float64) string { return fmt.Sprintf("%.0f /s", v) }
