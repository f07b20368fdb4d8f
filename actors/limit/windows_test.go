package limit

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	alice = "192.0.2.1"
	bob   = "2001:db8::/64"
)

var (
	start   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	socket  = ConnectOptions{CountConnection: true}
	live    = ConnectOptions{CountConnection: true, Connected: true}
	http    = ConnectOptions{}
	unnamed = ConnectOptions{NewSession: true}
)

// 50 connections per 5 minutes: the 51st is refused, refused attempts consume
// nothing, and the wait that is named is the wait.
func TestConnectionWindow(t *testing.T) {
	w := NewWindows(Default())
	for i := range 50 {
		d := w.Connect(start.Add(time.Duration(i)*time.Second), alice, "s", socket)
		require.True(t, d.OK)
		require.Equal(t, Decision{
			OK: true, Limit: Connections, Rule: Default().Connections, Count: i + 1,
			Stamp: start.Add(time.Duration(i) * time.Second), grant: d.grant,
		}, d)
	}
	now := start.Add(50 * time.Second)
	for range 1000 {
		require.Equal(t, Decision{
			Limit: Connections, Rule: Default().Connections, Count: 50,
			RetryAfter: 5*time.Minute - 50*time.Second, Stamp: now,
		}, w.Connect(now, alice, "s", socket))
	}
	require.True(t, w.Connect(now, bob, "s", socket).OK, "another address")
	require.True(t, w.Message(now, alice, "s").OK, "another limit")

	open := start.Add(5 * time.Minute)
	require.Equal(t, time.Nanosecond, w.Connect(open.Add(-1), alice, "s", socket).RetryAfter)
	require.True(t, w.Connect(open, alice, "s", socket).OK, "the first has left")
	d := w.Connect(open, alice, "s", socket)
	require.False(t, d.OK)
	require.Equal(t, time.Second, d.RetryAfter, "the second leaves a second later")
}

func TestMessageWindow(t *testing.T) {
	w := NewWindows(Default())
	for i := range 30 {
		require.Equal(t, i+1, w.Message(start, alice, "s").Count)
	}
	d := w.Message(start, alice, "s")
	require.Equal(t, Decision{
		Limit: Messages, Rule: Default().Messages, Count: 30, RetryAfter: time.Minute, Stamp: start,
	}, d)
	require.True(t, w.Message(start, alice, "t").OK, "another session")
	require.True(t, w.Message(start, bob, "s").OK, "another address")
	require.True(t, w.Message(start, alice, "").OK, "the address's own window")
	require.False(t, w.Message(start.Add(d.RetryAfter-1), alice, "s").OK)
	require.True(t, w.Message(start.Add(d.RetryAfter), alice, "s").OK)
}

// TestMayMessage: who asks whether it may has not asked yet. What it is told is
// what it would be told, and no key is made for it.
func TestMayMessage(t *testing.T) {
	w := NewWindows(Config{Messages: Rule{Max: 3, Window: time.Minute}})
	for range 1000 {
		require.True(t, w.MayMessage(start, alice, "s").OK)
	}
	require.Zero(t, w.Len(), "a question that was not asked is remembered")
	for i := range 3 {
		require.True(t, w.MayMessage(start, alice, "s").OK)
		require.Equal(t, i+1, w.Message(start, alice, "s").Count, "it was counted")
	}
	for _, after := range []time.Duration{0, time.Second, time.Minute - 1} {
		now := start.Add(after)
		d := w.MayMessage(now, alice, "s")
		require.False(t, d.OK)
		require.Equal(t, time.Minute-after, d.RetryAfter)
		asked := w.Message(now, alice, "s")
		require.Equal(t, asked.RetryAfter, d.RetryAfter)
		require.Equal(t, asked.Rule, d.Rule)
		require.True(t, w.MayMessage(now, bob, "s").OK)
		require.True(t, w.MayMessage(now, alice, "").OK)
	}
	require.Equal(t, 1, w.Len())
	now := start.Add(time.Minute)
	for range 1000 {
		require.True(t, w.MayMessage(now, alice, "s").OK)
	}
	require.Equal(t, 1, w.Message(now, alice, "s").Count)

	off := NewWindows(Config{})
	require.True(t, off.MayMessage(start, alice, "s").OK)
	require.Zero(t, off.Len())
}

