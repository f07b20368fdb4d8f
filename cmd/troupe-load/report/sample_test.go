package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// sample is a run as it might have been: the same for the same seed. speed is
// how much slower than usual its server was.
func sample(seed uint64, slower float64) *Result {
	random := rand.New(rand.NewPCG(seed, 1))
	r := &Result{
		Format: Format, Tool: "v1.4.0", Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Seconds: 60,
		Target:   Target{URL: "ws://127.0.0.1:8000", Mode: "troupe", Version: "v1.4.0"},
		Machine:  Machine{OS: "linux", Arch: "amd64", CPU: "Some CPU @ 3.00GHz", Cores: 2, Go: "go1.26.0"},
		Scenario: "mixed", Plan: "name: mixed\nconnections: 1000\nduration: 60s\nmodel: echo-20ms-200w\nseed: 7\n", Seed: math.MaxUint64,
		Latencies: map[string]Latency{
			LatencyHandshake: histogram(random, 1000, 0.0008),
			LatencyFirst:     histogram(random, 12_000, 0.002*slower),
			LatencyGap:       histogram(random, 200_000, 0.02),
			LatencyDelay:     histogram(random, 200_000, 0.0006*slower),
			LatencyAnswer:    histogram(random, 12_000, 4),
			LatencyCancel:    histogram(random, 300, 0.003),
		},
		Errors: []ErrorCount{
			{Code: "RATE_LIMITED", Count: 31, Example: "too many questions, come back in 2 s"},
			{Code: "timeout", Count: 4},
		},
		Checks: []Check{
			{Name: "order", OK: true, Detail: "2,400,000 frames in the order of their numbers"},
			{Name: "text", OK: true, Detail: "12,000 answers as they were asked for"},
			{Name: "p99 first_chunk", OK: slower < 2, Detail: "at most 20 ms wanted"},
		},
		Server: &ServerSide{
			CPUSeconds: 41 * slower, PeakBytes: 300 << 20,
			Before: map[string]float64{"troupe_connections": 0, "process_cpu_seconds_total": 2.5},
			After:  map[string]float64{"troupe_connections": 1000, "process_cpu_seconds_total": 43.5, "odd": math.NaN()},
		},
		Load: LoadSide{CPUSeconds: 22},
	}
	for second := range 60 {
		r.Series = append(r.Series, point(random, second, slower))
	}
	r.Totals = Totals{
		Connections: 1000, Connected: 600, Questions: 12_400, Completed: 12_000, Answered: 12_000, Cancelled: 300, Failed: 35, Unfinished: 65,
		Frames: 2_400_000, Chunks: 2_300_000, Texts: 2_400_000, Bytes: 310 << 20,
	}
	return r
}

func point(random *rand.Rand, second int, slower float64) Point {
	up := min(float64(second+1)/10, 1)
	noise := 0.9 + 0.2*random.Float64()
	return Point{
		At: float64(second + 1), Open: int64(1000 * up), Active: int64(820 * up * noise),
		Connects: max(100-float64(second)*10, 0), Questions: 207 * up * noise, Completed: 200 * up * noise,
		Errors: math.Floor(random.Float64() * 2), Frames: 40_000 * up * noise, Bytes: 5 << 20 * up * noise,
		P50:     map[string]float64{LatencyFirst: 0.002 * noise * slower, LatencyGap: 0.02 * noise, LatencyDelay: 0.0006 * noise},
		P99:     map[string]float64{LatencyFirst: 0.008 * noise * slower, LatencyGap: 0.024 * noise, LatencyDelay: 0.003 * noise},
		LoadCPU: 0.37 * up * noise, ServerCPU: 0.7 * up * noise * slower, ServerBytes: (120 + 180*up) * (1 << 20),
	}
}

// histogram draws values around a median, most of them near it and some far above.
func histogram(random *rand.Rand, n int64, median float64) Latency {
	values := make([]float64, min(n, 4000))
	for i := range values {
		values[i] = median * math.Exp(random.NormFloat64()*0.5)
	}
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1))] }
	l := Latency{Count: n, Mean: median * 1.13, P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
	upTo := values[0] * 1.05
	for _, v := range values {
		for v > upTo {
			upTo *= 1.05
		}
		if k := len(l.Buckets); k == 0 || l.Buckets[k-1].UpTo != upTo {
			l.Buckets = append(l.Buckets, Bucket{UpTo: upTo})
		}
		l.Buckets[len(l.Buckets)-1].Count++
	}
	return l
}

// hostile is what somebody might write where a result has room for text.
const hostile = "</script><img src=x onerror=\"document.title='taken'\">\x1b[2J\u202e{{data}}"

// soiled is a sample with hostile text wherever there is text.
func soiled() *Result {
	r := sample(3, 1)
	r.Tool, r.Scenario, r.Plan = hostile, hostile, hostile
	r.Target = Target{URL: hostile, Mode: hostile, Version: hostile}
	r.Machine = Machine{OS: hostile, Arch: hostile, CPU: hostile, Cores: 2, Go: hostile}
	r.Latencies[hostile] = r.Latencies[LatencyFirst]
	r.Series[0].P50[hostile] = 1
	r.Errors = []ErrorCount{{Code: hostile, Count: 1, Example: hostile}}
	r.Checks = []Check{{Name: hostile, Detail: hostile}}
	r.Server.Note = hostile
	r.Server.After[hostile] = 1
	r.Load = LoadSide{Saturated: true, Why: hostile}
	return r
}

// lived is a sample's state after some of its seconds.
func lived(r *Result, seconds int) Live {
	return Live{
		Scenario: r.Scenario, URL: r.Target.URL, Phase: "measuring",
		Elapsed: time.Duration(seconds) * time.Second, Total: time.Minute,
		Last: r.Series[seconds-1], Totals: r.Totals, Latencies: r.Latencies, Errors: r.Errors, LoadBusy: 0.19,
	}
}
