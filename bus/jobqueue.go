package bus

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// JobQueue is a worker's place in the queue group of one provider. Its methods
// are safe for concurrent use; Pause and Resume do not block and may be called
// from the handler.
type JobQueue struct {
	// Set once.
	bus     *Bus
	subject string
	handler func(j *Job, reply string)
	lane    *lane // nil without a saboteur

	// turn keeps the handler to one call at a time where a subscription that
	// drains and its successor overlap.
	turn sync.Mutex

	mu      sync.Mutex
	current *Subscription   // guarded by mu; nil while paused
	leaving []*Subscription // guarded by mu: draining, not yet done
	closed  bool            // guarded by mu
}

// Work joins the queue group of a provider and hands each job to h, one at a
// time, with the subject to Reply to. h must not block.
func (b *Bus) Work(provider string, h func(j *Job, reply string)) (*JobQueue, error) {
	subject, err := b.subjects.Chat(provider)
	if err != nil {
		return nil, err
	}
	q := &JobQueue{bus: b, subject: subject, lane: b.newLane(nil), handler: func(j *Job, reply string) {
		if j.Provider != provider {
			b.skipMalformed(subject, 1)
			return
		}
		h(j, reply)
	}}
	return q, q.Resume()
}

// Pause leaves the queue group: no further job is sent here, those already
// delivered are still handled. Pausing a paused queue is nothing.
func (q *JobQueue) Pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pause()
}

func (q *JobQueue) pause() {
	if q.current == nil {
		return
	}
	q.leaving = append(stillLeaving(q.leaving), q.current)
	q.current.drain()
	q.current = nil
}

// Resume joins the queue group again. Resuming a queue that is not paused is
// nothing; ErrClosed after Close.
func (q *JobQueue) Resume() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.current != nil {
		return nil
	}
	sub, err := q.bus.subscribe(q.subject, q.bus.subjects.Group(), q.message)
	if err != nil {
		return err
	}
	q.current = sub
	return nil
}

// Close leaves the queue group for good and waits until what was delivered is
// handled, or for ctx. It must not be called from the handler.
func (q *JobQueue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.pause()
	leaving := q.leaving
	q.mu.Unlock()
	for _, s := range leaving {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (q *JobQueue) message(m *nats.Msg) {
	j, err := DecodeJob(m.Data)
	if err != nil || !q.bus.repliesTo(m.Reply, j.Gateway, j.To) {
		q.bus.skipMalformed(q.subject, 1)
		return
	}
	j.Trace = traceOf(m)
	if q.lane.watched() {
		q.lane.arrive(sortJob, "", func() { q.handle(j, m.Reply) })
		return
	}
	q.handle(j, m.Reply)
}

func (q *JobQueue) handle(j *Job, reply string) {
	q.turn.Lock()
	defer q.turn.Unlock()
	q.handler(j, reply)
}

func stillLeaving(list []*Subscription) []*Subscription {
	kept := list[:0:0]
	for _, s := range list {
		select {
		case <-s.done:
		default:
			kept = append(kept, s)
		}
	}
	return kept
}
