package upstream

import "slices"

// queue holds those who wait for room. Owners have turns: whoever was served
// goes last, however many more it waits with. A new owner goes last, too.
type queue struct {
	owners  []*owner // whose turn is next
	len     int
	waiters []*waiter // scratch of order
	turns   []*owner  // scratch of order
}

// owner is one who waits, with its callers in the order they came.
type owner struct {
	name    string
	waiting []*waiter
}

func (q *queue) push(w *waiter) {
	i := q.index(w)
	if i < 0 {
		i = len(q.owners)
		q.owners = append(q.owners, &owner{name: w.ask.Owner})
	}
	q.owners[i].waiting = append(q.owners[i].waiting, w)
	q.len++
}

// remove takes out one who leaves: nobody loses a turn by it.
func (q *queue) remove(w *waiter) {
	i := q.index(w)
	o := q.owners[i]
	at := slices.Index(o.waiting, w)
	o.waiting = slices.Delete(o.waiting, at, at+1)
	if len(o.waiting) == 0 {
		q.owners = slices.Delete(q.owners, i, i+1)
	}
	q.len--
}

// serve takes out one whose turn it was.
func (q *queue) serve(w *waiter) {
	i := q.index(w)
	o := q.owners[i]
	q.remove(w)
	if len(o.waiting) > 0 {
		q.owners = append(slices.Delete(q.owners, i, i+1), o)
	}
}

func (q *queue) index(w *waiter) int {
	return slices.IndexFunc(q.owners, func(o *owner) bool { return o.name == w.ask.Owner })
}

// order returns all in the order in which they will be served if nobody comes or
// leaves: the first of every owner, then the second of those who have one. The
// slice is good until the next call; push, remove and serve leave it alone.
func (q *queue) order() []*waiter {
	q.waiters = q.waiters[:0]
	q.turns = append(q.turns[:0], q.owners...)
	for round := 0; len(q.turns) > 0; round++ {
		more := q.turns[:0]
		for _, o := range q.turns {
			q.waiters = append(q.waiters, o.waiting[round])
			if len(o.waiting) > round+1 {
				more = append(more, o)
			}
		}
		q.turns = more
	}
	return q.waiters
}
