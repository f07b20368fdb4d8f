package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// desk is the far end of a socket in a scripted gateway.
type desk struct {
	t    *testing.T
	conn *websocket.Conn
}

// hear reads one frame of the client; nil when it is gone.
func (d *desk) hear(ctx context.Context) map[string]any {
	_, data, err := d.conn.Read(ctx)
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		d.t.Errorf("the client said %q", data)
	}
	return m
}

func (d *desk) tell(ctx context.Context, frames ...body) {
	for _, f := range frames {
		data, err := json.Marshal(f)
		if err != nil {
			d.t.Error(err)
		}
		_ = d.conn.Write(ctx, websocket.MessageText, data)
	}
}

// scripted is a gateway whose n-th socket, from 0, plays script.
func scripted(t *testing.T, script func(ctx context.Context, n int, d *desk)) *caller {
	t.Helper()
	var sockets atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		script(r.Context(), int(sockets.Add(1))-1, &desk{t, conn})
	}))
	t.Cleanup(server.Close)
	return &caller{
		http: &http.Client{}, ledger: newLedger(), address: func(string) string { return server.URL },
		numbers: &atomic.Int64{}, userKey: "key-2",
	}
}

// converse runs one client against a script.
func converse(t *testing.T, p plan, script func(ctx context.Context, n int, d *desk)) []*turn {
	t.Helper()
	c := scripted(t, script)
	all := &crew{}
	p.Visitor, p.Home, p.Policy = visitor{"s", "10.0.0.1"}, "gateway-1", "grace"
	p.Others = []string{"gateway-2"}
	p.Ask = asked{Chunks: 4, Pace: time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := newClient(c, p, all)
	client.run(ctx)
	all.wait()
	require.Empty(t, all.failed())
	open, _ := c.ledger.look()
	for gateway, n := range open {
		require.Zero(t, n, "sockets to %s", gateway)
	}
	return client.turns
}

func accepted(m map[string]any) body {
	return body{Type: typeAccepted, ID: m["id"].(string), RunID: "run-1"}
}

func chunks(a asked, id string, from, to int) (frames []body) {
	for i := from; i <= to; i++ {
		frames = append(frames, body{Type: typeChunk, ID: id, Seq: uint64(i), Content: a.chunk(i)})
	}
	return frames
}

func complete(a asked, id string) body {
	full := a.answer()
	return body{Type: typeComplete, ID: id, RunID: "run-1", Seq: uint64(a.Chunks + 1), Full: &full}
}

// judged puts one client's turns before the oracle.
func judged(turns []*turn) []breach {
	return judge(&evidence{Turns: turns, Rules: rules{Keys: canaries()}})
}

func TestClientFollowsAnAnswer(t *testing.T) {
	var said map[string]any
	turns := converse(t, plan{OwnKey: true}, func(ctx context.Context, _ int, d *desk) {
		said = d.hear(ctx)
		a, _ := parseAsked(said["content"].(string))
		d.tell(ctx, accepted(said))
		d.tell(ctx, chunks(a, "1", 1, 4)...)
		d.tell(ctx, complete(a, "1"))
		d.hear(ctx)
	})
	require.Len(t, turns, 1)
	require.Len(t, turns[0].Frames, 6)
	require.Empty(t, judged(turns))
	require.Equal(t, "grace", said["on_disconnect"])
	require.Equal(t, map[string]any{vendorName: "key-2"}, said["api_keys"])
	require.True(t, turns[0].Sockets[0].Own)
}

func TestClientResumesElsewhere(t *testing.T) {
	var resumed map[string]any
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
		m := d.hear(ctx)
		a := asked{N: 1, Chunks: 4, Pace: time.Millisecond}
		switch n {
		case 0:
			d.tell(ctx, accepted(m))
			d.tell(ctx, chunks(a, "1", 1, 2)...) // and the socket dies
		case 1: // so does this one, before the snapshot
		case 2:
			resumed = m
			d.tell(ctx, body{Type: typeSnapshot, ID: "1", RunID: "run-1", Seq: 3, Content: a.chunk(3)})
			d.tell(ctx, chunks(a, "1", 4, 4)...)
			d.tell(ctx, complete(a, "1"))
			d.hear(ctx)
		}
	})
	require.Len(t, turns, 1)
	require.Empty(t, judged(turns))
	require.Equal(t, []any{"resume", "run-1", 2.0}, []any{resumed["type"], resumed["run_id"], resumed["after"]})
	require.Len(t, turns[0].Resumes, 2)
	require.Equal(t, []string{"gateway-1", "gateway-2", "gateway-1"}, []string{
		turns[0].Sockets[0].Gateway, turns[0].Sockets[1].Gateway, turns[0].Sockets[2].Gateway,
	})
	require.False(t, turns[0].Sockets[0].Own)
}

func TestClientAsksAgainWhatWasNotAccepted(t *testing.T) {
	for name, refusal := range map[string][]body{
		"the socket died": nil,
		"no bus":          {{Type: typeError, ID: "1", Code: "BUS_UNAVAILABLE", Retryable: true}},
		"shutting down":   {{Type: typeError, Code: "SHUTTING_DOWN", Retryable: true}},
	} {
		t.Run(name, func(t *testing.T) {
			turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
				m := d.hear(ctx)
				if n == 0 {
					d.tell(ctx, refusal...)
					return
				}
				a, _ := parseAsked(m["content"].(string))
				d.tell(ctx, accepted(m))
				d.tell(ctx, chunks(a, "1", 1, 4)...)
				d.tell(ctx, complete(a, "1"))
				d.hear(ctx)
			})
			require.Len(t, turns, 2)
			require.True(t, turns[0].Replaced)
			require.Equal(t, turns[0].Ask.N, turns[1].Again, "a new question, and it says for which")
			require.NotEqual(t, turns[0].Ask.N, turns[1].Ask.N)
			require.Empty(t, judged(turns))
		})
	}
}

