package faulty

import "sync"

// Counts are the figures of a server.
type Counts struct {
	Requests int // so far
	Open     int // going on
	Peak     int // the largest Open so far
	Left     int // whose client went away before the answer's end
}

// counter keeps Counts and tells of every change.
type counter struct {
	mu      sync.Mutex
	counts  Counts
	changed chan struct{} // closed and replaced whenever a figure changes
}

// read is a snapshot and what is closed when it is out of date.
func (c *counter) read() (Counts, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts, c.changed
}

func (c *counter) opened() {
	c.update(func(n *Counts) {
		n.Requests++
		n.Open++
		n.Peak = max(n.Peak, n.Open)
	})
}

func (c *counter) ended(left bool) {
	c.update(func(n *Counts) {
		n.Open--
		if left {
			n.Left++
		}
	})
}

func (c *counter) update(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.counts)
	close(c.changed)
	c.changed = make(chan struct{})
}
