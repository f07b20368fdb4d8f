package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// flooder asks more than its limit allows, in a session of its own, over one
// socket, and notes what was let in.
type flooder struct {
	*caller
	gateway string
	visitor visitor
	asks    int
	pause   time.Duration // between two questions
	seen    flood
}

// run floods until all was asked and answered, or the socket is gone.
func (f *flooder) run(ctx context.Context) {
	l, err := f.dial(ctx, f.gateway, f.visitor)
	if err != nil {
		return // a gateway that is away lets nobody in
	}
	defer l.hangUp()
	f.seen.Asks = make([]admission, 0, f.asks)
	waiting := 0
	for range f.asks {
		n := int(f.numbers.Add(1))
		f.seen.Asks = append(f.seen.Asks, admission{N: n, Sent: time.Now()})
		waiting++
		a := asked{N: n, Chunks: 1, Pace: time.Millisecond}
		err := l.say(ctx, map[string]any{
			"type": "chat", "id": strconv.Itoa(n), "content": a.String(), "provider": vendorName, "model": "fleet", "messages": []any{},
		})
		if err != nil || !sleep(ctx, f.pause) {
			return
		}
	}
	for open := waiting; open > 0; {
		raw, err := l.hear(ctx, silence)
		if err != nil {
			return
		}
		open -= f.note(raw)
	}
}

// note takes one frame and returns how many questions ended with it.
func (f *flooder) note(raw []byte) int {
	b, err := parseFrame(raw)
	if err != nil {
		return 0
	}
	for i := range f.seen.Asks {
		a := &f.seen.Asks[i]
		if strconv.Itoa(a.N) != b.ID {
			continue
		}
		if a.Answered.IsZero() {
			a.Answered = time.Now()
			a.Admitted = b.Type != typeError // what was refused, for whatever reason, has used up nothing
		}
		if b.terminal(b.ID) {
			return 1
		}
	}
	return 0
}

func newFlooder(c *caller, gateway string, life, asks int, seed uint64) *flooder {
	return &flooder{
		caller: c, gateway: gateway, asks: asks,
		visitor: visitor{Session: fmt.Sprintf("flood-%s-%d-%d", gateway, life, seed), Address: "10.255.0.1"}, pause: 5 * time.Millisecond,
		seen: flood{Gateway: gateway, Life: life},
	}
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
	typePong = "pong"
	codeFull = "CONNECTION_LIMIT_EXCEEDED"
)

// fill sends a crowd to a gateway, lets those stay for a while that got in, and
// returns what became of all.
func (c *caller) fill(ctx context.Context, all *crew, gateway string, visitors []visitor, stay time.Duration) crowd {
	seen := crowd{Gateway: gateway, Asked: len(visitors)}
	var mu sync.Mutex
	var inside []*line
	for _, v := range visitors {
		all.start("one of a crowd", func() {
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
	all.wait()
	seen.At, seen.Admitted = time.Now(), len(inside)
	sleep(ctx, stay)
	for _, l := range inside {
		all.start("leave of a crowd", l.hangUp)
	}
	all.wait()
	return seen
}

// enter opens a socket that asks nothing. It is nil where there was no room.
func (c *caller) enter(ctx context.Context, gateway string, v visitor) (*line, error) {
	l, err := c.dial(ctx, gateway, v)
	if err != nil {
		return nil, err
	}
	_ = l.say(ctx, map[string]any{"type": "ping"}) // where it was refused already, that is still to be read
	raw, err := l.hear(ctx, openTimeout)
	if err != nil {
		l.lost(err)
		return nil, err
	}
	switch b, err := parseFrame(raw); {
	case err == nil && b.Type == typePong:
		return l, nil
	case err == nil && b.Type == typeError && b.Code == codeFull:
		l.hangUp()
		return nil, nil
	}
	l.hangUp()
	return nil, fmt.Errorf("was told %s", raw)
}
