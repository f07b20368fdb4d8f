package bus

import (
	"slices"
	"time"
)

const (
	// crowdedBytes is what may wait to be sent before whoever says much waits too:
	// all that is said later stands behind it.
	crowdedBytes = 256 << 10
	// broughtBytes is about what comes with each who waited.
	broughtBytes = 16 << 10
)

// AwaitRoom returns at once while less than 256 KiB wait to be sent, else when
// there is room again, at the latest after most. Publish never waits for room:
// this is for callers that say much and may be held up, a call at a vendor and
// nothing else. They go on in the order in which they came, a few at a time.
func (o *Outgoing) AwaitRoom(most time.Duration) {
	turn := o.standInLine()
	if turn == nil {
		return
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-turn:
	case <-t.C:
		o.leaveLine(turn)
	}
}

func (o *Outgoing) standInLine() chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.batches.bytes < crowdedBytes {
		return nil
	}
	turn := make(chan struct{})
	o.line = append(o.line, turn)
	return turn
}

func (o *Outgoing) leaveLine(turn chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.line, turn); i >= 0 {
		o.line = slices.Delete(o.line, i, i+1)
	}
}

// admit lets as many go on as there is room for. Its caller holds o.mu.
func (o *Outgoing) admit() {
	n := 0
	for room := crowdedBytes - o.batches.bytes; room > 0 && n < len(o.line); room -= broughtBytes {
		close(o.line[n])
		n++
	}
	o.line = slices.Delete(o.line, 0, n)
}
