package follow_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/answer"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow/followtest"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

// question is what every client here asks.
func question() answer.Question { return answer.Question{N: 1, Model: answer.Model{Words: 4}} }

// notes keep what a follower met.
type notes struct {
	*follow.Follower
	sockets []int
	heard   []*frames.Body
	errs    []error
	obeyed  func(context.Context, *frames.Body) error
	left    bool
}

func (n *notes) Change(f func()) { f() }

func (n *notes) Heard(_ context.Context, _ []byte, b *frames.Body) error {
	n.sockets, n.heard = append(n.sockets, len(n.Turn.Sockets)-1), append(n.heard, b)
	return nil
}

func (n *notes) Obeyed(ctx context.Context, b *frames.Body) error {
	if n.obeyed == nil {
		return nil
	}
	return n.obeyed(ctx, b)
}

func (n *notes) Left() bool { return n.left }

func (n *notes) Parted(_ *follow.Record, err error) { n.errs = append(n.errs, err) }

// each gives the frames to answer.Question.Check.
func (n *notes) each(yield func(int, *frames.Body) bool) {
	for i, b := range n.heard {
		if !yield(n.sockets[i], b) {
			return
		}
	}
}

// fits: the text is what was asked for.
func (n *notes) fits(t *testing.T) {
	t.Helper()
	_, err := question().Check("1", n.each, n.Turn.Resumed())
	require.NoError(t, err)
}

