package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// flood asks more than its limit allows, in a session of its own, over one socket,
// until all was asked and answered, or the socket is gone.
func (c *caller) flood(ctx context.Context, gateway, session string, asks int) (seen flood.Flood) {
	seen.Gateway = gateway
	l, err := c.dial(ctx, gateway, visitor{Session: session, Address: "10.255.0.1"})
	if err != nil {
		return seen // a gateway that is away lets nobody in
	}
	defer l.Close()
	seen.Run(ctx, l, vendorName, asks, 5*time.Millisecond, func() int { return int(c.numbers.Add(1)) })
	return seen
}

// crowd is what became of sockets that asked for more room than a gateway has.
type crowd struct {
	Gateway  string    `json:"gateway"`
	At       time.Time `json:"at"` // all had their answer, and nobody had left
	Asked    int       `json:"asked"`
	Admitted int       `json:"admitted"`
	Refused  int       `json:"refused"`           // told codeFull
	Strange  []string  `json:"strange,omitempty"` // what the others met instead
}

// Clocks and size of a crowd.
const (
	crowdAfter = 3 * time.Second         // when all clients of a calm round have their sockets
	crowdStays = 1500 * time.Millisecond // long enough for samples in which nothing moves
	crowdOver  = 20                      // sockets beyond what fits
)

// What one of a crowd hears.
const (
	codeFull = "CONNECTION_LIMIT_EXCEEDED"
)

// fill sends a crowd to a gateway, lets those stay for a while that got in, and
// returns what became of all.
func (c *caller) fill(ctx context.Context, all *crew.Crew, gateway string, visitors []visitor, stay time.Duration) crowd {
	seen := crowd{Gateway: gateway, Asked: len(visitors)}
	var mu sync.Mutex
	var inside []*follow.Socket
	for _, v := range visitors {
		all.Start("one of a crowd", func() {
			l, err := c.enter(ctx, gateway, v)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				seen.Strange = append(seen.Strange, err.Error())
			case l == nil:
				seen.Refused++
			default:
				inside = append(inside, l)
			}
		})
	}
	all.Wait()
	seen.At, seen.Admitted = time.Now(), len(inside)
	crew.Sleep(ctx, stay)
	for _, l := range inside {
		all.Start("leave of a crowd", l.Close)
	}
	all.Wait()
	return seen
}

// enter opens a socket that asks nothing. It is nil where there was no room.
func (c *caller) enter(ctx context.Context, gateway string, v visitor) (*follow.Socket, error) {
	l, err := c.dial(ctx, gateway, v)
	if err != nil {
		return nil, err
	}
	_ = l.Say(ctx, map[string]any{"type": "ping"}) // where it was refused already, that is still to be read
	raw, err := l.Hear(ctx, follow.OpenTimeout)
	if err != nil {
		l.Cut(false)
		return nil, err
	}
	switch b := frames.Parse(raw); {
	case b.Type == frames.Pong:
		return l, nil
	case b.Type == frames.Error && b.Code == codeFull:
		l.Close()
		return nil, nil
	}
	l.Close()
	return nil, fmt.Errorf("was told %s", raw)
}
