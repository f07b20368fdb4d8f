package main

import (
	"context"
	"fmt"
	"strconv"
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
