package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/canary"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow/followtest"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// scripted is a gateway that plays a script, and who calls there.
func scripted(t *testing.T, script func(ctx context.Context, n int, d *followtest.Desk)) *caller {
	t.Helper()
	url := followtest.Gateway(t, script)
	return &caller{address: func(string) string { return url }, numbers: &atomic.Int64{}, userKey: "key-2"}
}

// converse runs one client against a script.
func converse(t *testing.T, p plan, script func(ctx context.Context, n int, d *followtest.Desk)) []*turn {
	t.Helper()
	c := scripted(t, script)
	all := &crew.Crew{}
	p.Visitor, p.Home, p.Policy = visitor{"s", "10.0.0.1"}, "gateway-1", "grace"
	p.Others = []string{"gateway-2"}
	p.Ask = question(0, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := newClient(c, p, all)
	client.run(ctx)
	all.Wait()
	require.Empty(t, all.Failures())
	open := c.ledger.Open()
	for gateway, n := range open {
		require.Zero(t, n, "sockets to %s", gateway)
	}
	return client.turns
}

// question is one that is answered in so many pieces, a millisecond apart.
func question(n, words int) answer.Question {
	return answer.Question{N: n, Model: answer.Model{Words: words, Pace: time.Millisecond}}
}

// questionOf reads what a client asked.
func questionOf(said map[string]any) answer.Question {
	n, _ := answer.Asker(said["content"].(string))
	m, _ := answer.ParseModel(said["model"].(string))
	return answer.Question{N: n, Model: m}
}

// judged puts one client's turns before the oracle.
func judged(turns []*turn) []breach {
	return judge(&evidence{Turns: turns, Rules: rules{Keys: canary.Keys()}})
}

func TestClientFollowsAnAnswer(t *testing.T) {
	var said map[string]any
	turns := converse(t, plan{OwnKey: true}, func(ctx context.Context, _ int, d *followtest.Desk) {
		said = d.Hear(ctx)
		a := questionOf(said)
		d.Tell(ctx, followtest.Accepted(said))
		d.Tell(ctx, followtest.Rest(a, "1", 1)...)
		d.Hear(ctx)
	})
	require.Len(t, turns, 1)
	require.Len(t, turns[0].Frames, 6)
	require.Empty(t, judged(turns))
	require.Equal(t, "grace", said["on_disconnect"])
	require.Equal(t, map[string]any{vendorName: "key-2"}, said["api_keys"])
	require.True(t, turns[0].Sockets[0].Own)
}

func TestClientAsksAgainWhatWasNotAccepted(t *testing.T) {
	for name, refusal := range map[string][]frames.Body{
		"the socket died": nil,
		"no bus":          {{Type: frames.Error, ID: "1", Code: "BUS_UNAVAILABLE", Retryable: true}},
		"shutting down":   {{Type: frames.Error, Code: "SHUTTING_DOWN", Retryable: true}},
	} {
		t.Run(name, func(t *testing.T) {
			turns := converse(t, plan{}, func(ctx context.Context, n int, d *followtest.Desk) {
				m := d.Hear(ctx)
				if n == 0 {
					d.Tell(ctx, refusal...)
					return
				}
				a := questionOf(m)
				d.Tell(ctx, followtest.Accepted(m))
				d.Tell(ctx, followtest.Rest(a, "1", 1)...)
				d.Hear(ctx)
			})
			require.Len(t, turns, 2)
			require.True(t, turns[0].Replaced)
			require.Equal(t, turns[0].Ask.N, turns[1].Again, "a new question, and it says for which")
			require.NotEqual(t, turns[0].Ask.N, turns[1].Ask.N)
			require.Empty(t, judged(turns))
			require.Equal(t, refusal != nil, turns[0].Sockets[0].Own, "who was told to go was not cut off")
		})
	}
}

func TestClientGivesUpWhereNothingIsLeft(t *testing.T) {
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *followtest.Desk) {
		m := d.Hear(ctx)
		if n == 0 {
			d.Tell(ctx, followtest.Accepted(m))
			return
		}
		d.Tell(ctx, frames.Body{Type: frames.Error, For: "resume", RunID: "run-1", Code: "RUN_NOT_FOUND"})
		d.Hear(ctx)
	})
	require.Len(t, turns, 1)
	require.Equal(t, "RUN_NOT_FOUND", turns[0].GaveUp)
	require.NotEmpty(t, judged(turns), "no worker was lost: nobody may forget the run")
}

func TestClientCancels(t *testing.T) {
	for name, p := range map[string]plan{
		"early":     {Cancel: cancelEarly},
		"mid":       {Cancel: cancelMid, After: 2},
		"elsewhere": {Cancel: cancelElsewhere, After: 2},
	} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			shown := 2
			if p.Cancel == cancelEarly {
				shown = 0
			}
			turns := converse(t, p, func(ctx context.Context, n int, d *followtest.Desk) {
				m := d.Hear(ctx)
				a := question(1, 4)
				said := ""
				for i := range shown {
					said += a.Piece(i + 1)
				}
				if n == 1 { // the second socket: it resumed
					d.Tell(ctx, frames.Body{Type: frames.Snapshot, ID: m["id"].(string), RunID: "run-1", Seq: uint64(shown), Content: said})
				} else {
					d.Tell(ctx, followtest.Accepted(m))
					d.Tell(ctx, followtest.Chunks(a, "1", 1, shown)...)
				}
				if n == 1 || p.Cancel != cancelElsewhere {
					word := d.Hear(ctx)
					if fmt.Sprint(word["type"]) != "cancel" {
						t.Errorf("the client said %v", word)
					}
					close(stop)
				}
				<-stop
				d.Tell(ctx, frames.Body{Type: frames.Cancelled, ID: m["id"].(string), RunID: "run-1", Seq: uint64(shown + 1), Full: &said})
				d.Hear(ctx)
			})
			require.Empty(t, judged(turns))
			stopped := 0
			for _, w := range turns {
				if !w.Stopped.IsZero() {
					stopped++
				}
			}
			require.Equal(t, 1, stopped)
			require.Equal(t, p.Cancel == cancelElsewhere, len(turns) == 2)
		})
	}
}