func TestSessionWindow(t *testing.T) {
	w := NewWindows(Default())
	for i := range 5 {
		require.True(t, w.Connect(start, alice, fmt.Sprint("s", i), socket).OK)
	}
	d := w.Connect(start.Add(time.Minute), alice, "s5", socket)
	require.Equal(t, Decision{
		Limit: Sessions, Rule: Default().Sessions, Count: 5,
		RetryAfter: 59 * time.Minute, Stamp: start.Add(time.Minute),
	}, d)
	require.False(t, w.Connect(start.Add(time.Minute), alice, "s5", http).OK, "HTTP counts sessions too")
	require.True(t, w.Connect(start.Add(time.Minute), alice, "s0", socket).OK, "seen: not new")
	require.True(t, w.Connect(start.Add(time.Minute), alice, "s5", live).OK, "connected: not new")
	require.True(t, w.Connect(start.Add(time.Minute), alice, "made-up", unnamed).OK, "no session is counted")
	require.False(t, w.Connect(start.Add(2*time.Minute), alice, "made-up", socket).OK, "nor remembered")
	require.True(t, w.Connect(start, bob, "s5", socket).OK, "another address")
	require.False(t, w.Connect(start.Add(time.Hour-1), alice, "s6", socket).OK)
	require.True(t, w.Connect(start.Add(time.Hour), alice, "s6", socket).OK)
}

// A refused session leaves the connection window as it was, and the other way round.
func TestRefusalConsumesNothing(t *testing.T) {
	c := Config{Connections: Rule{2, time.Minute}, Sessions: Rule{1, time.Hour}}
	w := NewWindows(c)
	require.True(t, w.Connect(start, alice, "s", socket).OK)
	keys := w.Len()
	for range 10 {
		require.Equal(t, Sessions, w.Connect(start, alice, "t", socket).Limit)
	}
	require.Equal(t, 2, w.Connect(start, alice, "s", socket).Count, "the tenth refusal counted for nothing")
	for range 10 {
		require.Equal(t, Connections, w.Connect(start, alice, "s", socket).Limit)
	}
	require.Equal(t, keys, w.Len())
	require.False(t, w.Known(start, alice, "t"))
	require.True(t, w.Known(start, alice, "s"))

	d := w.Connect(start, alice, "t", socket)
	require.Equal(t, Sessions, d.Limit, "both refuse: the one that takes longer is named")
	require.Equal(t, time.Hour, d.RetryAfter)
	require.True(t, w.Connect(start.Add(d.RetryAfter), alice, "t", socket).OK)
}

// A session that is known now will be new when the connection window opens; the
// wait that is named covers that too.
func TestRetryAfterSeesTheSessionLapse(t *testing.T) {
	w := NewWindows(Config{Connections: Rule{1, 10 * time.Second}, Sessions: Rule{1, 12 * time.Second}})
	require.True(t, w.Connect(start, alice, "s", http).OK)
	require.True(t, w.Connect(start.Add(12*time.Second), alice, "t", http).OK)
	w.Seen(start.Add(12*time.Second), alice, "s")
	require.True(t, w.Connect(start.Add(20*time.Second), alice, "t", socket).OK)

	now := start.Add(23 * time.Second) // the window opens at 30s, s lapses at 24s, a new one may come at 24s
	require.Equal(t, Connections, w.Connect(now, alice, "s", socket).Limit)
	require.Equal(t, 7*time.Second, w.Connect(now, alice, "s", socket).RetryAfter)

	w.ChargeConnect(start.Add(23*time.Second), alice, "u", http) // now a new one may come at 35s
	d := w.Connect(now, alice, "s", socket)
	require.Equal(t, Sessions, d.Limit)
	require.Equal(t, 12*time.Second, d.RetryAfter)
	require.False(t, w.Connect(now.Add(d.RetryAfter-1), alice, "s", socket).OK)
	require.True(t, w.Connect(now.Add(d.RetryAfter), alice, "s", socket).OK)
}

