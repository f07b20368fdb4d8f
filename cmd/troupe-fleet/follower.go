package main

import (
	"context"
	"time"
)

// linger is how long a client listens after the end of its turn: a second end
// would come then.
const linger = 300 * time.Millisecond

// follower stays with one turn over its sockets. It belongs to one goroutine.
type follower struct {
	*client
	turn    *turn
	backoff *backoff

	run      string
	seq      uint64 // of the last chunk or snapshot
	chunks   int
	line     *line
	resuming bool // the snapshot of this socket has not come
	ended    bool
	askAgain bool          // the question may be asked as a new one
	wait     time.Duration // before that, at least
	away     bool          // the gateway had no room for this socket
	second   *follower
	done     chan struct{} // closed when second has ended
}

// follow opens socket after socket until the turn has ended, cannot be found
// again, or ctx is over.
func (f *follower) follow(ctx context.Context) {
	for !f.ended && !f.askAgain && f.turn.GaveUp == "" {
		if ctx.Err() != nil {
			f.turn.GaveUp = giveUpDeadline
			break
		}
		if !f.connect(ctx) {
			sleep(ctx, f.backoff.next())
			continue
		}
		err := f.listen(ctx)
		f.part(ctx, err)
		if f.away {
			f.away = false
			sleep(ctx, f.backoff.next())
		}
	}
	if f.second != nil {
		<-f.done
		f.turns = append(f.turns, f.second.turn)
	}
}

// Why clients give up; every other reason is a code that they were told.
const (
	giveUpDeadline = "deadline" // it waited in vain
	giveUpLeft     = "left"     // it never meant to come back
)

// connect opens a socket and says what it is for.
func (f *follower) connect(ctx context.Context) bool {
	l, err := f.dial(ctx, f.gateway(), f.plan.Visitor)
	if err != nil {
		return false
	}
	f.line = l
	if f.run == "" {
		f.turn.Asked = time.Now()
		err = l.say(ctx, f.chat())
	} else {
		err = f.askResume(ctx)
	}
	if err != nil {
		f.part(ctx, err)
		return false
	}
	return true
}

func (f *follower) chat() map[string]any {
	m := map[string]any{
		"type": "chat", "id": f.turn.ID, "content": f.turn.Ask.String(), "provider": vendorName, "model": "fleet",
		"messages": []any{}, "on_disconnect": f.turn.Policy,
	}
	if f.plan.OwnKey {
		m["api_keys"] = map[string]string{vendorName: f.userKey}
	}
	return m
}

func (f *follower) askResume(ctx context.Context) error {
	f.resuming = true
	f.turn.Resumes = append(f.turn.Resumes, resume{At: time.Now(), Socket: len(f.turn.Sockets), Run: f.run, After: f.seq})
	return f.line.say(ctx, map[string]any{"type": "resume", "id": f.turn.ID, "run_id": f.run, "after": f.seq})
}

// listen takes frames until the turn has ended or the socket is no good.
func (f *follower) listen(ctx context.Context) error {
	patience := silence
	for {
		raw, err := f.line.hear(ctx, patience)
		if err != nil {
			return err
		}
		f.turn.Frames = append(f.turn.Frames, frame{At: time.Now(), Socket: len(f.turn.Sockets), Raw: raw})
		b, err := parseFrame(raw)
		if err != nil {
			return err
		}
		if leave, err := f.take(ctx, &b); leave || err != nil {
			return err
		}
		if f.ended {
			patience = linger
		}
	}
}

// take obeys one frame; true means that this socket is done with.
func (f *follower) take(ctx context.Context, b *body) (leave bool, err error) {
	switch {
	case b.terminal(f.turn.ID):
		f.end(b)
	case b.Type == typeAccepted:
		if b.RunID != f.run {
			f.run, f.seq, f.chunks = b.RunID, 0, 0
		}
		f.backoff.reset()
		if f.plan.Cancel == cancelEarly {
			return false, f.cancel(ctx)
		}
	case b.Type == typeSnapshot:
		f.resuming, f.seq = false, b.Seq
		f.backoff.reset()
		if f.turn.Second {
			return false, f.cancel(ctx)
		}
	case b.Type == typeChunk:
		f.seq = b.Seq
		return false, f.heard(ctx)
	case b.Type == typeReconnect:
		sleep(ctx, time.Duration(b.AfterMS)*time.Millisecond)
		return true, nil
	case b.Type == typeError:
		return f.refused(ctx, b)
	}
	return false, nil
}

// end takes the turn's last frame. A question that was refused before anything
// ran, for want of something that may come back, is asked again.
func (f *follower) end(b *body) {
	if f.ended {
		return
	}
	f.ended = true
	if b.Type == typeError && b.Retryable && f.run == "" {
		f.askAgain, f.wait = true, time.Duration(b.RetryAfter)*time.Second
	}
}

// refused takes an error that ends no turn: of a resume, a cancel or the socket.
func (f *follower) refused(ctx context.Context, b *body) (leave bool, err error) {
	switch {
	case b.For == "resume" && b.Retryable:
		if !sleep(ctx, max(f.backoff.next(), time.Duration(b.RetryAfter)*time.Second/2)) {
			return true, nil
		}
		return false, f.askResume(ctx)
	case b.For == "resume":
		f.turn.GaveUp = b.Code
		return true, nil
	case b.For == "cancel":
		return false, nil // the end that it missed is on its way
	}
	f.away = true
	return true, nil // of the socket: another one may do
}

// heard counts chunks towards a cancel.
func (f *follower) heard(ctx context.Context) error {
	f.chunks++
	if f.chunks != f.plan.After || f.turn.Second {
		return nil
	}
	switch f.plan.Cancel {
	case cancelMid:
		return f.cancel(ctx)
	case cancelElsewhere:
		f.sendSecond(ctx)
	}
	return nil
}

func (f *follower) cancel(ctx context.Context) error {
	if !f.turn.Stopped.IsZero() {
		return nil
	}
	f.turn.Stopped = time.Now()
	m := map[string]any{"type": "cancel", "id": f.turn.ID}
	if f.turn.Second {
		m = map[string]any{"type": "cancel", "run_id": f.run}
	}
	return f.line.say(ctx, m)
}

// sendSecond follows the same run from another gateway, and cancels it there.
func (f *follower) sendSecond(ctx context.Context) {
	if f.second != nil {
		return
	}
	p := f.plan
	p.Home, p.Others = p.Others[0], nil
	other := newClient(f.caller, p, f.crew)
	f.second = &follower{
		client: other, backoff: newBackoff(other.rng), run: f.run,
		turn: &turn{Ask: f.turn.Ask, ID: "2", Second: true, Policy: f.turn.Policy, Cancel: true, Asked: time.Now()},
	}
	f.done = make(chan struct{})
	f.crew.start("second socket", func() {
		defer close(f.done)
		f.second.follow(ctx)
	})
}

// part lets go of the socket. What could not be accepted on it is asked again.
func (f *follower) part(ctx context.Context, err error) {
	if err == nil || f.ended && ctx.Err() == nil {
		f.line.hangUp()
	} else {
		f.line.lost(err)
	}
	f.turn.Sockets = append(f.turn.Sockets, *f.line.sheet)
	f.line = nil
	switch {
	case f.ended:
	case f.plan.Leaves:
		f.turn.GaveUp = giveUpLeft
	case f.run == "":
		f.askAgain = true
	}
}
