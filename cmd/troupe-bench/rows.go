package main

import "fmt"

// row is one line of the table: a reading of troupe, what it is held against,
// and how that is judged.
type row struct {
	suite string
	name  string
	ours  key
	show  func(v float64) string
	floor []key  // added up, round by round; none = there is no floor
	what  string // the floor is
	goals []goal
}

// goal is one bound. Exactly one field is set.
type goal struct {
	times   float64 // at most so many times the floor
	atLeast float64 // at least so many times the floor
	most    float64 // at most this
	least   float64 // at least this
	below   float64 // less than this
	above   float64 // at most this more than the floor
}

// writesSlack is room for a rounding of 1.0: a frame of housekeeping in 2,000.
const writesSlack = 1.0005

// linear is how much steeper than the lower half the upper half of a straight
// line may be: tables grow in steps.
const linear = 1.2

// Room for churn, where noise is not a leak: a leak of one in a thousand
// connections would be a hundred.
const (
	spareGoroutines = 10
	spareFiles      = 5
	spareHeap       = 2 << 20
)

func rows(p plan) []row {
	paced := fmt.Sprintf("%d streams at %s", p.streams, p.pace)
	fire := fmt.Sprintf("firehose (%d streams × %d texts, no gap)", p.streams, p.fireWords)
	slope := fmt.Sprintf("(slope %s → %s)", thousands(p.idleFew), thousands(p.idleMany))
	out := []row{
		{"chunk serve", "CPU per chunk, whole serve, echo: " + paced, serveEcho, us, []key{bareWrite}, "bare write loop", []goal{{times: 2}}},
		{"chunk serve", "CPU per chunk, whole serve, openai: " + paced, serveOpenAI, us, []key{bareWrite, bareRead}, "bare write + bare SSE read", []goal{{times: 2}}},
		{"chunk split", "CPU per chunk, gateway process: " + paced, gatewayChunk, us, []key{relayChunkCPU}, "plain relay", []goal{{times: 1.2}}},
		{"firehose split", fire + ", gateway process, texts per CPU second", gatewayFire, perSecond, []key{relayFire}, "plain relay", []goal{{atLeast: 1.5}, {least: 400_000}}},
		{"firehose split", "the same by the clock, all processes on this machine", gatewayFireRate, perSecond, []key{relayFireRate}, "plain relay", nil},
		{"firehose serve", fire + ", whole serve, openai, texts per CPU second", serveFire, perSecond, nil, "", []goal{{least: 100_000}}},
		{"firehose serve", "the same by the clock", serveFireRate, perSecond, nil, "", nil},
		{"chunk serve", "write(2) per frame, paced", pacedWrites, plain, nil, "", []goal{{most: writesSlack}}},
		{"firehose split", "write(2) per text, firehose", fireWrites, plain, nil, "", []goal{{below: 0.2}}},
		{"first text", "question to first chunk, one stream, split, p50", gatewayFirst50, us, []key{relayFirst50}, "plain relay", []goal{{times: 1.3}}},
		{"first text", "question to first chunk, one stream, split, p99", gatewayFirst99, us, []key{relayFirst99}, "plain relay", []goal{{times: 1.3}}},
	}
	few, many := fmt.Sprintf("delay per chunk, split, %d streams at %s", p.delayFew, p.pace), "delay per chunk, split, "+paced
	out = append(out, []row{
		{"delay", few + ", p50", gatewayFew50, us, []key{relayFew50}, "plain relay", nil},
		{"delay", few + ", p99", gatewayFew99, us, []key{relayFew99}, "plain relay", []goal{{times: 1.5}}},
		{"delay", many + ", p50", gatewayMany50, us, []key{relayMany50}, "plain relay", nil},
		{"delay", many + ", p99", gatewayMany99, us, []key{relayMany99}, "plain relay", []goal{{times: 1.5}}},
		{"connect", "handshakes with admission per CPU second", serveConnectsCPU, perSecond, []key{bareConnectsCPU}, "net/http + bare upgrade", []goal{{atLeast: 0.8}}},
		{"connect", fmt.Sprintf("the same by the clock, %d at once", parallel), serveConnects, perSecond, []key{bareConnects}, "net/http + bare upgrade", nil},
		{"idle memory", "private memory per idle connection at rest " + slope, idlePrivate, kib, []key{parkedPrivate}, "parked goroutine", []goal{{most: 2.5 * 1024}}},
		{"idle memory", "live heap and stack per idle connection " + slope, idleLive, kib, []key{parkedLive}, "parked goroutine", nil},
		{"idle memory", "live slope of the upper half, in slopes of the lower half", idleLiveLinear, plain, []key{parkedLiveLinear}, "parked goroutine", []goal{{most: linear}}},
	}...)
	churn := fmt.Sprintf("after %s connections: ", thousands(p.churn))
	out = append(out, []row{
		{"churn", churn + "goroutines", churnGoroutines, whole, []key{churnGoroutinesBefore}, "before", []goal{{above: spareGoroutines}}},
		{"churn", churn + "actors of connections and runs", churnActors, whole, []key{churnActorsBefore}, "before", []goal{{below: 1}}},
		{"churn", churn + "descriptors", churnFiles, whole, []key{churnFilesBefore}, "before", []goal{{above: spareFiles}}},
		{"churn", churn + "live objects on the heap", churnHeap, mib, []key{churnHeapBefore}, "before", []goal{{above: spareHeap}}},
		{"churn", "live objects that the second half of them added", churnHalves, mib, nil, "", nil},
		{"churn", "CPU per connection that comes and goes", churnCPU, us, nil, "", nil},
	}...)
	for i, k := range growthKeys() {
		r := row{"growth", fmt.Sprintf("CPU per chunk beside %s idle connections", thousands(p.growth[i])), k, us, nil, "", nil}
		if i > 0 {
			r.floor, r.what, r.goals = []key{growthNone}, "beside none", []goal{{times: 1.1}}
		}
		out = append(out, r)
	}
	return out
}

func us(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f µs", v)
	}
	return fmt.Sprintf("%.0f µs", v)
}

func kib(v float64) string { return fmt.Sprintf("%.2f KiB", v/1024) }

func mib(v float64) string { return fmt.Sprintf("%.2f MiB", v/(1<<20)) }

func plain(v float64) string { return fmt.Sprintf("%.3f", v) }

func whole(v float64) string { return thousands(int(v + 0.5)) }

func perSecond(v float64) string { return whole(v) + " /s" }

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
