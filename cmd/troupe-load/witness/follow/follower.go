package follow

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// linger is how long a client listens after the end of its turn: a second end
// would come then.
const linger = 300 * time.Millisecond

// ToldError is the error frame that ended a socket: another one may do.
type ToldError struct{ Code string }

// Error implements error.
func (e *ToldError) Error() string { return "told " + e.Code }

// Watch is told what a follower meets. Its methods are called from the follower's
// goroutine.
type Watch interface {
	// Change runs f, which changes the turn, while nobody reads it.
	Change(f func())
	// Heard is told every frame as it came. An error ends the socket.
	Heard(ctx context.Context, raw []byte, b *frames.Body) error
	// Obeyed is told when the follower has done what the frame wants, and may say
	// more on its socket. An error ends the socket.
	Obeyed(ctx context.Context, b *frames.Body) error
	// Left tells whether the client was sent away meanwhile.
	Left() bool
	// Parted is told, within a change, that a socket ended and by which error.
	Parted(s *Record, err error)
}

// Follower stays with one turn over its sockets. What is exported belongs to the
// goroutine of Follow.
type Follower struct {
	Turn    *Turn
	Dial    func(context.Context) (s *Socket, gateway string, err error)
	Chat    map[string]any // the question; nil where it follows a run that somebody else asked for
	Backoff *Backoff
	Leaves  bool // does not come back after a lost socket
	Watch   Watch

	Run    string // "" until one was named
	Chunks int    // of this run
	Ended  bool
	Wait   time.Duration // what a refusal asked for

	seq  uint64 // of the last chunk or snapshot
	away bool   // the gateway had no room for this socket, or says to reconnect

	mu     sync.Mutex
	socket *Socket
}

// Follow opens socket after socket until the turn has ended, cannot be found
// again, or ctx is over.
func (f *Follower) Follow(ctx context.Context) {
	for !f.Ended && f.Turn.GaveUp == "" {
		if ctx.Err() != nil {
			f.giveUp(Stopped)
			return
		}
		if !f.connect(ctx) {
			crew.Sleep(ctx, f.Backoff.Next())
			continue
		}
		err := f.listen(ctx)
		f.part(ctx, err)
		if f.away {
			f.away = false
			crew.Sleep(ctx, f.Backoff.Next())
		}
	}
}

// Socket is the last one that was opened, nil before the first. Any goroutine may
// ask.
func (f *Follower) Socket() *Socket {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.socket
}

// Cancel says so on the socket of now, once.
func (f *Follower) Cancel(ctx context.Context) error {
	if !f.Turn.Stopped.IsZero() {
		return nil
	}
	f.Watch.Change(func() { f.Turn.Stopped = time.Now() })
	m := map[string]any{"type": "cancel", "id": f.Turn.ID}
	if f.Chat == nil {
		m = map[string]any{"type": "cancel", "run_id": f.Run}
	}
	return f.socket.Say(ctx, m)
}

func (f *Follower) giveUp(why string) {
	f.Watch.Change(func() { f.Turn.GaveUp = why })
}

// connect opens a socket and says what it is for.
func (f *Follower) connect(ctx context.Context) bool {
	s, gateway, err := f.Dial(ctx)
	if err != nil {
		return false
	}
	f.mu.Lock()
	f.socket = s
	f.mu.Unlock()
	now := time.Now()
	f.Watch.Change(func() {
		f.Turn.Sockets = append(f.Turn.Sockets, Record{Gateway: gateway, Opened: now})
		if f.Run == "" {
			f.Turn.Asked = now
		}
	})
	if f.Run == "" {
		err = s.Say(ctx, f.Chat)
	} else {
		err = f.askResume(ctx)
	}
	if err != nil {
		f.part(ctx, err)
		return false
	}
	return true
}

func (f *Follower) askResume(ctx context.Context) error {
	f.Watch.Change(func() {
		f.Turn.Resumes = append(f.Turn.Resumes, Resume{At: time.Now(), Socket: len(f.Turn.Sockets) - 1, Run: f.Run, After: f.seq})
	})
	return f.socket.Say(ctx, map[string]any{"type": "resume", "id": f.Turn.ID, "run_id": f.Run, "after": f.seq})
}

// listen takes frames until the turn has ended or the socket is no good.
func (f *Follower) listen(ctx context.Context) error {
	patience := Silence
	for {
		raw, err := f.socket.Hear(ctx, patience)
		if err != nil {
			return err
		}
		b := frames.Parse(raw)
		if err := f.Watch.Heard(ctx, raw, &b); err != nil {
			return err
		}
		if leave, err := f.take(ctx, &b); leave || err != nil {
			return err
		}
		if err := f.Watch.Obeyed(ctx, &b); err != nil {
			return err
		}
		if f.Ended {
			patience = linger
		}
	}
}

// take obeys one frame; true means that this socket is done with.
func (f *Follower) take(ctx context.Context, b *frames.Body) (leave bool, err error) {
	switch {
	case b.Ends(f.Turn.ID):
		f.Ended = true
		f.Wait = max(f.Wait, time.Duration(b.RetryAfter)*time.Second)
	case b.Type == frames.Accepted:
		if b.RunID != f.Run {
			f.Run, f.seq, f.Chunks = b.RunID, 0, 0
		}
		f.Backoff.Reset()
	case b.Type == frames.Snapshot:
		f.seq = b.Seq
		f.Backoff.Reset()
	case b.Type == frames.Chunk:
		f.seq = b.Seq
		f.Chunks++
	case b.Type == frames.Reconnect:
		crew.Sleep(ctx, time.Duration(b.AfterMS)*time.Millisecond)
		f.away = true
		return true, nil
	case b.Type == frames.Error:
		return f.refused(ctx, b)
	}
	return false, nil
}

// refused takes an error that ends no turn: of a resume, a cancel or the socket.
func (f *Follower) refused(ctx context.Context, b *frames.Body) (leave bool, err error) {
	switch {
	case b.For == "resume" && b.Retryable:
		if !crew.Sleep(ctx, max(f.Backoff.Next(), time.Duration(b.RetryAfter)*time.Second/2)) {
			return true, nil
		}
		return false, f.askResume(ctx)
	case b.For == "resume":
		f.giveUp(b.Code)
		return true, nil
	case b.For == "cancel":
		return false, nil // the end that it missed is on its way
	}
	f.away, f.Wait = true, time.Duration(b.RetryAfter)*time.Second
	return true, &ToldError{b.Code}
}

// part lets go of the socket.
func (f *Follower) part(ctx context.Context, err error) {
	left := f.Watch.Left()
	own := err == nil || f.Ended || left || ctx.Err() != nil
	switch {
	case left && !f.Ended:
		f.socket.Cut(true)
	case own:
		f.socket.Close()
	default:
		f.socket.Cut(false)
	}
	f.Watch.Change(func() {
		s := &f.Turn.Sockets[len(f.Turn.Sockets)-1]
		s.Closed, s.Own, s.Why = time.Now(), own, reason(err)
		f.Watch.Parted(s, err)
	})
	switch {
	case f.Ended || f.Turn.GaveUp != "":
	case left:
		f.giveUp(Left)
	case ctx.Err() != nil:
		f.giveUp(Stopped)
	case f.Run == "":
		f.giveUp(Replaced)
	case f.Leaves:
		f.giveUp(Left)
	}
}
