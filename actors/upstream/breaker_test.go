package upstream

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newBreaker() breaker { return breaker{jitter: func() float64 { return 0.5 }} }

// play ends calls at a time, one a letter: g good, f failed, n neutral.
func play(b *breaker, now time.Duration, ends string) {
	for _, end := range ends {
		ticket := b.enter(now)
		switch end {
		case 'g':
			b.good(&ticket)
		case 'f':
			b.failed(now, &ticket, false)
		case 'n':
			b.neutral(&ticket)
		}
	}
}

func TestBreakerOpens(t *testing.T) {
	type step struct {
		at   time.Duration
		ends string
	}
	for _, c := range []struct {
		name  string
		steps []step
		open  bool
	}{
		{"four are too few", []step{{0, "ffff"}}, false},
		{"five of five", []step{{0, "fffff"}}, true},
		{"five of ten", []step{{0, "gggggfffff"}}, true},
		{"five of eleven", []step{{0, "ggggggfffff"}}, false},
		{"six of eleven, later", []step{{0, "ggggggfffff"}, {time.Second, "f"}}, true},
		{"neutral ends are calls, too", []step{{0, "nnnnnnfffff"}}, false},
		{"nothing but neutral", []step{{0, strings.Repeat("n", 100)}}, false},
		{"within ten seconds", []step{{0, "ffff"}, {10 * time.Second, "f"}}, true},
		{"not within ten seconds", []step{{0, "ffff"}, {10*time.Second + slot, "f"}}, false},
		{"old calls do not excuse", []step{{0, strings.Repeat("g", 100)}, {20 * time.Second, "fffff"}}, true},
	} {
		b := newBreaker()
		var now time.Duration
		for _, s := range c.steps {
			now = s.at
			play(&b, now, s.ends)
		}
		require.Equal(t, c.open, b.open, c.name)
		if c.open {
			require.Equal(t, firstRest, b.resting(now), c.name)
		} else {
			require.Zero(t, b.resting(now), c.name)
		}
	}
}

// TestCallsUnderWayCount: five failures are no outage while a hundred streams run.
func TestCallsUnderWayCount(t *testing.T) {
	b := newBreaker()
	for range 100 {
		b.enter(0)
	}
	play(&b, time.Second, "fffff")
	require.False(t, b.open)
}

func TestBreakerDoublesItsRest(t *testing.T) {
	b := newBreaker()
	play(&b, 0, "fffff")
	var now time.Duration
	for _, want := range []int{2, 4, 8, 16, 32, 60, 60} {
		require.Equal(t, time.Duration(want)*time.Second, b.resting(now))
		now = b.until
		play(&b, now, "f")
	}
	now = b.until
	play(&b, now, "g")
	require.False(t, b.open)
	play(&b, now, "ffff")
	require.False(t, b.open, "the failures are forgotten")
	play(&b, now, "f")
	require.Equal(t, firstRest, b.resting(now), "and so is the length of the rest")
}

func TestBreakerJitter(t *testing.T) {
	for _, c := range []struct {
		jitter float64
		want   time.Duration
	}{
		{0, 1800 * time.Millisecond}, {0.5, 2 * time.Second}, {1, 2200 * time.Millisecond},
	} {
		b := breaker{jitter: func() float64 { return c.jitter }}
		play(&b, time.Second, "fffff")
		require.Equal(t, c.want, b.resting(time.Second))
	}
}

func TestBreakerProbesOneAtATime(t *testing.T) {
	b := newBreaker()
	play(&b, 0, "fffff")
	require.Equal(t, time.Second, b.resting(time.Second))
	now := 2 * time.Second
	require.Zero(t, b.resting(now))
	probe := b.enter(now)
	require.True(t, probe.probe)
	require.Equal(t, probePause, b.resting(now), "one is enough")
	b.neutral(&probe)
	require.Zero(t, b.resting(now), "it said nothing: the next one probes")
	b.neutral(&probe)
	second := b.enter(now)
	b.neutral(&probe)
	require.Equal(t, probePause, b.resting(now), "an old probe frees nothing")
	require.True(t, b.good(&second))
	require.Zero(t, b.resting(now))
	require.False(t, b.good(&second), "closed once")
}

// TestThePastDecidesNothing: calls from before the breaker opened say nothing of
// a provider that is tried, or is well again.
func TestThePastDecidesNothing(t *testing.T) {
	b := newBreaker()
	var old []ticket
	for range 20 {
		old = append(old, b.enter(0))
	}
	play(&b, 0, strings.Repeat("f", 20))
	require.True(t, b.open)
	until := b.until
	require.False(t, b.failed(time.Second, &old[0], false))
	require.False(t, b.good(&old[1]))
	require.Equal(t, until, b.until)

	probe := b.enter(until)
	require.False(t, b.good(&old[2]), "only the probe closes it")
	require.False(t, b.failed(until, &old[3], false), "or opens it again")
	b.neutral(&old[4])
	require.Equal(t, probePause, b.resting(until))
	require.True(t, b.good(&probe))
	for i := 5; i < 20; i++ {
		require.False(t, b.failed(until, &old[i], false))
	}
	require.False(t, b.open)
}

// TestAnAnswerThatBreaksOffCounts: a probe that was good is a call like others.
func TestAnAnswerThatBreaksOffCounts(t *testing.T) {
	b := newBreaker()
	play(&b, 0, "fffff")
	now := b.until
	probe := b.enter(now)
	require.True(t, b.good(&probe))
	play(&b, now, "ffff")
	require.True(t, b.failed(now, &probe, false), "the fifth")
}

func TestBreakerTellsUntilOthersMayTry(t *testing.T) {
	b := newBreaker()
	_, tell := b.told(0)
	require.False(t, tell)
	play(&b, 0, "fffff")
	for _, c := range []struct {
		now, rest time.Duration
		tell      bool
	}{
		{0, 2 * time.Second, true},
		{1500 * time.Millisecond, 500 * time.Millisecond, true},
		{2 * time.Second, 0, true},
		{2*time.Second + margin - 1, 0, true},
		{2*time.Second + margin, 0, false},
	} {
		rest, tell := b.told(c.now)
		require.Equal(t, c.rest, rest, c.now)
		require.Equal(t, c.tell, tell, c.now)
	}
	b.enter(time.Minute)
	rest, tell := b.told(time.Minute)
	require.Equal(t, probePause, rest)
	require.True(t, tell, "it is tried right now")
}

// What cannot be reached from here may be reached by others: they hear nothing
// of it, and of what the provider itself said they do.
func TestOthersHearOnlyOfTheProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		unreached int // of five
		away      bool
	}{"the provider": {0, false}, "mostly the provider": {2, false}, "mostly our network": {3, true}, "our network": {5, true}} {
		t.Run(name, func(t *testing.T) {
			b := &breaker{jitter: func() float64 { return 0.5 }}
			for i := range tripFailures {
				ticket := b.enter(0)
				require.Equal(t, i == tripFailures-1, b.failed(0, &ticket, i < tt.unreached))
			}
			_, tell := b.told(0)
			require.Equal(t, !tt.away, tell)
			require.Equal(t, tt.away, b.why() == WhyAway)
			require.Equal(t, firstRest, b.resting(0), "here it rests in any case")
			probe := b.enter(b.until)
			require.True(t, b.failed(b.until, &probe, !tt.away), "the probe met the other kind")
			require.Equal(t, !tt.away, b.away)
			probe = b.enter(b.until)
			require.True(t, b.good(&probe))
			require.Equal(t, WhyFailing, b.why())
		})
	}
}
