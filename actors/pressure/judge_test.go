package pressure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const look = 250 * time.Millisecond

// bench is a judge with its clock.
type bench struct {
	*Judge
	t   *testing.T
	now time.Time
}

func newBench(t *testing.T) *bench {
	return &bench{Judge: NewJudge(Default()), t: t, now: start}
}

// looks lets a reading last for so many looks and returns the last verdict.
func (b *bench) looks(n int, r Reading) (v Verdict) {
	b.t.Helper()
	for range n {
		b.now = b.now.Add(look)
		v = b.Look(b.now, r)
	}
	return v
}

func used(percent uint64) Reading             { return Reading{Memory: percent, Limit: 100} }
func lagging(d time.Duration) Reading         { return Reading{Lag: d} }
func (b *bench) stage(n int, r Reading) Stage { return b.looks(n, r).Stage }

func TestStagesBeginWhereTheThresholdsAre(t *testing.T) {
	for _, tt := range []struct {
		r    Reading
		want Stage
		why  Cause
	}{
		{used(0), Calm, ""},
		{used(79), Calm, ""},
		{used(80), NoQuestions, Memory},
		{used(90), NoConnections, Memory},
		{used(95), NoSlowReaders, Memory},
		{used(130), NoSlowReaders, Memory},
		{Reading{Memory: 1 << 40}, Calm, ""}, // no GOMEMLIMIT
		{lagging(49 * time.Millisecond), Calm, ""},
		{lagging(50 * time.Millisecond), NoQuestions, Lag},
		{lagging(100 * time.Millisecond), NoConnections, Lag},
		{lagging(200 * time.Millisecond), NoSlowReaders, Lag},
		{Reading{Memory: 91, Limit: 100, Lag: 60 * time.Millisecond}, NoConnections, Memory},
		{Reading{Memory: 81, Limit: 100, Lag: 400 * time.Millisecond}, NoSlowReaders, Lag},
	} {
		v := newBench(t).looks(20, tt.r)
		require.Equal(t, tt.want, v.Stage, "%+v", tt.r)
		require.Equal(t, tt.why, v.Why, "%+v", tt.r)
		require.Equal(t, tt.r, v.Reading)
	}
}

func TestWhatDoesNotLastIsNoPressure(t *testing.T) {
	b := newBench(t)
	for range 50 { // one bad look, one good one, for ever
		require.Equal(t, Calm, b.stage(1, used(99)))
		require.Equal(t, Calm, b.stage(1, used(10)))
	}
	for range 10 { // a burst of the neighbours
		require.Equal(t, Calm, b.stage(6, lagging(time.Second)))
		require.Equal(t, Calm, b.stage(1, lagging(0)))
	}
	require.Equal(t, NoSlowReaders, b.stage(7, lagging(time.Second)), "that one lasted")

	b = newBench(t)
	b.looks(1, used(99))
	require.Equal(t, NoQuestions, b.stage(1, used(85)), "80 was passed all the time, 95 was not")
}

func TestUpAtOnceAndDownStepByStep(t *testing.T) {
	b := newBench(t)
	require.Equal(t, Calm, b.stage(1, used(96)))
	v := b.looks(1, used(96))
	require.True(t, v.Changed)
	require.Equal(t, NoSlowReaders, v.Stage, "three stages at once")
	require.Equal(t, b.now, v.Since)
	require.False(t, b.looks(1, used(96)).Changed)

	from := b.now
	for _, want := range []Stage{NoConnections, NoQuestions, Calm} {
		require.Equal(t, want+1, b.stage(1, used(10)))
		v = b.looks(1, used(10))
		require.True(t, v.Changed)
		require.Equal(t, want, v.Stage)
	}
	require.Empty(t, v.Why)
	require.LessOrEqual(t, b.now.Sub(from), 2*time.Second, "all over within five seconds")
}

func TestAStageIsLeftBelowWhereItBegan(t *testing.T) {
	b := newBench(t)
	require.Equal(t, NoConnections, b.stage(2, used(90)))
	require.Equal(t, NoConnections, b.stage(100, used(85)), "five points less are still too many")
	require.Equal(t, NoQuestions, b.stage(2, used(84)))
	require.Equal(t, NoQuestions, b.stage(100, used(84)))
	require.Equal(t, NoQuestions, b.stage(1, used(74)))
	require.Equal(t, NoQuestions, b.stage(1, used(75)), "not calm all the time")
	require.Equal(t, NoQuestions, b.stage(1, used(74)))
	require.Equal(t, Calm, b.stage(1, used(74)))

	b = newBench(t)
	require.Equal(t, NoQuestions, b.stage(7, lagging(50*time.Millisecond)))
	require.Equal(t, NoQuestions, b.stage(100, lagging(38*time.Millisecond)))
	require.Equal(t, Calm, b.stage(4, lagging(37*time.Millisecond)))
}

