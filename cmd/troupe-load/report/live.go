package report

import "time"

// Live is how a run stands right now: what the picture shows.
type Live struct {
	Scenario string
	URL      string

	Elapsed time.Duration // since the start
	Total   time.Duration // that the run will take; 0 where nobody knows
	Phase   string        // warm-up, measuring …

	Last      Point              // the newest whole second; a new one has a higher At
	Totals    Totals             // so far
	Latencies map[string]Latency // so far, by name
	Errors    []ErrorCount       // most frequent first
	LoadBusy  float64            // share of its cores that the tool uses, 0 to 1
}

// busy is the share of its own cores from which a tool may hold back what it measures.
const busy = 0.85
