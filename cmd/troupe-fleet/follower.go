package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// giveUpDeadline is a client that waited in vain until its round was over.
const giveUpDeadline = follow.Stopped

// follower stays with one turn, and keeps its frames.
type follower struct {
	follow.Follower
	client *client
	turn   *turn

	refused bool // before anything ran, for want of something that may come back
	second  *follower
	done    chan struct{} // closed when second has ended
}

func newFollower(c *client, t *turn) *follower {
	f := &follower{client: c, turn: t}
	f.Turn, f.Watch, f.Backoff, f.Leaves = &t.Turn, f, follow.NewBackoff(c.rng), c.plan.Leaves
	f.Dial = func(ctx context.Context) (*follow.Socket, string, error) {
		g := c.gateway()
		s, err := c.dial(ctx, g, c.plan.Visitor)
		return s, g, err
	}
	return f
}

// follow returns when the turn has ended, cannot be found again, or ctx is over,
// and what it sent to another gateway as well.
func (f *follower) follow(ctx context.Context) {
	f.Follow(ctx)
	if f.second != nil {
		<-f.done
		f.client.turns = append(f.client.turns, f.second.turn)
	}
}

func (f *follower) chat() map[string]any {
	m := map[string]any{
		"type": "chat", "id": f.turn.ID, "content": f.turn.Ask.String(), "provider": vendorName, "model": f.turn.Ask.Model.String(),
		"messages": []any{}, "on_disconnect": f.turn.Policy,
	}
	if f.client.plan.OwnKey {
		m["api_keys"] = map[string]string{vendorName: f.client.userKey}
	}
	return m
}

// Change implements follow.Watch: nobody reads a turn before its client is done.
func (f *follower) Change(change func()) { change() }

// Left implements follow.Watch: nobody sends clients away.
func (f *follower) Left() bool { return false }

// Heard implements follow.Watch.
func (f *follower) Heard(_ context.Context, raw []byte, b *frames.Body) error {
	f.turn.Frames = append(f.turn.Frames, frame{At: time.Now(), Socket: len(f.turn.Sockets) - 1, Raw: json.RawMessage(raw)})
	if b.Ends(f.turn.ID) && !f.Ended && b.Type == frames.Error && b.Retryable && f.Run == "" {
		f.refused = true
	}
	return nil
}

// Parted implements follow.Watch: who was told to go was not cut off.
func (f *follower) Parted(s *follow.Record, err error) {
	var told *follow.ToldError
	s.Own = s.Own || errors.As(err, &told)
}

// Obeyed implements follow.Watch: it cancels as planned.
func (f *follower) Obeyed(ctx context.Context, b *frames.Body) error {
	plan := f.client.plan
	switch {
	case f.turn.Second:
		if b.Type == frames.Snapshot {
			return f.Cancel(ctx)
		}
	case b.Type == frames.Accepted && plan.Cancel == cancelEarly, b.Type == frames.Chunk && f.Chunks == plan.After && plan.Cancel == cancelMid:
		return f.Cancel(ctx)
	case b.Type == frames.Chunk && f.Chunks == plan.After && plan.Cancel == cancelElsewhere:
		f.sendSecond(ctx)
	}
	return nil
}

// sendSecond follows the same run from another gateway, and cancels it there.
func (f *follower) sendSecond(ctx context.Context) {
	if f.second != nil {
		return
	}
	p := f.client.plan
	p.Home, p.Others = p.Others[0], nil
	f.second = newFollower(newClient(f.client.caller, p, f.client.crew), &turn{
		Turn: follow.Turn{ID: "2", Asked: time.Now()}, Ask: f.turn.Ask, Second: true, Policy: f.turn.Policy, Cancel: true,
	})
	f.second.Run = f.Run
	f.done = make(chan struct{})
	f.client.crew.Start("second socket", func() {
		defer close(f.done)
		f.second.follow(ctx)
	})
}
