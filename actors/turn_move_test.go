package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// unreached is the end of a run that could not reach its vendor.
func unreached(run string, seq uint64) *bus.Event {
	return &bus.Event{
		Type: bus.EventError, Run: run, Seq: seq, Provider: "vendor", Model: "m", Attempts: 3, Elsewhere: true,
		Code: string(protocol.ProviderUnavailable), Message: "Not reached.", RetryAfter: 7,
		Usage: &bus.Usage{InputTokens: 1},
	}
}

// movableTurn has an accept of w1, and was told that others could be asked.
func movableTurn() *turn {
	t := turnIn(turnAccepted)
	t.movable = true
	return t
}

// moving is what a turn does about an end that another worker may better.
const moving = "offered +move"

// TestTurnMoves: every condition of a move, each missing once.
func TestTurnMoves(t *testing.T) {
	require.Equal(t, moving, func() string { u := movableTurn(); return outcome(u, u.ended(unreached(u.run, 1))) }())
	tests := map[string]func(t *turn, e *bus.Event){
		"the run does not say so":  func(_ *turn, e *bus.Event) { e.Elsewhere = false },
		"it is no error":           func(_ *turn, e *bus.Event) { e.Type = bus.EventCancelled },
		"nobody else was there":    func(t *turn, _ *bus.Event) { t.movable = false },
		"text was shown":           func(t *turn, e *bus.Event) { t.state, t.seq, t.text, e.Seq = turnStreaming, 1, words(1, 1), 2 },
		"it is cancelled":          func(t *turn, _ *bus.Event) { t.cancel() },
		"it only watches":          func(t *turn, e *bus.Event) { t.viewer, t.seq, t.state, e.Seq = true, 0, turnStreaming, 1 },
		"it has moved before":      func(t *turn, _ *bus.Event) { t.attempt = 2 },
		"one attempt is all":       func(t *turn, _ *bus.Event) { t.attempts = 1 },
		"another worker died once": func(t *turn, _ *bus.Event) { t.lost(); t.accepted("w2-b", "w2", false) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			u, e := movableTurn(), unreached("w1-run", 1)
			change(u, e)
			s := u.ended(e)
			require.Equal(t, doAck, s.verb)
			require.True(t, s.end)
			require.Equal(t, turnEnded, u.state)
		})
	}
}

// TestTurnMoveEarly: an end that overtook chunks is no reason to move yet.
func TestTurnMoveEarly(t *testing.T) {
	u := movableTurn()
	require.Equal(t, "accepted +heal", outcome(u, u.ended(unreached(u.run, 3))))
}

// TestTurnMoved: the second worker answers; its accept is told again, and the
// calls of both are counted.
func TestTurnMoved(t *testing.T) {
	u := movableTurn()
	u.ended(unreached(u.run, 1))
	u.run, u.worker = "", "" // as its connection does
	require.True(t, u.avoiding)
	require.Equal(t, []int{2, 1}, []int{u.attempt, u.offers})
	s := u.accepted("w2-b", "w2", false)
	require.Equal(t, "accepted !accepted", outcome(u, s))
	require.Equal(t, "w2-b", s.frame.RunID)
	s = u.ended(&bus.Event{Type: bus.EventComplete, Seq: 1, Attempts: 2})
	require.Equal(t, "ended +ack !complete end", outcome(u, s))
	require.Equal(t, 5, s.frame.Attempts)
}

// TestTurnMovedKey: the second worker gets the user's key, too.
func TestTurnMovedKey(t *testing.T) {
	u := movableTurn()
	u.ended(unreached(u.run, 1))
	u.run = ""
	require.Equal(t, "accepted +key !accepted", outcome(u, u.accepted("w2-b", "w2", true)))
}

// TestTurnNoOther: nobody else takes it: everybody may, the first worker too;
// nobody at all: what the first run said counts, with its calls counted once.
func TestTurnNoOther(t *testing.T) {
	for _, tt := range []struct {
		name     string
		again    bool // somebody may have room
		avoiding int  // offers before it is open to all
		open     int  // offers before it is given up
	}{{"busy", true, offersAvoiding, offersMax}, {"all have left", false, 1, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			u := movableTurn()
			u.ended(unreached(u.run, 1))
			u.run = ""
			for n := 1; n < tt.avoiding+tt.open; n++ {
				require.Equal(t, n <= tt.avoiding, u.avoiding, "offer %d", n)
				require.Equal(t, "offered +offer", outcome(u, u.noRoom(epoch(), tt.again)))
			}
			require.False(t, u.avoiding)
			s := u.noRoom(epoch(), tt.again)
			require.Equal(t, "ended !error:PROVIDER_UNAVAILABLE end", outcome(u, s), "it must not queue: it has its error")
			f := s.frame
			require.Equal(t, []any{"Not reached.", 7, 3, "vendor", "m"}, []any{f.Message, f.RetryAfter, f.Attempts, f.Provider, f.Model})
			require.Nil(t, f.Text)
			require.Equal(t, &protocol.Usage{InputTokens: 1}, f.Usage)
		})
	}
}

