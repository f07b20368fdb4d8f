// Package report is what a load run leaves: its result as data, a terminal
// picture while it runs, a page to look at and a comparison of two.
package report

import "time"

// Format is the version of Result as JSON. It changes when a field changes its meaning.
// Since 2 rates are those of Totals.Answered and Totals.Connected.
const Format = 2

// Result is one run. All durations are in seconds, all latencies too.
type Result struct {
	Format   int       `json:"format"`
	Tool     string    `json:"tool"` // version of troupe-load
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // of measurement, warm-up left out
	Target   Target    `json:"target"`
	Machine  Machine   `json:"machine"`
	Scenario string    `json:"scenario"` // its name
	Plan     string    `json:"plan"`     // the scenario as YAML, every default filled in
	Seed     uint64    `json:"seed"`
	Visits   bool      `json:"visits"` // connections came and went by themselves; else Totals.Connected are those that came back

	Totals    Totals             `json:"totals"`
	Latencies map[string]Latency `json:"latencies"` // by name: see the Latency… constants
	Series    []Point            `json:"series"`    // one a second
	Errors    []ErrorCount       `json:"errors"`    // most frequent first
	Checks    []Check            `json:"checks"`    // order, loss, text, ends …: what decides pass or fail
	Server    *ServerSide        `json:"server,omitempty"`
	Load      LoadSide           `json:"load"` // the tool's own cost
}

// Names of Result.Latencies. Every one is counted from the moment at which the
// event was due, not from when the tool got round to it.
const (
	LatencyHandshake = "handshake"   // connect to 101 (and admission, where the server tells)
	LatencyFirst     = "first_chunk" // question to its first chunk
	LatencyGap       = "gap"         // between two chunks of one answer
	LatencyAnswer    = "answer"      // question to its last frame
	LatencyDelay     = "delay"       // of a chunk that carries the time at which it was said
	LatencyResume    = "resume"      // lost socket to the snapshot
	LatencyCancel    = "cancel"      // stop to its terminal frame
)

// Target is the server that was loaded.
type Target struct {
	URL     string `json:"url"`
	Mode    string `json:"mode"` // troupe or generic
	Version string `json:"version,omitempty"`
}

// Machine is where the tool ran. The server may have run elsewhere.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu"`   // its model, as the system names it
	Cores int    `json:"cores"` // that the tool might use
	Go    string `json:"go"`    // version that built the tool
}

// Totals are counts of the whole measurement.
type Totals struct {
	Connections int64 `json:"connections"` // that were opened, from the start
	Connected   int64 `json:"connected"`   // that were opened while it was measured
	Refused     int64 `json:"refused"`
	Dropped     int64 `json:"dropped"` // ended by the other side, unasked
	Questions   int64 `json:"questions"`
	Completed   int64 `json:"completed"`
	Answered    int64 `json:"answered"` // complete answers that ended while it was measured, whenever they were asked: what rates are made of
	Cancelled   int64 `json:"cancelled"`
	Failed      int64 `json:"failed"`
	Resumed     int64 `json:"resumed"`
	Unfinished  int64 `json:"unfinished"` // no terminal frame when the run ended
	Frames      int64 `json:"frames"`
	Chunks      int64 `json:"chunks"`
	Texts       int64 `json:"texts"` // chunks as the provider said them: joined ones counted as what they are made of, where seq and from tell
	Bytes       int64 `json:"bytes"` // read from sockets
	Late        int64 `json:"late"`  // arrivals that the tool itself began more than 10 ms late
}

// Latency is one histogram. Buckets allow a chart and a merge: upper bound in seconds and count.
type Latency struct {
	Count   int64    `json:"count"`
	Mean    float64  `json:"mean"`
	P50     float64  `json:"p50"`
	P90     float64  `json:"p90"`
	P99     float64  `json:"p99"`
	P999    float64  `json:"p999"`
	Max     float64  `json:"max"`
	Buckets []Bucket `json:"buckets"`
}

// Bucket is one bar of a histogram; its count does not hold the buckets below.
type Bucket struct {
	UpTo  float64 `json:"le"`
	Count int64   `json:"n"`
}

// Point is one second of the run: rates are per second, latencies of that second.
type Point struct {
	At          float64            `json:"t"`      // seconds since the start
	Open        int64              `json:"open"`   // connections
	Active      int64              `json:"active"` // answers under way
	Connects    float64            `json:"connects"`
	Questions   float64            `json:"questions"`
	Completed   float64            `json:"completed"`
	Errors      float64            `json:"errors"`
	Frames      float64            `json:"frames"`
	Bytes       float64            `json:"bytes"`
	P50         map[string]float64 `json:"p50,omitempty"` // by latency name
	P99         map[string]float64 `json:"p99,omitempty"`
	LoadCPU     float64            `json:"load_cpu"` // cores used by the tool
	ServerCPU   float64            `json:"server_cpu,omitempty"`
	ServerBytes float64            `json:"server_bytes,omitempty"` // resident
}

// ErrorCount is how often one kind of error came, with one of its texts.
type ErrorCount struct {
	Code    string `json:"code"` // the server's code, or connect, handshake, timeout, closed, order, loss, text …
	Count   int64  `json:"count"`
	Example string `json:"example,omitempty"`
}

// Check is one promise that the run held the server to.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// ServerSide is what the server says of itself, where /metrics may be read.
type ServerSide struct {
	CPUSeconds float64            `json:"cpu_seconds"`
	PeakBytes  float64            `json:"peak_bytes"`
	Before     map[string]float64 `json:"before"` // series by name with labels
	After      map[string]float64 `json:"after"`
	Note       string             `json:"note,omitempty"` // why something is missing
}

// LoadSide tells whether the tool itself may have been the bottleneck.
type LoadSide struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Saturated  bool    `json:"saturated"`
	Why        string  `json:"why,omitempty"`
}