func TestReconnectingSessionIsNotNew(t *testing.T) {
	w := NewWindows(Config{Sessions: Rule{1, time.Hour}})
	require.True(t, w.Connect(start, alice, "s", socket).OK)
	now := start
	for range 5 { // each visit refreshes; the count is still of the first
		now = now.Add(59 * time.Minute)
		require.Equal(t, 0, w.Connect(now, alice, "s", socket).Count, "nothing was asked")
	}
	require.True(t, w.Connect(now, alice, "t", socket).OK, "the first session's hour is over")
	require.False(t, w.Connect(now, alice, "u", socket).OK)

	w.Seen(now.Add(30*time.Minute), alice, "s")
	end := now.Add(90 * time.Minute)
	require.True(t, w.Known(end.Add(-1), alice, "s"))
	require.False(t, w.Known(end, alice, "s"), "forgotten an hour after its connection ended")

	w.Seen(end, alice, "never-admitted-here")
	require.True(t, w.Known(end, alice, "never-admitted-here"), "a connection may outlive the window")
	w.Seen(end, alice, "")
	require.False(t, w.Known(end, alice, ""))
}

func TestOff(t *testing.T) {
	w := NewWindows(Config{})
	for range 1000 {
		require.True(t, w.Connect(start, alice, "s", socket).OK)
		require.True(t, w.Message(start, alice, "s").OK)
		w.ChargeConnect(start, alice, "s", socket)
		w.ChargeMessage(start, alice, "s")
		w.Seen(start, alice, "s")
	}
	require.Zero(t, w.Len(), "what is off is not tracked")
	require.Equal(t, Decision{OK: true, Limit: Messages, Stamp: start}, w.Message(start, alice, "s"))

	w.SetConfig(Config{Connections: Rule{1, time.Minute}})
	require.True(t, w.Connect(start, alice, "s", socket).OK)
	require.False(t, w.Connect(start, alice, "s", socket).OK)
	require.True(t, w.Connect(start, alice, "s", http).OK, "HTTP is no connection")
	require.Equal(t, 1, w.Len())
}

func TestReset(t *testing.T) {
	w := NewWindows(Config{
		Connections: Rule{1, time.Minute}, Messages: Rule{1, time.Minute}, Sessions: Rule{1, time.Minute},
	})
	d := w.Connect(start, alice, "s", socket)
	require.True(t, d.OK)
	require.True(t, w.Message(start, alice, "s").OK)
	require.False(t, w.Connect(start, alice, "s", socket).OK)
	require.Equal(t, 4, w.Reset())
	require.Zero(t, w.Len())
	require.Zero(t, w.Reset())

	w.RefundConnect(alice, "s", d) // late: there is nothing left of it
	require.True(t, w.Connect(start.Add(1), alice, "t", socket).OK)
	w.RefundConnect(alice, "s", d)
	require.False(t, w.Connect(start.Add(1), alice, "t", socket).OK)
	require.True(t, w.Message(start, alice, "s").OK)
}

func TestRefund(t *testing.T) {
	c := Config{Connections: Rule{2, time.Minute}, Sessions: Rule{1, time.Minute}}
	w := NewWindows(c)
	for range 100 { // a full pool must not use up the windows
		d := w.Connect(start, alice, "s", socket)
		require.True(t, d.OK)
		w.RefundConnect(alice, "s", d)
		require.Zero(t, w.Len())
	}
	require.True(t, w.Connect(start, alice, "t", socket).OK, "s was never counted")

	refused := w.Connect(start, alice, "u", socket)
	require.False(t, refused.OK)
	w.RefundConnect(alice, "u", refused)
	require.Equal(t, 2, w.Connect(start, alice, "t", socket).Count, "a refusal has nothing to give back")
}