// converse runs one client against a script, at gateways gateway-0, gateway-1 … .
func converse(t *testing.T, change func(*notes), script func(ctx context.Context, n int, d *followtest.Desk)) *notes {
	t.Helper()
	url := followtest.Gateway(t, script)
	var ledger follow.Ledger
	began, sockets := time.Now(), 0
	n := &notes{}
	n.Follower = &follow.Follower{
		Turn: &follow.Turn{ID: "1"}, Chat: map[string]any{"type": "chat", "id": "1"}, Watch: n,
		Backoff: follow.NewBackoff(rand.New(rand.NewPCG(1, 1))),
		Dial: func(ctx context.Context) (*follow.Socket, string, error) {
			name := "gateway-" + strconv.Itoa(sockets)
			sockets++
			s, err := ledger.Dial(ctx, follow.Gateway{Name: name, URL: url}, "s", nil)
			return s, name, err
		},
	}
	if change != nil {
		change(n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n.Follow(ctx)
	for gateway, open := range ledger.Open() {
		require.Zero(t, open, "sockets to %s", gateway)
		require.Equal(t, 2, ledger.Churn(began)[gateway], "it came and went")
	}
	require.Empty(t, ledger.Churn(time.Now()))
	return n
}

func TestFollowerStaysToTheEnd(t *testing.T) {
	n := converse(t, nil, func(ctx context.Context, _ int, d *followtest.Desk) {
		d.Tell(ctx, followtest.Accepted(d.Hear(ctx)))
		d.Tell(ctx, followtest.Rest(question(), "1", 1)...)
		d.Tell(ctx, followtest.Rest(question(), "1", 5)...) // a second end would be heard
		d.Hear(ctx)
	})
	n.fits(t)
	require.True(t, n.Ended)
	require.Len(t, n.heard, 7)
	require.Equal(t, 4, n.Chunks)
	require.True(t, n.Turn.Sockets[0].Own)
}

func TestFollowerResumesElsewhere(t *testing.T) {
	var resumed map[string]any
	n := converse(t, nil, func(ctx context.Context, n int, d *followtest.Desk) {
		said := d.Hear(ctx)
		switch n {
		case 0:
			d.Tell(ctx, followtest.Accepted(said))
			d.Tell(ctx, followtest.Chunks(question(), "1", 1, 2)...) // and the socket dies
		case 1: // so does this one, before the snapshot
		case 2:
			resumed = said
			d.Tell(ctx, frames.Body{Type: frames.Snapshot, ID: "1", RunID: "run-1", Seq: 3, Content: question().Piece(3)})
			d.Tell(ctx, followtest.Rest(question(), "1", 4)...)
			d.Hear(ctx)
		}
	})
	n.fits(t)
	require.Equal(t, []any{"resume", "run-1", 2.0}, []any{resumed["type"], resumed["run_id"], resumed["after"]})
	require.Equal(t, []int{1, 2}, n.Turn.Resumed())
	require.Equal(t, []string{"gateway-0", "gateway-1", "gateway-2"}, n.Turn.Gateways())
	require.False(t, n.Turn.Sockets[0].Own)
}

func TestFollowerWithoutARunSaysThatItMayBeAskedAgain(t *testing.T) {
	for name, refusal := range map[string][]frames.Body{
		"the socket died": nil,
		"shutting down":   {{Type: frames.Error, Code: "SHUTTING_DOWN", Retryable: true, RetryAfter: 3}},
	} {
		n := converse(t, nil, func(ctx context.Context, _ int, d *followtest.Desk) {
			d.Hear(ctx)
			d.Tell(ctx, refusal...)
		})
		require.Equal(t, follow.Replaced, n.Turn.GaveUp, name)
		require.Len(t, n.Turn.Sockets, 1, name)
		if len(refusal) > 0 {
			require.Equal(t, 3*time.Second, n.Wait)
			require.ErrorContains(t, n.errs[0], "told SHUTTING_DOWN")
		}
	}
}

func TestFollowerGivesUpWhereNothingIsLeft(t *testing.T) {
	n := converse(t, nil, func(ctx context.Context, n int, d *followtest.Desk) {
		said := d.Hear(ctx)
		if n == 0 {
			d.Tell(ctx, followtest.Accepted(said))
			return
		}
		d.Tell(ctx, frames.Body{Type: frames.Error, For: "resume", RunID: "run-1", Code: "RUN_NOT_FOUND"})
		d.Hear(ctx)
	})
	require.Equal(t, "RUN_NOT_FOUND", n.Turn.GaveUp)
}

func TestFollowerAsksAgainForARunThatCannotBeReachedNow(t *testing.T) {
	n := converse(t, nil, func(ctx context.Context, n int, d *followtest.Desk) {
		said := d.Hear(ctx)
		if n == 0 {
			d.Tell(ctx, followtest.Accepted(said))
			return
		}
		d.Tell(ctx, frames.Body{Type: frames.Error, For: "resume", Code: "BUS_UNAVAILABLE", Retryable: true})
		d.Hear(ctx)
		d.Tell(ctx, frames.Body{Type: frames.Snapshot, ID: "1", RunID: "run-1"})
		d.Tell(ctx, followtest.Rest(question(), "1", 1)...)
		d.Hear(ctx)
	})
	n.fits(t)
	require.Len(t, n.Turn.Resumes, 2)
}

func TestFollowerObeysReconnect(t *testing.T) {
	n := converse(t, nil, func(ctx context.Context, n int, d *followtest.Desk) {
		said := d.Hear(ctx)
		if n == 0 {
			d.Tell(ctx, followtest.Accepted(said))
			d.Tell(ctx, followtest.Chunks(question(), "1", 1, 1)...)
			d.Tell(ctx, frames.Body{Type: frames.Reconnect, AfterMS: 1})
			d.Hear(ctx)
			return
		}
		d.Tell(ctx, frames.Body{Type: frames.Snapshot, ID: "1", RunID: "run-1", Seq: 1})
		d.Tell(ctx, followtest.Rest(question(), "1", 2)...)
		d.Hear(ctx)
	})
	n.fits(t)
	require.True(t, n.Turn.Sockets[0].Own, "the client left by itself")
	require.Equal(t, []string{"gateway-0", "gateway-1"}, n.Turn.Gateways())
}

func TestFollowerThatLeavesStaysAway(t *testing.T) {
	n := converse(t, func(n *notes) { n.Leaves = true }, func(ctx context.Context, _ int, d *followtest.Desk) {
		d.Tell(ctx, followtest.Accepted(d.Hear(ctx)))
	})
	require.Equal(t, follow.Left, n.Turn.GaveUp)
	require.Len(t, n.Turn.Sockets, 1)
}

// TestFollowerThatIsSentAway by another goroutine ends its socket as its own.
func TestFollowerThatIsSentAway(t *testing.T) {
	n := converse(t, func(n *notes) {
		n.obeyed = func(context.Context, *frames.Body) error {
			n.left = true
			n.Socket().Cut(true)
			return nil
		}
	}, func(ctx context.Context, _ int, d *followtest.Desk) {
		d.Tell(ctx, followtest.Accepted(d.Hear(ctx)))
		d.Hear(ctx)
	})
	require.Equal(t, follow.Left, n.Turn.GaveUp)
	require.True(t, n.Turn.Sockets[0].Own)
}

func TestFollowerEndsWithItsContext(t *testing.T) {
	url := followtest.Gateway(t, func(ctx context.Context, _ int, d *followtest.Desk) {
		d.Tell(ctx, followtest.Accepted(d.Hear(ctx)))
		d.Hear(ctx)
	})
	ctx, cancel := context.WithCancel(t.Context())
	n := &notes{obeyed: func(context.Context, *frames.Body) error { cancel(); return nil }}
	var ledger follow.Ledger
	n.Follower = &follow.Follower{
		Turn: &follow.Turn{ID: "1"}, Chat: map[string]any{}, Watch: n, Backoff: follow.NewBackoff(rand.New(rand.NewPCG(1, 1))),
		Dial: func(ctx context.Context) (*follow.Socket, string, error) {
			s, err := ledger.Dial(ctx, follow.Gateway{URL: url}, "s", nil)
			return s, "", err
		},
	}
	n.Chat["id"] = "1"
	n.Follow(ctx)
	require.Equal(t, follow.Stopped, n.Turn.GaveUp)
	require.Zero(t, ledger.Open()[""])
}

func TestFollowerCancelsOnce(t *testing.T) {
	for name, asked := range map[string]bool{"its own": true, "somebody else's": false} {
		var word map[string]any
		n := converse(t, func(n *notes) {
			if !asked {
				n.Chat, n.Run = nil, "run-1"
			}
			n.obeyed = func(ctx context.Context, b *frames.Body) error {
				if b.Ends("1") {
					return nil
				}
				require.NoError(t, n.Cancel(ctx))
				return n.Cancel(ctx)
			}
		}, func(ctx context.Context, _ int, d *followtest.Desk) {
			said := d.Hear(ctx)
			first := frames.Body{Type: frames.Snapshot, ID: "1", RunID: "run-1"}
			if asked {
				first = followtest.Accepted(said)
			}
			d.Tell(ctx, first)
			word = d.Hear(ctx)
			none := ""
			d.Tell(ctx, frames.Body{Type: frames.Cancelled, ID: "1", RunID: "run-1", Seq: 1, Full: &none})
			d.Hear(ctx)
		})
		n.fits(t)
		require.False(t, n.Turn.Stopped.IsZero(), name)
		want := map[string]any{"type": "cancel", "id": "1"}
		if !asked {
			want = map[string]any{"type": "cancel", "run_id": "run-1"}
		}
		require.Equal(t, want, word, name)
	}
}

// TestRefusedSocketsWait: who finds no room comes back after a while, and not at
// once, again and again.
func TestRefusedSocketsWait(t *testing.T) {
	n := converse(t, nil, func(ctx context.Context, n int, d *followtest.Desk) {
		said := d.Hear(ctx)
		switch {
		case said == nil:
		case n == 0: // the socket dies behind the accept
			d.Tell(ctx, followtest.Accepted(said))
		case n < 4:
			d.Tell(ctx, frames.Body{Type: frames.Error, Code: "CONNECTION_LIMIT_EXCEEDED", Retryable: true})
		default:
			d.Tell(ctx, frames.Body{Type: frames.Snapshot, ID: "1", RunID: "run-1", Seq: 4, From: 1, Content: question().Whole()})
			d.Tell(ctx, followtest.Rest(question(), "1", 5)...)
			d.Hear(ctx)
		}
	})
	n.fits(t)
	require.Len(t, n.Turn.Sockets, 5)
	var waited time.Duration
	for i, s := range n.Turn.Sockets[1:4] {
		require.Contains(t, s.Why, "CONNECTION_LIMIT_EXCEEDED")
		waited += n.Turn.Sockets[i+2].Opened.Sub(s.Closed)
	}
	require.Greater(t, waited, 20*time.Millisecond, "what the seed draws, three times")
}
