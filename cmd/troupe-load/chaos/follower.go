package chaos

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// giveUpDeadline is what the oracle says of clients that waited in vain.
const giveUpDeadline = "deadline"

var errSilent = errors.New("fell silent, as it was meant to")

// follower stays with one turn, notes in the book what it sees, and goes away when
// a step sends it.
type follower struct {
	follow.Follower
	caller   *caller
	turn     *turn
	book     *book
	cancelAt int // chunks before it cancels; 0 = never

	mu    sync.Mutex
	leave string          // how a step sends it away
	hold  <-chan struct{} // of a silent one: closed when it may end
}

// chat is the question of a turn.
func (c *caller) chat(t *turn, ownKey bool) map[string]any {
	provider := c.ask(t.Group)
	m := map[string]any{
		"type": "chat", "id": turnID, "content": t.Question.String(), "provider": provider, "model": t.Group.Model,
		"messages": []any{}, "on_disconnect": t.Group.OnDisconnect,
	}
	if ownKey {
		m["api_keys"] = map[string]string{provider: c.userKey}
	}
	return m
}

// Change implements follow.Watch.
func (f *follower) Change(change func()) { f.book.change(change) }

// Heard implements follow.Watch.
func (f *follower) Heard(ctx context.Context, raw []byte, b *frames.Body) error {
	if hold := f.silenced(); hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return errSilent
	}
	_, key := f.caller.keys.In(string(raw))
	f.book.frame(f.turn, frame{Body: *b, At: time.Now(), Socket: len(f.turn.Sockets) - 1, Key: key})
	return nil
}

// Obeyed implements follow.Watch.
func (f *follower) Obeyed(ctx context.Context, b *frames.Body) error {
	if b.Type != frames.Chunk || f.cancelAt == 0 || f.Chunks != f.cancelAt {
		return nil
	}
	return f.Cancel(ctx)
}

// Parted implements follow.Watch.
func (f *follower) Parted(s *follow.Record, _ error) {
	if !s.Own {
		f.book.lost++
	}
}

// Left implements follow.Watch.
func (f *follower) Left() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leave != ""
}

// send makes the client go away in one of the ways of a step. False where it has no
// socket yet, or is gone already.
func (f *follower) send(how string, hold <-chan struct{}) bool {
	s := f.Socket()
	f.mu.Lock()
	if s == nil || f.leave != "" {
		f.mu.Unlock()
		return false
	}
	f.leave, f.hold = how, hold
	f.mu.Unlock()
	f.book.change(func() { f.turn.Left = time.Now() })
	switch how {
	case leaveClose:
		s.Close()
	case leaveReset:
		s.Cut(true)
	}
	return true
}

// silenced is what a silent client waits for, nil for one that is not.
func (f *follower) silenced() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leave != leaveSilence {
		return nil
	}
	return f.hold
}
