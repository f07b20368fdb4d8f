package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/proc"
)

// marked judges a metric that is to be 1 within 100 ms of a fault and 0 within a
// second of its end, by what was read of one process. The fault is set 100 ms
// after the run began and lasts for a second; times count from where it is set.
func marked(firstHit time.Duration, readings map[time.Duration]float64) (up, down BoundResult) {
	const name = "troupe_limiter_degraded"
	e := green()
	set := e.Began.Add(100 * time.Millisecond)
	h := &harm{
		ID: "f1", Step: &Step{Inject: "limiter hang"}, Verb: "inject", Label: "limiter hang", Who: TouchesNobody,
		Targets: []string{"serve"}, From: set, To: set.Add(time.Second),
	}
	if firstHit > 0 {
		h.First = set.Add(firstHit)
	}
	e.Harms, e.Ended = []*harm{h}, set.Add(5*time.Second)
	e.Plan.Expect.Metrics = []MetricMark{{Name: name, Value: 1, Within: scenario.Duration(100 * time.Millisecond), Back: scenario.Duration(time.Second)}}
	for at := -200 * time.Millisecond; at < 5*time.Second; at += time.Millisecond {
		if value, ok := readings[at]; ok {
			e.Sizes = append(e.Sizes, proc.Reading{Process: "serve", At: set.Add(at), Values: map[string]float64{name: value}})
		}
	}
	r := judgeRun(e, newBook(time.Second))
	return r.Bounds[0], r.Bounds[1]
}

func TestAMetricFollowsAStepInTime(t *testing.T) {
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		hit      time.Duration
		readings map[time.Duration]float64
		up, down string
		ok       [2]bool
	}{
		"in time":              {0, map[time.Duration]float64{60 * ms: 0, 100 * ms: 1, 1990 * ms: 1, 2000 * ms: 0}, "100ms, not yet after 60ms", "1s, not yet after 990ms", [2]bool{true, true}},
		"a moment late":        {0, map[time.Duration]float64{75 * ms: 0, 101 * ms: 1, 1990 * ms: 1, 2001 * ms: 0}, "101ms, not yet after 75ms", "1.001s, not yet after 990ms", [2]bool{false, false}},
		"not read for a while": {0, map[time.Duration]float64{25 * ms: 0, 300 * ms: 1, 1025 * ms: 0}, "300ms, not yet after 25ms", "25ms, not yet after 0s", [2]bool{false, true}},
		"counted from the hit": {40 * ms, map[time.Duration]float64{30 * ms: 0, 120 * ms: 1, 1025 * ms: 0}, "80ms, not yet after 0s", "25ms, not yet after 0s", [2]bool{true, true}},
		"before the fault":     {0, map[time.Duration]float64{-10 * ms: 1, 25 * ms: 0, 1025 * ms: 0}, "never", "25ms, not yet after 0s", [2]bool{false, true}},
		"behind the fault":     {0, map[time.Duration]float64{25 * ms: 0, 1010 * ms: 1, 1050 * ms: 0}, "never", "50ms, not yet after 10ms", [2]bool{false, true}},
		"stays":                {0, map[time.Duration]float64{25 * ms: 1, 4900 * ms: 1}, "25ms, not yet after 0s", "never", [2]bool{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			up, down := marked(tt.hit, tt.readings)
			require.Equal(t, []string{tt.up, tt.down}, []string{up.Got, down.Got})
			require.Equal(t, tt.ok, [2]bool{up.OK, down.OK})
		})
	}
}
