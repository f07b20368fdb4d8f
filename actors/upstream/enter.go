package upstream

import (
	"context"
	"time"
)

// Ask is what a caller asks for.
type Ask struct {
	Owner string   // who takes turns with the other owners
	Model string   // rests after rate limits are per model
	User  bool     // it brings a key of its own: no deployment key is used
	Tried []string // keys that failed for this question; without a deployment key they do not matter
}

// Enter lets the caller in, or waits with it for room. While it waits, told is
// called with how many are served before it, plus one: at first and after every
// change, but only with the latest when several came at once. Told is called by
// the caller's own goroutine and must not block, because room may be kept for
// the caller meanwhile; it may be nil.
//
// Whoever got a call owes it a Done. The errors are ErrFull, ErrPatience,
// ErrNoKey, ErrTriedAll, *Resting, or the context's cause, wrapped.
func (l *Line) Enter(ctx context.Context, a Ask, told func(position int)) (*Call, error) {
	if ctx.Err() != nil {
		return nil, left(ctx)
	}
	call, w, err := l.enter(a, told != nil)
	if w == nil {
		return call, err
	}
	return l.wait(ctx, w, told)
}

// enter returns a call, an error, or else the caller's place in the queue.
func (l *Line) enter(a Ask, curious bool) (*Call, *waiter, error) {
	l.mu.Lock()
	defer l.unlock()
	now := l.now()
	l.settle(now) // a rest may be over just now: those who waited go first
	v := l.judge(&a, now)
	if v.err != nil {
		return nil, nil, v.err
	}
	if !v.wait {
		return l.admit(&a, v.key, now), nil, nil
	}
	if l.queue.len >= l.settings.Queue {
		return nil, nil, ErrFull
	}
	w := newWaiter(a, now, curious)
	l.queue.push(w)
	l.settle(now)
	return nil, w, nil
}

// wait ends when the line has ended it, or the context.
func (l *Line) wait(ctx context.Context, w *waiter, told func(int)) (*Call, error) {
	over := false
	defer func() {
		if over {
			return
		}
		if c := l.leave(w); c != nil { // told panicked: what it was given is not lost
			c.Done(Outcome{})
		}
	}()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	position := 0
	for {
		s := l.look(w)
		if s.over() {
			over = true
			return s.call, s.err
		}
		if told != nil && s.position != position {
			position = s.position
			told(position)
		}
		if s.alarm == never {
			alarm.Stop()
		} else {
			alarm.Reset(s.alarm - l.now())
		}
		select {
		case <-w.wake:
		case <-alarm.C:
		case <-ctx.Done():
			over = true
			if c := l.leave(w); c != nil {
				return c, nil // let in at the same moment: its call ends like any other
			}
			return nil, left(ctx)
		}
	}
}

// look returns how the waiter stands. Whoever wakes up late finds its alarm
// overdue and settles what time has changed, for all.
func (l *Line) look(w *waiter) standing {
	l.mu.Lock()
	defer l.unlock()
	if now := l.now(); !w.over() && now >= w.alarm {
		l.settle(now)
	}
	return w.standing
}

// leave frees the waiter's place at once, and returns the call that it was given
// already.
func (l *Line) leave(w *waiter) *Call {
	l.mu.Lock()
	defer l.unlock()
	if !w.over() {
		l.queue.remove(w)
		w.end(nil, context.Canceled)
		l.settle(l.now())
	}
	return w.call
}