func TestAPauseOfTheProcessIsNoPressure(t *testing.T) {
	b := newBench(t)
	b.looks(1, lagging(time.Second))
	b.now = b.now.Add(30 * time.Second)
	require.Equal(t, Calm, b.stage(1, lagging(30*time.Second)), "it stood still; what was before says nothing")
	require.Equal(t, Calm, b.stage(100, lagging(0)))

	require.Equal(t, NoQuestions, b.stage(2, used(80)))
	b.now = b.now.Add(time.Hour)
	require.Equal(t, NoQuestions, b.stage(1, used(10)), "nor is it a calm time")
	require.Equal(t, Calm, b.stage(4, used(10)))
}

func TestThresholdsCanChange(t *testing.T) {
	b := newBench(t)
	require.Equal(t, NoQuestions, b.stage(2, used(80)))
	b.SetConfig(Config{Memory: []int{90, 95, 99}})
	require.Equal(t, Calm, b.stage(4, used(80)))
	b.SetConfig(Config{})
	require.Equal(t, Calm, b.stage(20, Reading{Memory: 100, Limit: 100, Lag: time.Minute}), "no threshold, no stage")
}

// Whatever comes, a stage was earned by readings that lasted, and falls by one at
// a time, not before a second of calm.
func TestJudgeAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, now, last, fell := NewJudge(Default()), start, Calm, start
		var passed []Stage // of the looks so far
		for range 200 {
			now = now.Add(look)
			r := Reading{
				Memory: rapid.Uint64Range(60, 100).Draw(t, "memory"), Limit: 100,
				Lag: time.Duration(rapid.IntRange(0, 300).Draw(t, "lag")) * time.Millisecond,
			}
			passed = append(passed, max(j.cfg.memoryStage(r, 0), j.cfg.lagStage(r, 100)))
			v := j.Look(now, r)
			switch {
			case v.Stage > last:
				n := len(passed)
				if n < 2 || passed[n-1] < v.Stage || passed[n-2] < v.Stage {
					t.Fatalf("stage %d after %v", v.Stage, passed)
				}
				fell = now
			case v.Stage < last:
				if v.Stage != last-1 || now.Sub(fell) < calmHold {
					t.Fatalf("from %d to %d, %v after the last change", last, v.Stage, now.Sub(fell))
				}
				fell = now
			}
			if v.Changed != (v.Stage != last) || (v.Stage == Calm) != (v.Why == "") {
				t.Fatalf("%+v after %d", v, last)
			}
			last = v.Stage
		}
	})
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, Default().Validate())
	require.NoError(t, Config{}.Validate())
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{Memory: []int{80, 90}}, "overload.memory: [80 90] is not allowed: give three"},
		{Config{Memory: []int{90, 90, 95}}, "overload.memory: [90 90 95] is not allowed: each stage begins above"},
		{Config{Memory: []int{0, 90, 95}}, "overload.memory"},
		{Config{Memory: []int{80, 90, 101}}, "overload.memory"},
		{Config{Lag: -1}, "overload.lag"},
		{Config{Lag: time.Millisecond}, "overload.lag: 1ms is not allowed: give 5ms to 5s, or 0"},
		{Config{Lag: time.Minute}, "overload.lag"},
	} {
		require.ErrorContains(t, tt.c.Validate(), tt.want)
	}
}

// Each cause leaves a stage below its own thresholds. Memory that was never too
// much keeps nobody out who came in by a slow moment, nor the other way round.
func TestWhatDidNotBringAStageDoesNotKeepIt(t *testing.T) {
	at := func(percent int, lag time.Duration) Reading {
		r := used(uint64(percent))
		r.Lag = lag
		return r
	}
	b := newBench(t)
	require.Equal(t, Calm, b.stage(100, at(79, 0)), "below the first threshold, for good")
	require.Equal(t, NoSlowReaders, b.stage(7, at(79, time.Second)))
	require.Equal(t, Calm, b.stage(20, at(79, 0)), "all over within five seconds")

	b = newBench(t)
	require.Equal(t, NoQuestions, b.stage(2, at(80, 40*time.Millisecond)))
	require.Equal(t, Calm, b.stage(20, at(10, 40*time.Millisecond)))

	b = newBench(t)
	b.looks(7, at(10, time.Second))
	b.looks(2, at(82, time.Second))
	v := b.looks(20, at(82, 0))
	require.Equal(t, NoQuestions, v.Stage)
	require.Equal(t, Memory, v.Why, "what keeps it now is told, and looked at anew")
	require.Equal(t, NoQuestions, b.stage(20, at(76, 0)))
	require.Equal(t, Calm, b.stage(20, at(74, 0)))
}

// However low the thresholds are, a stage ends below them.
func TestTheLowestThresholdsAreLeft(t *testing.T) {
	b := newBench(t)
	b.SetConfig(Config{Memory: []int{1, 3, 5}})
	require.NoError(t, b.cfg.Validate())
	require.Equal(t, NoSlowReaders, b.stage(2, used(50)))
	require.Equal(t, Calm, b.stage(20, used(0)))
}
