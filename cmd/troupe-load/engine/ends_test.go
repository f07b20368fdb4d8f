package engine

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// Whoever asks once, or again when the answer has come, asks a server that never
// answers in the warm-up alone. Nothing that was due while it was measured is left
// open then, and still no answer has an end.
func TestAServerThatNeverAnswersFailsAlsoWhereItWasAskedInTheWarmUp(t *testing.T) {
	f := newFake(t, func(func(string), asked, *websocket.Conn) {})
	for _, arrival := range []string{scenario.ArrivalOnce, scenario.ArrivalClosed} {
		s := plan(t, "questions: {provider: x, models: y, spread: 0s, arrival: "+arrival+"}\n")
		s.WarmUp, s.Timeouts.Finish = scenario.Duration(500*time.Millisecond), scenario.Duration(50*time.Millisecond)
		r := load(t, s, f.url())
		require.Zero(t, r.Totals.Questions, "none was due while it was measured")
		ends := check(t, r, breachEnds)
		require.False(t, ends.OK, arrival)
		require.Equal(t, "4 questions without an end", ends.Detail)
	}
}

func TestARunThatEndsBeforeItMeasuresIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t, func(say func(string), q asked, c *websocket.Conn) {
		honest(say, q, c)
		cancel()
	})
	s := plan(t, named)
	s.WarmUp = scenario.Duration(time.Hour)
	_, err := Run(ctx, s, Options{URL: f.url(), Metrics: "off"})
	require.ErrorContains(t, err, "nothing was measured")
}

// The server may have stopped an answer while its client was away: that it was
// away too long is nobody's lie.
func TestAnAnswerThatWasLeftMayBeCancelled(t *testing.T) {
	f := newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
		if q.Type == "chat" {
			say(`{"type":"accepted","id":"1","run_id":"r"}`)
			say(`{"type":"chunk","id":"1","seq":1,"content":"a"}`)
			return
		}
		say(`{"type":"cancelled","id":"1","run_id":"r","seq":2,"full_response":"a"}`)
	})
	s := plan(t, named+"reconnect: {resume: true, back: 0s}\n")
	s.Duration, s.Reconnect.DropAt = scenario.Duration(time.Second), scenario.Moments{scenario.Duration(500 * time.Millisecond)}
	r := load(t, s, f.url())
	require.Equal(t, int64(4), r.Totals.Cancelled)
	require.True(t, check(t, r, breachEnds).OK, "%v", r.Errors)
}

// A server may let a slow reader go, and a plan may allow that. One that reads all
// there is is none.
func TestAFastReaderThatIsLetGoIsNoSlowOne(t *testing.T) {
	f := newFake(t, func(_ func(string), _ asked, c *websocket.Conn) {
		_ = c.Close(websocket.StatusTryAgainLater, codeSlowConsumer)
	})
	for share, code := range map[string]string{"0": codeFastCut, "1": codeSlowConsumer} {
		s := plan(t, named+"reconnect: {when_lost: false}\nchecks: {max_errors: 0, allow: [SLOW_CONSUMER]}\nslow_readers: {share: "+share+"}\n")
		r := load(t, s, f.url())
		require.Equal(t, map[string]int64{code: 4}, errorsOf(r), share)
		require.Equal(t, code == codeSlowConsumer, check(t, r, "errors").OK, share)
	}
}
