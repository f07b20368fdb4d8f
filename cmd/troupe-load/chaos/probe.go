package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// Clocks of the probes.
const (
	probeEvery   = 100 * time.Millisecond
	probeTimeout = 5 * time.Second
	probeModel   = "echo-0s-1w"
)

// probeUntil asks a short question ten times a second, at the gateways in turn:
// the first one that is answered after a fault is its recovery.
func (r *round) probeUntil(ctx context.Context) {
	var asking crew.Crew
	for i := 0; crew.Sleep(ctx, probeEvery); i++ {
		g := r.gates[i%len(r.gates)]
		asking.Start("probe", func() {
			p := r.probe(ctx, g)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.probes = append(r.probes, p)
		})
	}
	asking.Wait()
	r.wrong = append(r.wrong, asking.Failures()...)
}

// probe asks one question in a session of its own.
func (r *round) probe(ctx context.Context, g follow.Gateway) probe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	n := int(r.caller.numbers.Add(1))
	p := probe{N: n, Asked: time.Now()}
	l, err := r.caller.ledger.Dial(ctx, g, fmt.Sprintf("probe-%d-%d", time.Now().UnixNano(), n), nil)
	if err != nil {
		p.Done = time.Now()
		return p
	}
	defer l.Close()
	err = l.Say(ctx, map[string]any{"type": "chat", "id": turnID, "content": answer.Question{N: n}.String(), "provider": r.caller.own(), "model": probeModel, "messages": []any{}, "on_disconnect": "cancel"})
	for err == nil {
		var raw []byte
		raw, err = l.Hear(ctx, probeTimeout)
		if b := frames.Parse(raw); err == nil && (b.Ends(turnID) || b.Type == frames.Error) {
			p.OK = b.Type == frames.Complete
			break
		}
	}
	p.Done = time.Now()
	return p
}