func TestClientGivesUpWhereNothingIsLeft(t *testing.T) {
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
		m := d.hear(ctx)
		if n == 0 {
			d.tell(ctx, accepted(m))
			return
		}
		d.tell(ctx, body{Type: typeError, For: "resume", RunID: "run-1", Code: "RUN_NOT_FOUND"})
		d.hear(ctx)
	})
	require.Len(t, turns, 1)
	require.Equal(t, "RUN_NOT_FOUND", turns[0].GaveUp)
	require.NotEmpty(t, judged(turns), "no worker was lost: nobody may forget the run")
}

func TestClientAsksAgainForARunThatCannotBeReachedNow(t *testing.T) {
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
		m := d.hear(ctx)
		a := asked{N: 1, Chunks: 4, Pace: time.Millisecond}
		if n == 0 {
			d.tell(ctx, accepted(m))
			return
		}
		d.tell(ctx, body{Type: typeError, For: "resume", Code: "BUS_UNAVAILABLE", Retryable: true})
		d.hear(ctx)
		d.tell(ctx, body{Type: typeSnapshot, ID: "1", RunID: "run-1"})
		d.tell(ctx, chunks(a, "1", 1, 4)...)
		d.tell(ctx, complete(a, "1"))
		d.hear(ctx)
	})
	require.Len(t, turns, 1)
	require.Len(t, turns[0].Resumes, 2)
	require.Empty(t, judged(turns))
}

func TestClientObeysReconnect(t *testing.T) {
	turns := converse(t, plan{}, func(ctx context.Context, n int, d *desk) {
		m := d.hear(ctx)
		a := asked{N: 1, Chunks: 4, Pace: time.Millisecond}
		if n == 0 {
			d.tell(ctx, accepted(m))
			d.tell(ctx, chunks(a, "1", 1, 1)...)
			d.tell(ctx, body{Type: typeReconnect, AfterMS: 1})
			d.hear(ctx)
			return
		}
		d.tell(ctx, body{Type: typeSnapshot, ID: "1", RunID: "run-1", Seq: 1})
		d.tell(ctx, chunks(a, "1", 2, 4)...)
		d.tell(ctx, complete(a, "1"))
		d.hear(ctx)
	})
	require.Len(t, turns, 1)
	require.True(t, turns[0].Sockets[0].Own, "the client left by itself")
	require.Equal(t, "gateway-2", turns[0].Sockets[1].Gateway)
	require.Empty(t, judged(turns))
}

func TestClientThatLeavesStaysAway(t *testing.T) {
	turns := converse(t, plan{Leaves: true}, func(ctx context.Context, _ int, d *desk) {
		d.tell(ctx, accepted(d.hear(ctx)))
	})
	require.Len(t, turns, 1)
	require.Equal(t, giveUpLeft, turns[0].GaveUp)
	require.Len(t, turns[0].Sockets, 1)
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
			turns := converse(t, p, func(ctx context.Context, n int, d *desk) {
				m := d.hear(ctx)
				a := asked{N: 1, Chunks: 4, Pace: time.Millisecond}
				said := ""
				for i := range shown {
					said += a.chunk(i + 1)
				}
				if n == 1 { // the second socket: it resumed
					d.tell(ctx, body{Type: typeSnapshot, ID: m["id"].(string), RunID: "run-1", Seq: uint64(shown), Content: said})
				} else {
					d.tell(ctx, accepted(m))
					d.tell(ctx, chunks(a, "1", 1, shown)...)
				}
				if n == 1 || p.Cancel != cancelElsewhere {
					word := d.hear(ctx)
					if fmt.Sprint(word["type"]) != "cancel" {
						t.Errorf("the client said %v", word)
					}
					close(stop)
				}
				<-stop
				d.tell(ctx, body{Type: typeCancelled, ID: m["id"].(string), RunID: "run-1", Seq: uint64(shown + 1), Full: &said})
				d.hear(ctx)
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

func TestFlooderCountsWhatIsLetIn(t *testing.T) {
	c := scripted(t, func(ctx context.Context, _ int, d *desk) {
		for i := range 5 {
			id := d.hear(ctx)["id"].(string)
			if i < 3 {
				d.tell(ctx, body{Type: typeAccepted, ID: id, RunID: "r"}, body{Type: typeComplete, ID: id, Seq: 1})
				continue
			}
			d.tell(ctx, body{Type: typeError, ID: id, Code: "RATE_LIMIT_EXCEEDED", Retryable: true})
		}
		d.hear(ctx)
	})
	f := newFlooder(c, "gateway-1", 1, 5, 1)
	f.run(t.Context())
	admitted := 0
	for _, a := range f.seen.Asks {
		require.False(t, a.Answered.IsZero())
		if a.Admitted {
			admitted++
		}
	}
	require.Equal(t, 3, admitted)
	e := &evidence{Floods: []flood{f.seen}, Rules: rules{Messages: 3, Window: time.Minute}}
	require.Empty(t, judge(e))
	e.Rules.Messages = 2
	require.Equal(t, inv7, judge(e)[0].Invariant)
}
