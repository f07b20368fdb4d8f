package engine

import "sync"

// place is room for one question on a client's socket of that epoch.
type place struct {
	c     *client
	epoch int
}

// desk brings what comes by itself to whoever has room, longest free first. What
// finds no room waits, and its latency has begun: a slow server cannot slow down
// what is measured.
type desk[T any] struct {
	// serve takes what was due then; waited tells that there was no room. It runs
	// in a goroutine that the desk starts.
	serve func(room T, due int64, waited bool)
	start func(func())

	mu      sync.Mutex
	rooms   queue[T]
	waiting queue[int64]
}

// arrive brings one that is due.
func (d *desk[T]) arrive(due int64) {
	if room, ok := d.take(due); ok {
		d.start(func() { d.serve(room, due, false) })
	}
}

// take is a room for one that is due; where there is none, it waits for one.
func (d *desk[T]) take(due int64) (room T, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if room, ok = d.rooms.pop(); !ok {
		d.waiting.push(due)
	}
	return room, ok
}

// free brings room for one.
func (d *desk[T]) free(room T) {
	d.mu.Lock()
	due, ok := d.waiting.pop()
	if !ok {
		d.rooms.push(room)
	}
	d.mu.Unlock()
	if ok {
		d.start(func() { d.serve(room, due, true) })
	}
}

// stranded is how many wait for room.
func (d *desk[T]) stranded() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting.size()
}

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(v T) {
	if q.head > len(q.items)/2 && q.head > 64 { // give the front back
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *queue[T]) pop() (v T, ok bool) {
	if q.head == len(q.items) {
		return v, false
	}
	v, ok = q.items[q.head], true
	var zero T
	q.items[q.head] = zero
	q.head++
	return v, ok
}

func (q *queue[T]) size() int { return len(q.items) - q.head }
