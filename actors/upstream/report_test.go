package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAdoptedRestsLastLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Settings{Keys: named("a")}
		owner, other := still(s, nil), New(s, nil)
		trip(t, owner)
		other.Heard("owner", owner.Own())
		require.Equal(t, &Resting{After: firstRest + margin, Why: WhyFailing}, refused(t, other, Ask{}))
		time.Sleep(firstRest)
		other.Heard("owner", owner.Own()) // told again on the way
		refused(t, other, Ask{})
		probe := mustEnter(t, owner, Ask{})
		other.Heard("owner", owner.Own())
		require.Equal(t, &Resting{After: probePause + margin, Why: WhyFailing}, refused(t, other, Ask{}))
		probe.Answered()
		other.Heard("owner", owner.Own())
		ends(t, other, Good)

		mustEnter(t, owner, Ask{Model: "m"}).Done(Outcome{Kind: Limited})
		other.Heard("owner", owner.Own())
		require.Equal(t, &Resting{After: limitedRest + margin, Why: WhyLimited}, refused(t, other, Ask{Model: "m"}))
		time.Sleep(limitedRest)
		mustEnter(t, owner, Ask{Model: "m"}).Done(Outcome{})
		refused(t, other, Ask{Model: "m"})
		time.Sleep(margin)
		mustEnter(t, other, Ask{Model: "m"}).Done(Outcome{})
		probe.Done(Outcome{})
	})
}

func TestOwnIsNeverWhatWasHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		l := New(Settings{Keys: named("a", "b")}, func() { told++ })
		l.Heard("w", []Rest{
			{For: time.Minute, Why: WhyFailing},
			{Key: idOf("a"), For: time.Minute, Why: WhySpent},
			{Key: idOf("b"), Model: "m", For: time.Minute, Why: WhyLimited},
		})
		require.Empty(t, l.Own())
		l.Forget("w")
		l.Heard("w", nil)
		require.Empty(t, l.Own())
		require.Zero(t, told)
	})
}

func TestHeard(t *testing.T) {
	a, b := idOf("a"), idOf("b")
	for _, c := range []struct {
		name  string
		words map[string][]Rest
		after time.Duration // of Resting; 0 = does not rest
	}{
		{"nothing", map[string][]Rest{"v": nil}, 0},
		{"one of two keys", map[string][]Rest{"v": {{Key: a, For: 9, Why: WhySpent}}}, 0},
		{"a model of both", map[string][]Rest{"v": {{Key: a, Model: "m", For: 9, Why: WhyLimited}, {Key: b, Model: "m", For: 9, Why: WhyLimited}}}, 0},
		{"both keys", map[string][]Rest{"v": {{Key: a, For: 9, Why: WhySpent}, {Key: b, For: 5, Why: WhySpent}}}, 5 + margin},
		{"both keys, from two", map[string][]Rest{"v": {{Key: a, For: 9, Why: WhySpent}}, "w": {{Key: b, For: 5, Why: WhySpent}}}, 5 + margin},
		{"the provider", map[string][]Rest{"v": {{For: 3, Why: WhyFailing}}}, 3 + margin},
		{"the longer word counts", map[string][]Rest{"v": {{For: 3, Why: WhyFailing}}, "w": {{For: 7, Why: WhyFailing}}}, 7 + margin},
		{"nothing left still has its margin", map[string][]Rest{"v": {{For: 0, Why: WhyFailing}}}, margin},
		{"less than nothing", map[string][]Rest{"v": {{For: -1, Why: WhyFailing}}}, 0},
		{"for ever", map[string][]Rest{"v": {{For: never, Why: WhyFailing}}}, longestRest + margin},
		{"keys of strangers, and a keyless way that we do not have", map[string][]Rest{"v": {
			{Key: "x", For: 9, Why: WhySpent}, {For: 9, Why: WhyRefused},
		}}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Settings{Keys: named("a", "b")}, nil)
			l.Heard("v", []Rest{{For: time.Hour, Why: WhyFailing}}) // every later word replaces it
			for from, rests := range c.words {
				l.Heard(from, rests)
			}
			after, _, resting := l.Resting()
			require.Equal(t, c.after, after, c.name)
			require.Equal(t, c.after > 0, resting, c.name)
			for from := range c.words {
				l.Forget(from)
			}
			_, _, resting = l.Resting()
			require.False(t, resting, c.name)
			require.Zero(t, l.heard.count, c.name)
		})
	}
}

// TestChanged: whenever Own got longer, or shorter before its time, and by a
// goroutine that may look at the line.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *Line
		var told [][]Rest
		l = still(Settings{Keys: named("a")}, func() { told = append(told, l.Own()) })
		ends(t, l, Good, Neutral, Failed)
		require.Empty(t, told)
		failing := func(rest time.Duration) []Rest { return []Rest{{For: rest, Why: WhyFailing}} }

		ends(t, l, Failed, Failed, Failed, Failed)
		require.Equal(t, [][]Rest{failing(firstRest)}, told)
		told = nil
		time.Sleep(firstRest + margin)
		require.Empty(t, l.Own())
		require.Empty(t, told, "the others know when it ends")

		probe := mustEnter(t, l, Ask{})
		require.Equal(t, [][]Rest{failing(probePause)}, told)
		told = nil
		probe.Done(Outcome{})
		require.Empty(t, told, "others need not come: it is still to be tried")
		mustEnter(t, l, Ask{}).Done(Outcome{Kind: Failed})
		require.Equal(t, [][]Rest{failing(probePause), failing(2 * firstRest)}, told)
		told = nil
		time.Sleep(2 * firstRest)
		mustEnter(t, l, Ask{}).Done(Outcome{Kind: Good})
		require.Equal(t, [][]Rest{failing(probePause), nil}, told)
		told = nil

		again := mustEnter(t, l, Ask{Model: "m"})
		mustEnter(t, l, Ask{Model: "m"}).Done(Outcome{Kind: Limited, RetryAfter: time.Minute})
		again.Done(Outcome{Kind: Limited, RetryAfter: time.Second})
		require.Equal(t, [][]Rest{{{Key: idOf("a"), Model: "m", For: time.Minute, Why: WhyLimited}}}, told)
	})
}