// The session is counted by the first of two connections; when that one is
// refunded, the other one still stands for it.
func TestRefundOfSharedSession(t *testing.T) {
	w := NewWindows(Config{Connections: Rule{5, time.Minute}, Sessions: Rule{1, time.Minute}})
	first := w.Connect(start, alice, "s", socket)
	second := w.Connect(start, alice, "s", socket)
	require.True(t, first.OK && second.OK)
	w.RefundConnect(alice, "s", first)
	require.Equal(t, Sessions, w.Connect(start, alice, "t", socket).Limit)
	require.Equal(t, 2, w.Connect(start, alice, "s", socket).Count)
	w.RefundConnect(alice, "s", second)
	require.Equal(t, 2, w.Connect(start, alice, "s", socket).Count)
}

func TestCharge(t *testing.T) {
	w := NewWindows(Config{
		Connections: Rule{2, time.Minute}, Messages: Rule{2, time.Minute}, Sessions: Rule{1, time.Minute},
	})
	require.True(t, w.Message(start, alice, "s").OK)
	w.ChargeMessage(start.Add(1*time.Second), alice, "s")
	w.ChargeMessage(start.Add(2*time.Second), alice, "s")
	d := w.Message(start.Add(3*time.Second), alice, "s")
	require.Equal(t, 3, d.Count, "one more than the limit")
	require.Equal(t, 58*time.Second, d.RetryAfter, "two have to leave")
	require.False(t, w.Message(start.Add(61*time.Second-1), alice, "s").OK)
	require.True(t, w.Message(start.Add(61*time.Second), alice, "s").OK)

	for range 100 {
		w.ChargeMessage(start, bob, "s")
	}
	require.Equal(t, 3, w.Message(start, bob, "s").Count, "a key keeps the limit and half of it, no more")

	first := w.ChargeConnect(start, alice, "s", socket)
	require.True(t, first.OK)
	second := w.ChargeConnect(start, alice, "t", socket)
	require.Equal(t, 2, second.Count)
	require.Equal(t, Connections, w.Connect(start, alice, "s", socket).Limit)
	w.RefundConnect(alice, "t", second)
	require.True(t, w.Connect(start, alice, "s", socket).OK)
	w.RefundConnect(alice, "s", first)
	require.Equal(t, Sessions, w.Connect(start, alice, "t", socket).Limit, "s was used since, so it stays counted")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestReload(t *testing.T) {
	rule := func(limit int, window time.Duration) Config {
		return Config{Messages: Rule{limit, window}}
	}
	w := NewWindows(rule(4, time.Minute))
	for i := range 4 {
		require.True(t, w.Message(start.Add(time.Duration(i)*time.Second), alice, "s").OK)
	}
	now := start.Add(10 * time.Second)

	w.SetConfig(rule(6, time.Minute))
	require.Equal(t, 5, w.Message(now, alice, "s").Count, "grown: there is room at once")

	w.SetConfig(rule(2, time.Minute)) // holds 0s 1s 2s 3s 10s
	d := w.Message(now, alice, "s")
	require.Equal(t, 5, d.Count)
	require.Equal(t, 53*time.Second, d.RetryAfter, "shrunk: 3s has to leave")
	require.False(t, w.Message(start.Add(63*time.Second-1), alice, "s").OK)
	require.True(t, w.Message(start.Add(63*time.Second), alice, "s").OK)

	w.SetConfig(rule(2, 20*time.Second)) // holds 10s 63s
	require.Equal(t, 2, w.Message(start.Add(64*time.Second), alice, "s").Count, "a shorter window forgets at once")
	w.SetConfig(rule(2, time.Hour))
	require.Equal(t, time.Hour-10*time.Second, w.Message(start.Add(73*time.Second), alice, "s").RetryAfter)
	w.SetConfig(rule(0, 0))
	require.True(t, w.Message(start.Add(74*time.Second), alice, "s").OK)
	w.SetConfig(rule(2, time.Hour))
	require.False(t, w.Message(start.Add(75*time.Second), alice, "s").OK, "off and on again keeps the history")
}

func TestClockBackwards(t *testing.T) {
	w := NewWindows(Default())
	for range 30 {
		require.True(t, w.Message(start, alice, "s").OK)
	}
	back := start.Add(-24 * time.Hour)
	d := w.Message(back, alice, "s")
	require.False(t, d.OK)
	require.Equal(t, time.Minute, d.RetryAfter, "one window from the new now, not a day")
	require.False(t, w.Message(back.Add(time.Minute-1), alice, "s").OK)
	require.True(t, w.Message(back.Add(time.Minute), alice, "s").OK)

	// A refund still finds what was pulled down.
	c := w.Connect(start, bob, "s", socket)
	require.Equal(t, 2, w.Connect(back, bob, "s", socket).Count)
	w.RefundConnect(bob, "s", c)
	require.Equal(t, 2, w.Connect(back, bob, "s", socket).Count)
}

// A time of the far past or future neither overflows nor locks anybody out.
func TestClockExtremes(t *testing.T) {
	far := []time.Time{
		{}, time.Unix(1<<60, 0), time.Unix(-1<<60, 0), start, time.Unix(1<<62, 0), {},
	}
	w := NewWindows(Config{Messages: Rule{1, time.Minute}})
	for _, now := range far {
		if d := w.Message(now, alice, "s"); !d.OK {
			require.LessOrEqual(t, d.RetryAfter, time.Minute)
			require.Positive(t, d.RetryAfter)
			require.True(t, w.Message(now.Add(d.RetryAfter), alice, "s").OK)
		}
		w.Sweep(now)
	}
}

func TestSweep(t *testing.T) {
	w := NewWindows(Default())
	require.True(t, w.Connect(start, alice, "s", socket).OK)
	require.True(t, w.Message(start, alice, "s").OK)
	for _, tt := range []struct {
		after time.Duration
		keys  int
	}{
		{0, 4},
		{time.Minute - 1, 4},
		{time.Minute, 3},
		{5 * time.Minute, 2},
		{time.Hour - 1, 2},
		{time.Hour, 0},
	} {
		w.Sweep(start.Add(tt.after))
		require.Equal(t, tt.keys, w.Len(), "after %v", tt.after)
	}

	const keys = 3*sweepSteps + 1
	for i := range keys {
		w.Message(start, alice, fmt.Sprint(i))
	}
	for i := 1; i <= 3; i++ {
		w.Sweep(start.Add(time.Minute))
		require.Equal(t, keys-i*sweepSteps, w.Len(), "a bounded piece at a time")
	}
	w.Sweep(start.Add(time.Minute))
	require.Zero(t, w.Len())
}

func TestConcurrentUse(t *testing.T) {
	w, f, l := NewWindows(Default()), NewFallback(Default()), NewLeases[guest](4, 2)
	var admitted [8]int
	var wg sync.WaitGroup
	for g := range admitted {
		wg.Go(func() {
			for i := range 200 {
				admitted[g] += btoi(w.Message(start, alice, "s").OK)
				owner := guest{fmt.Sprint(g, i), alice, "s"}
				if ok, _ := l.Acquire(owner); ok {
					d := w.Connect(start, alice, "s", live)
					w.RefundConnect(alice, "s", d)
					l.Release(owner)
				}
				f.Message(start, alice, "s")
				w.SetConfig(Default())
				w.Sweep(start)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range admitted {
		sum += n
	}
	require.Equal(t, 30, sum)
	require.Zero(t, l.Active())
	require.LessOrEqual(t, l.Peak(), 2)
	require.Equal(t, 1, w.Connect(start, alice, "s", socket).Count, "every connect was refunded")
}
