package engine

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// A server that answers at once but for one second in the middle: whoever was to
// ask in that second must show in the figures, although nobody could ask then.
func TestAStallShowsInAnOpenLoop(t *testing.T) {
	const stall = time.Second
	stalling := func() *fake {
		var gate sync.Mutex
		return newFake(t, func(say func(string), q asked, _ *websocket.Conn) {
			gate.Lock()
			if q.n == 40 {
				time.Sleep(stall) // the fault that is injected
			}
			gate.Unlock()
			say(fmt.Sprintf(`{"type":"chunk","id":"%s","seq":1,"content":"x"}`, q.ID))
			say(fmt.Sprintf(`{"type":"complete","id":"%s","seq":2,"full_response":"x"}`, q.ID))
		})
	}
	s := plan(t, "questions: {named: true, provider: x, models: y, arrival: constant, rate: 100}\n")
	s.Duration = scenario.Duration(2 * time.Second)
	open := load(t, s, stalling().url())
	require.InDelta(t, 199, open.Totals.Questions, 2, "the clock asks, not the answers")
	require.Zero(t, open.Totals.Unfinished)
	require.Contains(t, open.Load.Why, "fell due when no connection had room")
	first := open.Latencies[report.LatencyFirst]
	require.Greater(t, first.P99, 0.8, "about half of the questions fell due during the stall")
	require.Greater(t, first.P90, 0.5)
	require.Greater(t, first.Mean, 0.15)

	// The same server under a closed loop: four clients wait politely, and the
	// stall is four samples of many. That is what an open loop is for.
	s = plan(t, "questions: {named: true, provider: x, models: y, arrival: closed, think: 10ms, spread: 0s}\n")
	s.Duration = scenario.Duration(2 * time.Second)
	closed := load(t, s, stalling().url()).Latencies[report.LatencyFirst]
	require.Less(t, closed.P90, 0.5)
	require.Less(t, closed.Mean, first.Mean)
}

func TestWhatFindsNoRoomIsUnfinished(t *testing.T) {
	f := newFake(t, func(func(string), asked, *websocket.Conn) {}) // never answers
	s := plan(t, "questions: {named: true, provider: x, models: y, arrival: constant, rate: 100}\n")
	s.Timeouts.Finish = scenario.Duration(100 * time.Millisecond)
	r := load(t, s, f.url())
	require.InDelta(t, 29, r.Totals.Questions, 2)
	require.Equal(t, r.Totals.Questions, r.Totals.Unfinished)
	require.Equal(t, int64(4), f.questions.Load(), "four had room")
}
