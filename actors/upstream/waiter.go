package upstream

import "time"

// waiter is one caller in the queue.
type waiter struct {
	// Set once.
	ask     Ask
	since   time.Duration
	curious bool          // wants to hear of its position
	wake    chan struct{} // holds one: look at your standing

	standing // guarded by the line's mu
}

// standing is what the waiter's goroutine looks at.
type standing struct {
	call     *Call         // let in
	err      error         // refused
	position int           // from 1
	alarm    time.Duration // when time itself changes something; never
}

func newWaiter(a Ask, now time.Duration, curious bool) *waiter {
	return &waiter{ask: a, since: now, curious: curious, wake: make(chan struct{}, 1), standing: standing{alarm: never}}
}

func (s *standing) over() bool { return s.call != nil || s.err != nil }

// deadline is when its patience ends under the settings of the day.
func (w *waiter) deadline(patience time.Duration) time.Duration {
	if patience <= 0 || w.since > never-patience {
		return never
	}
	return w.since + patience
}

func (w *waiter) end(c *Call, err error) {
	w.call, w.err = c, err
	w.ring()
}

func (w *waiter) stand(position int) {
	if w.position != position {
		w.position = position
		if w.curious {
			w.ring()
		}
	}
}

func (w *waiter) wakeAt(alarm time.Duration) {
	if w.alarm != alarm {
		w.alarm = alarm
		w.ring()
	}
}

// ring never blocks: one who was rung for already will look anyway.
func (w *waiter) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
