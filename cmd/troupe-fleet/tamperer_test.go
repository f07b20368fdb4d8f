package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// msg is a message as a server sends it; its body names it.
func msg(subject, body string) string {
	return fmt.Sprintf("MSG %s 1 %d\r\n%s\r\n", subject, len(body), body)
}

// bodies lists the messages of a stream, in order.
func bodies(stream string) (out []string) {
	var p natsParser
	p.feed([]byte(stream), func(op operation) {
		if op.subject != "" {
			_, body, _ := strings.Cut(string(op.raw), "\r\n")
			out = append(out, strings.TrimSuffix(body, "\r\n"))
		}
	})
	return out
}

func events(subject string) bool { return subject == "events" }

var epoch = time.Unix(1_000_000, 0)

// TestTamperEffects feeds e1 x1 e2 x2 e3, x being a subject that does not match.
func TestTamperEffects(t *testing.T) {
	stream := "PING\r\n" + msg("events", "e1") + msg("x", "x1") + msg("events", "e2") + msg("x", "x2") + msg("events", "e3")
	tests := []struct {
		name   string
		t      *tamper
		now    []string
		later  []string // after what waits
		counts tampered
	}{
		{"off", nil, []string{"e1", "x1", "e2", "x2", "e3"}, nil, tampered{}},
		{"nothing", &tamper{Match: events}, []string{"e1", "x1", "e2", "x2", "e3"}, nil, tampered{Seen: 3}},
		{"all repeated", &tamper{Match: events, Repeat: 1}, []string{"e1", "e1", "x1", "e2", "e2", "x2", "e3", "e3"}, nil, tampered{Seen: 3, Repeated: 3}},
		{"all dropped", &tamper{Match: events, Drop: 1}, []string{"x1", "x2"}, nil, tampered{Seen: 3, Dropped: 3}},
		{"all reordered", &tamper{Match: events, Reorder: 1}, []string{"x1", "e2", "e1", "x2"}, []string{"e3"}, tampered{Seen: 3, Reordered: 1}},
		{"all delayed", &tamper{Match: events, Delay: 1, DelayFor: time.Second}, []string{"x1", "x2"}, []string{"e1", "e2", "e3"}, tampered{Seen: 3, Delayed: 3}},
		{"everything matches", &tamper{Drop: 1}, nil, nil, tampered{Seen: 5, Dropped: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 5, len(stream)} {
				if tt.t != nil {
					*tt.t = tamper{Match: tt.t.Match, Repeat: tt.t.Repeat, Drop: tt.t.Drop, Reorder: tt.t.Reorder, Delay: tt.t.Delay, DelayFor: tt.t.DelayFor}
				}
				var x tamperer
				var now string
				for rest := stream; rest != ""; {
					n := min(size, len(rest))
					now += string(x.feed(tt.t, []byte(rest[:n]), epoch))
					rest = rest[n:]
				}
				require.True(t, strings.HasPrefix(now, "PING\r\n"))
				require.Equal(t, tt.now, bodies(now))
				require.Equal(t, tt.later != nil, !x.next().IsZero())
				require.Empty(t, x.due(epoch), "nothing is due yet")
				require.Equal(t, tt.later, bodies(string(x.due(x.next()))))
				require.True(t, x.next().IsZero())
				require.Empty(t, x.rest())
				if tt.t != nil {
					require.Equal(t, tt.counts, tt.t.counts())
				}
			}
		})
	}
}

func TestLateMessagesComeInTheirTime(t *testing.T) {
	slow := &tamper{Delay: 1, DelayFor: time.Second}
	slower := &tamper{Delay: 1, DelayFor: 3 * time.Second}
	var x tamperer
	require.Empty(t, x.feed(slower, []byte(msg("a", "three")), epoch))
	require.Empty(t, x.feed(slow, []byte(msg("a", "one")), epoch))
	require.Equal(t, epoch.Add(time.Second), x.next())
	// Switched off: what is late stays late, what comes passes.
	require.Equal(t, []string{"now"}, bodies(string(x.feed(nil, []byte(msg("a", "now")), epoch))))
	require.Equal(t, []string{"one"}, bodies(string(x.due(epoch.Add(2*time.Second)))))
	require.Equal(t, epoch.Add(3*time.Second), x.next())
	require.Equal(t, []string{"three", "now"}, bodies(string(x.feed(nil, []byte(msg("a", "now")), epoch.Add(3*time.Second)))))
}

func TestNothingLateEntersAnUnfinishedOperation(t *testing.T) {
	var x tamperer
	d := &tamper{Match: events, Delay: 1, DelayFor: time.Second}
	big := msg("x", "a body in two pieces")
	require.Empty(t, x.feed(d, []byte(msg("events", "late")+big[:15]), epoch))
	require.Equal(t, []string{"late"}, bodies(string(x.due(epoch.Add(time.Second)))))
	require.Equal(t, big, string(x.feed(d, []byte(big[15:]), epoch.Add(time.Second))))
}

func TestAnEndedStreamLosesNothing(t *testing.T) {
	var x tamperer
	swap := &tamper{Match: events, Reorder: 1}
	require.Empty(t, x.feed(swap, []byte(msg("events", "held")), epoch))
	late := &tamper{Match: events, Delay: 1, DelayFor: time.Second}
	require.Empty(t, x.feed(late, []byte(msg("events", "late")+"PIN"), epoch))
	require.Equal(t, msg("events", "held")+msg("events", "late")+"PIN", string(x.rest()))
}

func TestLateMessagesAreBounded(t *testing.T) {
	var x tamperer
	d := &tamper{Delay: 1, DelayFor: time.Second}
	out := x.feed(d, []byte(strings.Repeat(msg("a", "x"), maxLate+2)), epoch)
	require.Equal(t, []string{"x", "x"}, bodies(string(out)))
	require.EqualValues(t, maxLate, d.counts().Delayed)
}

// TestTamperFollowsItsSeed: the same seed and connection number give the same
// faults, another seed gives others, and their share is what was asked for.
func TestTamperFollowsItsSeed(t *testing.T) {
	const n = 10_000
	stream := []byte(strings.Repeat(msg("a", "x"), n))
	run := func(seed uint64) (tampered, string) {
		tm := &tamper{Seed: seed, Repeat: 0.1, Drop: 0.2, Delay: 0.1, DelayFor: time.Second}
		var x tamperer
		out := string(x.feed(tm, stream, epoch))
		return tm.counts(), out
	}
	one, oneOut := run(1)
	again, againOut := run(1)
	other, _ := run(2)
	require.Equal(t, one, again)
	require.Equal(t, oneOut, againOut)
	require.NotEqual(t, one, other)
	require.InDelta(t, 0.1*n, one.Repeated, 0.02*n)
	require.InDelta(t, 0.2*n, one.Dropped, 0.02*n)
	require.InDelta(t, 0.1*n, one.Delayed, 0.02*n)
	require.EqualValues(t, n, one.Seen)
	require.Len(t, bodies(oneOut), int(one.Seen+one.Repeated-one.Dropped-one.Delayed))
}

// TestSwapWaitsNotForEver: the last message of a burst comes though no other
// follows, and is not counted as reordered.
func TestSwapWaitsNotForEver(t *testing.T) {
	var x tamperer
	r := &tamper{Reorder: 1}
	require.Empty(t, x.feed(r, []byte(msg("a", "last")), epoch))
	require.Equal(t, epoch.Add(swapWait), x.next())
	require.Equal(t, []string{"last"}, bodies(string(x.due(epoch.Add(swapWait)))))
	require.Zero(t, r.counts().Reordered)
}