// TestTurnNoOtherAgain: the first worker, asked once more, has the last word.
func TestTurnNoOtherAgain(t *testing.T) {
	u := movableTurn()
	u.ended(unreached(u.run, 1))
	u.run = ""
	u.noRoom(epoch(), false)
	require.Equal(t, "accepted !accepted", outcome(u, u.accepted("w1-c", "w1", false)))
	u.movable = true // whatever the job said
	e := unreached("w1-c", 1)
	e.Message, e.Attempts = "Still not.", 4
	s := u.ended(e)
	require.Equal(t, "ended +ack !error:PROVIDER_UNAVAILABLE end", outcome(u, s))
	require.Equal(t, []any{"Still not.", 7}, []any{s.frame.Message, s.frame.Attempts})
}

// TestTurnMovedThenCancelled: while the job is out the accept decides, or its
// absence.
func TestTurnMovedThenCancelled(t *testing.T) {
	for want, then := range map[string]func(u *turn) step{
		"accepted +cancel !accepted": func(u *turn) step { return u.accepted("w2-b", "w2", true) },
		"ended !cancelled end":       func(u *turn) step { return u.noRoom(epoch(), true) },
	} {
		u := movableTurn()
		u.ended(unreached(u.run, 1))
		u.run = ""
		require.Equal(t, "offered", outcome(u, u.cancel()))
		require.Equal(t, want, outcome(u, then(u)))
	}
}

// TestTurnMovedThenLost: a third worker is not asked.
func TestTurnMovedThenLost(t *testing.T) {
	u := movableTurn()
	u.ended(unreached(u.run, 1))
	u.run = ""
	u.accepted("w2-b", "w2", false)
	require.Equal(t, "ended !error:WORKER_LOST end", outcome(u, u.lost()))
}

func placedAt(n int) *bus.Event {
	state := protocol.StateQueued
	if n == 0 {
		state = protocol.StateStreaming
	}
	return &bus.Event{Type: bus.EventStatus, State: state, Position: n}
}

// TestTurnPlaced: each new place is told once, and so is the end of waiting.
func TestTurnPlaced(t *testing.T) {
	u := turnIn(turnAccepted)
	for _, tt := range []struct {
		place int
		want  string
		shown int
	}{
		{0, "accepted", 0},
		{3, "accepted !status:queued", 3},
		{3, "accepted", 0},
		{1, "accepted !status:queued", 1},
		{0, "accepted !status:waiting", 0},
		{0, "accepted", 0},
	} {
		s := u.placed(placedAt(tt.place))
		require.Equal(t, tt.want, outcome(u, s), tt.place)
		require.Equal(t, tt.shown, s.frame.Position)
	}
	unnamed := turnIn(turnAccepted)
	unnamed.named = false
	for _, quiet := range []*turn{unnamed, turnIn(turnStreaming), turnIn(turnOffered), turnIn(turnEnded)} {
		require.False(t, quiet.placed(placedAt(2)).send)
	}
}

// TestTurnPlacedAndSilent: who stands in the queue is not told that the vendor
// is waited for.
func TestTurnPlacedAndSilent(t *testing.T) {
	u := turnIn(turnAccepted)
	u.placed(placedAt(2))
	s := u.silence(epoch().Add(silenceStatus))
	require.Equal(t, "accepted !status:queued", outcome(u, s))
	require.Equal(t, 2, s.frame.Position)
	u.placed(placedAt(0))
	require.Equal(t, "accepted !status:waiting", outcome(u, u.silence(epoch().Add(time.Hour))))
}

// TestTurnPlacedElsewhere: a place in one worker's queue says nothing about the
// next one's.
func TestTurnPlacedElsewhere(t *testing.T) {
	for name, leave := range map[string]func(u *turn){
		"moved": func(u *turn) { u.ended(unreached(u.run, 1)) },
		"lost":  func(u *turn) { u.lost() },
	} {
		t.Run(name, func(t *testing.T) {
			u := movableTurn()
			u.placed(placedAt(1))
			leave(u)
			u.run = ""
			u.accepted("w2-b", "w2", false)
			require.Equal(t, "accepted !status:queued", outcome(u, u.placed(placedAt(1))))
		})
	}
}
