package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/flood"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
)

// floodTime bounds one flood.
const floodTime = 8 * time.Second

// startFloods sends one to each gateway of ours, a second after the beginning.
func (r *round) startFloods(asking context.Context) {
	if r.rules.Messages == 0 {
		r.unseen = append(r.unseen, "the limits of a server that was not started here are not tried")
		return
	}
	for _, g := range r.gates {
		r.all.Start("flood", func() {
			if crew.Sleep(asking, time.Second) {
				r.flood(asking, g)
			}
		})
	}
}

// flood asks twice what the limit admits, in a session of its own, over one
// socket.
func (r *round) flood(ctx context.Context, g follow.Gateway) {
	ctx, cancel := context.WithTimeout(ctx, floodTime)
	defer cancel()
	l, err := r.caller.ledger.Dial(ctx, g, fmt.Sprintf("flood-%d", time.Now().UnixNano()), nil)
	if err != nil {
		return
	}
	defer l.Close()
	seen := flood.Flood{Gateway: g.Name}
	seen.Run(ctx, l, r.caller.own(), 2*ownMessages, 0, func() int { return int(r.caller.numbers.Add(1)) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floods = append(r.floods, seen)
}
