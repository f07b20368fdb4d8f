package upstream

import "time"

const (
	span     = 10 * time.Second
	slot     = 500 * time.Millisecond
	slotsOld = int64(span / slot) // beside the one that is being filled
)

// window counts events of the last ten seconds. One that is a slot too old still
// counts: a limit per window is then never exceeded in any ten seconds.
type window struct {
	counts [slotsOld + 1]int
	newest int64 // number of the slot that is being filled
	total  int
}

func (w *window) add(now time.Duration) {
	w.advance(now)
	w.counts[w.newest%int64(len(w.counts))]++
	w.total++
}

// remove takes back one event that was added at a time.
func (w *window) remove(now, at time.Duration) {
	w.advance(now)
	n := int64(at / slot)
	if i := n % int64(len(w.counts)); w.newest-n <= slotsOld && w.counts[i] > 0 {
		w.counts[i]--
		w.total--
	}
}

func (w *window) count(now time.Duration) int {
	w.advance(now)
	return w.total
}

// reset forgets all events.
func (w *window) reset() { *w = window{newest: w.newest} }

// advance empties the slots that time has passed. A time before the newest slot
// is taken for that slot's.
func (w *window) advance(now time.Duration) {
	n := int64(now / slot)
	if n-w.newest > slotsOld {
		*w = window{newest: n}
		return
	}
	for w.newest < n {
		w.newest++
		i := w.newest % int64(len(w.counts))
		w.total -= w.counts[i]
		w.counts[i] = 0
	}
}
