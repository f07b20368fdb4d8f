package limit

import "math"

// none marks the inline stamp of a window that holds no event.
const none = math.MinInt64

// window is the stamps of one key, oldest first and never decreasing. Most keys
// see one event and go; that one is kept inline. The second one moves in a ring
// that doubles when it is full, so a window costs what it holds and not what its
// rule would allow.
type window struct {
	one  int64 // the only stamp, while ring is nil
	ring *ring
}

// ring is a circular buffer of stamps.
type ring struct {
	buf     []int64
	head, n uint32
}

const (
	ringHeader = 32 // bytes of a ring without its buffer
	firstRing  = 4  // stamps in the first buffer; buffers are powers of two, which are size classes too
	stampBytes = 8
)

// bytes is what the window costs beyond its own struct.
func (w *window) bytes() int {
	if w.ring == nil {
		return 0
	}
	return ringHeader + stampBytes*len(w.ring.buf)
}

func (w *window) len() int {
	switch {
	case w.ring != nil:
		return int(w.ring.n)
	case w.one == none:
		return 0
	default:
		return 1
	}
}

// at is the stamp with i older ones before it.
func (w *window) at(i int) int64 {
	if w.ring == nil {
		return w.one
	}
	return *w.ring.cell(i)
}

func (w *window) put(i int, t int64) {
	if w.ring == nil {
		w.one = t
		return
	}
	*w.ring.cell(i) = t
}

// push adds the newest stamp; t is not before the one that is newest so far.
func (w *window) push(t int64) {
	switch {
	case w.ring == nil && w.one == none:
		w.one = t
		return
	case w.ring == nil:
		w.ring = &ring{buf: make([]int64, firstRing), n: 1}
		w.ring.buf[0], w.one = w.one, none
	case int(w.ring.n) == len(w.ring.buf):
		w.ring.grow()
	}
	w.ring.n++
	w.put(int(w.ring.n)-1, t)
}

// popOldest forgets the oldest of at least one stamp.
func (w *window) popOldest() {
	if w.ring == nil {
		w.one = none
		return
	}
	w.ring.head = (w.ring.head + 1) & uint32(len(w.ring.buf)-1)
	w.ring.n--
}

// popNewest forgets the newest of at least one stamp.
func (w *window) popNewest() {
	if w.ring == nil {
		w.one = none
		return
	}
	w.ring.n--
}

// expire forgets what has left the window of length keep that ends now. A stamp
// of the future (the clock ran backwards) becomes one of now.
func (w *window) expire(now, keep int64) {
	for i := w.len() - 1; i >= 0 && w.at(i) > now; i-- {
		w.put(i, now)
	}
	for w.len() > 0 && now-w.at(0) >= keep {
		w.popOldest()
	}
}

// remove takes back the event stamped t: the newest stamp that is not after t.
// It is t itself, unless the clock ran backwards in between and t was pulled
// down with it.
func (w *window) remove(t int64) {
	last := w.len() - 1
	for i := last; i >= 0; i-- {
		if w.at(i) > t {
			continue
		}
		for ; i < last; i++ {
			w.put(i, w.at(i+1))
		}
		w.popNewest()
		return
	}
}

// trim gives the ring back when the inline stamp is enough.
func (w *window) trim() {
	if w.ring == nil || w.ring.n > 1 {
		return
	}
	one := int64(none)
	if w.ring.n == 1 {
		one = w.at(0)
	}
	*w = window{one: one}
}

func (r *ring) cell(i int) *int64 {
	return &r.buf[(int(r.head)+i)&(len(r.buf)-1)]
}

func (r *ring) grow() {
	buf := make([]int64, 2*len(r.buf))
	k := copy(buf, r.buf[r.head:])
	copy(buf[k:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}
