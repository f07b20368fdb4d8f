package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/follow"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/frames"
)

func TestExpectations(t *testing.T) {
	killed := harm{harmKill, "worker-1", at(300 * time.Millisecond), at(300 * time.Millisecond)}
	gatewayKilled := harm{harmKill, "gateway-1", at(300 * time.Millisecond), at(300 * time.Millisecond)}
	lost := func(d time.Duration) func(*evidence) {
		return func(e *evidence) {
			w := e.Turns[0]
			partial := w.Ask.Piece(1)
			w.Frames = append(w.Frames[:2:2], heard(d, 0, frames.Body{Type: frames.Error, ID: "1", Code: "WORKER_LOST", Partial: &partial}))
			e.Calls[0].End, e.Calls[0].Done = killed.From, false
			e.Harms = []harm{killed}
		}
	}
	leaves := func(end time.Duration) func(*evidence) {
		return func(e *evidence) {
			w := e.Turns[0]
			w.Policy, w.GaveUp, w.Frames = policyCancel, follow.Left, w.Frames[:3]
			w.Sockets[0].Own, w.Sockets[0].Closed = false, at(301*time.Millisecond)
			e.Calls[0].End, e.Calls[0].Done = at(end), false
			e.Harms = []harm{gatewayKilled}
		}
	}
	busy := func(change func(*load)) func(*evidence) {
		return func(e *evidence) {
			h := killed
			h.From = at(2 * time.Second)
			l := load{From: at(0), To: at(10 * time.Second), Burners: 4, CPUs: 2, Burned: 15 * time.Second}
			change(&l)
			e.Harms, e.Loads = []harm{h}, []load{l}
		}
	}
	for name, c := range map[string]struct {
		expect expectation
		change func(*evidence)
		red    bool
	}{
		"all complete":                     {allComplete, func(*evidence) {}, false},
		"one is lost":                      {allComplete, lost(time.Second), true},
		"told in time":                     {toldInTime, lost(time.Second), false},
		"told late":                        {toldInTime, lost(3 * time.Second), true},
		"no socket lost":                   {noSocketLost, func(*evidence) {}, false},
		"a socket lost":                    {noSocketLost, func(e *evidence) { e.Turns[1].Sockets[0].Own = false }, true},
		"no error":                         {noError, func(*evidence) {}, false},
		"an error":                         {noError, lost(time.Second), true},
		"honest":                           {honestEnds, lost(time.Second), false},
		"in vain":                          {honestEnds, func(e *evidence) { e.Turns[0].Frames, e.Turns[0].GaveUp = nil, giveUpDeadline }, true},
		"only victims were hit":            {othersUntouched, func(e *evidence) { lost(time.Second)(e); e.Calls[1].Worker, e.Calls[2].Worker = "worker-2", "worker-3" }, false},
		"somebody else was":                {othersUntouched, func(e *evidence) { lost(time.Second)(e); e.Calls[0].Worker = "worker-2" }, true},
		"left, and the call ended":         {leaversStopped, leaves(time.Second), false},
		"left, and the call went on":       {leaversStopped, leaves(4 * time.Second), true},
		"left, and others complete":        {allButLeaversComplete, leaves(time.Second), false},
		"killed under load":                {fullLoad, busy(func(*load) {}), false},
		"nobody burned":                    {fullLoad, lost(time.Second), true},
		"burned too late":                  {fullLoad, busy(func(l *load) { l.From = at(1500 * time.Millisecond) }), true},
		"burned too short":                 {fullLoad, busy(func(l *load) { l.To = at(3 * time.Second) }), true},
		"burners that rested":              {fullLoad, busy(func(l *load) { l.Burned = time.Second }), true},
		"burners that never were":          {fullLoad, busy(func(l *load) { *l = load{} }), true},
		"a gateway's death cost an answer": {allButLeaversComplete, lost(time.Second), true},
	} {
		t.Run(name, func(t *testing.T) {
			e := genuine()
			c.change(e)
			v := newVerdict(e)
			c.expect(v)
			require.Equal(t, c.red, len(v.breaches) > 0, "%v", v.breaches)
		})
	}
}

func TestFigures(t *testing.T) {
	e := genuine()
	e.Turns[0].Stopped = at(100 * time.Millisecond)
	e.Calls[0].Done, e.Calls[0].End = false, at(110*time.Millisecond)
	resumeAfter(e.Turns[1], 3)
	e.Turns[1].Sockets[0].Closed = at(301 * time.Millisecond)
	e.Harms = []harm{{harmKill, "gateway-1", at(300 * time.Millisecond), at(300 * time.Millisecond)}}
	f := newVerdict(e).figures()
	require.Equal(t, []time.Duration{10 * time.Millisecond}, f.Cancels)
	require.Contains(t, f.Resumed, 100*time.Millisecond)
	require.Equal(t, 3, f.Complete)
	require.Equal(t, 1, f.Resumes)
	require.Zero(t, f.Lost)
	var sum figures
	sum.add(f)
	sum.add(f)
	require.Equal(t, 6, sum.Complete)
}

func TestPercentile(t *testing.T) {
	var values []time.Duration
	require.Zero(t, percentile(values, 99))
	for i := range 100 {
		values = append(values, time.Duration(100-i))
	}
	require.EqualValues(t, 50, percentile(values, 50))
	require.EqualValues(t, 99, percentile(values, 99))
	require.EqualValues(t, 100, percentile(values, 100))
	require.EqualValues(t, 7, percentile([]time.Duration{7}, 1))
}
