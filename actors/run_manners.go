package actors

import (
	"runtime"
	"time"
)

// manners keep calls that say much without a pause from being in everybody's way:
// they make way whenever they have said as much as others say in seconds. A call
// of a model's usual pace never gets there.
//
// Without them, runs that always have something to say share the processors among
// themselves: 200 of them leave the bus, the beats and everybody else one turn in
// a second, and what they say stands in front of all that others say.
type manners struct {
	since moment // the beginning of the present easyWindow
	spent int    // what was said in it
}

const (
	easyWindow = 10 * time.Millisecond
	// easyCost is what may be said within easyWindow: some 230 words, about half a
	// millisecond of work, or 16 KiB. Less costs answers without a pace what they
	// gain from going out together.
	easyCost = 16 << 10
	// pieceCost is what a piece costs besides its text.
	pieceCost = 64
	// roomPatience is how long a call waits for room on the bus at most: its cancel
	// waits as long.
	roomPatience = 200 * time.Millisecond
)

// tooMuch tells whether it is time to make way, size bytes of text having been
// said now.
func (m *manners) tooMuch(now moment, size int) bool {
	if time.Duration(now-m.since) > easyWindow {
		m.since, m.spent = now, 0
	}
	m.spent += pieceCost + size
	if m.spent < easyCost {
		return false
	}
	m.spent = 0
	return true
}

// makeWay lets others have the processor, and waits while the bus is crowded. It
// holds up a vendor's call and no run.
func makeWay(s Speaker) {
	runtime.Gosched()
	s.AwaitRoom(roomPatience)
}
