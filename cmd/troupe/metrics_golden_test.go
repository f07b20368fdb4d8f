package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// family is one row of what /metrics promises. A name or a label that changes
// breaks somebody's dashboard, so it changes here, in docs/protocol.md and in
// deploy/monitoring together.
type family struct {
	kind string
	help string
	// labels are all values that a label may ever have.
	labels map[string][]string
	// only is the one role that exports it, onlyFaults, or empty.
	only string
}

// onlyFaults is a family that is there where faults are enabled, whatever the role.
const onlyFaults = "faults"

const (
	counter   = "COUNTER"
	gauge     = "GAUGE"
	histogram = "HISTOGRAM"
)

// goldenFamilies is the whole list. Who adds a family adds its row.
func goldenFamilies() map[string]family {
	type labels = map[string][]string
	var (
		providers = []string{"anthropic", "echo", "gemini", "openai"}
		kinds     = []string{"connection", "connections", "gateway", "limiter", "pool", "provider", "roster", "run", "worker"}
		codes     []string
	)
	for _, c := range protocol.Codes() {
		codes = append(codes, string(c.Code))
	}
	return map[string]family{
		"troupe_actor_restarts_total": {counter, "Actors that came back after a panic.", labels{"kind": kinds}, ""},
		"troupe_build_info":           {gauge, "1, with the version of this build.", labels{"version": {"test"}}, ""},
		"troupe_bus_connected":        {gauge, "1 while every connection to NATS is up.", nil, ""},
		"troupe_bus_dropped_total":    {counter, "Messages that NATS subscriptions dropped above their pending limits.", nil, ""},
		"troupe_bus_reconnects_total": {counter, "Times that a lost connection to NATS came back.", nil, ""},
		"troupe_cancel_seconds":       {histogram, "From a cancel to the end of the provider call.", nil, ""},
		"troupe_chunk_gap_seconds":    {histogram, "Longest silence inside an ended answer.", nil, ""},
		"troupe_chunks_total":         {counter, "Chunks that runs published.", nil, ""},
		"troupe_connections":          {gauge, "Connections now.", labels{"state": {"open"}}, ""},
		"troupe_connections_total":    {counter, "Connections by how their admission went.", labels{"result": {"accepted", "rejected"}}, ""},
		"troupe_dead_letters_total":   {counter, "Messages to actors that are gone.", nil, ""},
		"troupe_edge_panics_total":    {counter, "Panics caught at the edge, each of which ended one socket.", nil, roleGateway},
		"troupe_errors_total":         {counter, "Errors that clients were told, by code.", labels{"code": codes}, roleGateway},
		"troupe_faults_injected_total": {
			counter, "Messages that a fault has struck on purpose.", labels{
				"actor": {"bus", "connection", "connections", "limiter", "pool", "provider", "roster", "run", "vendor"},
				"fault": {"delay", "drop", "error", "hang", "panic", "reorder", "repeat"},
			}, onlyFaults,
		},
		"troupe_frames_queued_total": {counter, "Frames queued for clients of WebSockets, before chunks are joined.", nil, roleGateway},
		"troupe_frames_received_total": {
			counter, "WebSocket messages and control frames received.", nil, roleGateway,
		},
		"troupe_handshakes_total": {
			counter, "WebSocket handshakes by result: ok, bad (not RFC 6455, or stopping), origin (refused by Origin).",
			labels{"result": {"bad", "ok", "origin"}},
			roleGateway,
		},
		"troupe_limit_decisions_total": {
			counter, "Decisions of the limiter.",
			labels{"limit": {"connection", "message", "session"}, "result": {"allowed", "fallback", "rejected"}},
			"",
		},
		"troupe_limit_factor":          {gauge, "What is left of the configured limits under pressure: 0.5 to 1.", nil, ""},
		"troupe_limiter_degraded":      {gauge, "1 while the static fallback decides instead of the limiter.", nil, ""},
		"troupe_outbox_bytes":          {gauge, "Bytes that wait for slow readers of WebSockets.", nil, roleGateway},
		"troupe_panics_total":          {counter, "Panics caught.", labels{"kind": kinds}, ""},
		"troupe_pings_total":           {counter, "Pings sent to silent clients.", nil, roleGateway},
		"troupe_pool_limit":            {gauge, "Pool slots in all.", nil, ""},
		"troupe_pool_slots":            {gauge, "Pool slots held.", nil, ""},
		"troupe_pressure_lag_seconds":  {gauge, "How long what is ready to run waits until it runs.", nil, ""},
		"troupe_pressure_memory_ratio": {gauge, "Memory that no collection would free, as a part of GOMEMLIMIT; 0 without one.", nil, ""},
		"troupe_pressure_stage":        {gauge, "How hard pressed the process is: 0 calm, 1 no new questions, 2 no new connections, 3 slow readers are cut.", nil, ""},
		"troupe_protocol_errors_total": {counter, "Sockets ended because the client broke RFC 6455 or a bound.", nil, roleGateway},
		"troupe_provider_breaker": {
			gauge, "1 at the state of this worker's own breaker.",
			labels{"provider": providers, "state": {"closed", "half_open", "open"}},
			"",
		},
		"troupe_provider_calls_total": {
			counter, "Calls of vendors by how they ended.",
			labels{"provider": providers, "result": {"connect", "key", "limited", "ok", "other", "vendor"}},
			"",
		},
		"troupe_provider_keys": {
			gauge, "The deployment's keys by whether they can be used.",
			labels{"provider": providers, "state": {"ready", "resting"}},
			"",
		},
		"troupe_provider_queued":        {gauge, "Questions that wait for room at a provider.", labels{"provider": providers}, ""},
		"troupe_provider_resting":       {gauge, "1 while a provider is left alone.", labels{"provider": providers}, ""},
		"troupe_provider_retries_total": {counter, "Calls that followed a failed one for the same question.", labels{"provider": providers}, ""},
		"troupe_runs_active":            {gauge, "Runs that generate now.", labels{"provider": providers}, ""},
		"troupe_runs_limit":             {gauge, "Runs that this worker takes at a time.", nil, roleWorker},
		"troupe_runs_total": {
			counter, "Ended runs.",
			labels{"provider": providers, "outcome": {"cancelled", "complete", "error"}},
			"",
		},
		"troupe_shed_total": {
			counter, "What was refused or cut to spare the process.",
			labels{"what": {"connection", "job", "offender", "question", "reader"}},
			"",
		},
		"troupe_slow_consumers_total":        {counter, "Clients cut because they read too slowly.", nil, roleGateway},
		"troupe_socket_writes_total":         {counter, "Writes to WebSockets.", nil, roleGateway},
		"troupe_time_to_first_token_seconds": {histogram, "From the provider call to its first text.", nil, ""},
		"troupe_tokens_total": {
			counter, "Tokens of ended runs.",
			labels{"provider": providers, "direction": {"input", "output"}, "estimated": {"false", "true"}},
			"",
		},
		"troupe_trace_spans_total": {
			counter, "Ended spans by what became of them: exported, dropped for want of room, failed at the collector.",
			labels{"result": {"dropped", "exported", "failed"}},
			"",
		},
		"troupe_workers": {gauge, "Workers that this gateway hears.", nil, roleGateway},
	}
}

// ofRole are the families that a process of this role exports, without faults.
func ofRole(role string) map[string]family {
	all := goldenFamilies()
	maps.DeleteFunc(all, func(_ string, f family) bool {
		return f.only == onlyFaults || f.only != "" && role != roleServe && f.only != role
	})
	return all
}

// gathered compares all that a registry exports of ours with the list, values of
// labels included, and returns how many series there are, of anybody's.
func gathered(t *testing.T, reg prometheus.Gatherer, want map[string]family) (series int) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]family{}
	for _, f := range families {
		series += len(f.GetMetric())
		if h := f.GetMetric()[0].GetHistogram(); h != nil { // buckets, +Inf, sum and count are series too
			series += len(f.GetMetric()) * (len(h.GetBucket()) + 2)
		}
		if !strings.HasPrefix(f.GetName(), "troupe_") {
			continue
		}
		values := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(values[l.GetName()], l.GetValue()) {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
		}
		for label := range values {
			slices.Sort(values[label])
		}
		if len(values) == 0 {
			values = nil
		}
		got[f.GetName()] = family{f.GetType().String(), f.GetHelp(), values, want[f.GetName()].only}
	}
	for _, f := range want {
		for label := range f.labels {
			slices.Sort(f.labels[label])
		}
	}
	require.Equal(t, want, got)
	return series
}

// TestMetricFamilies: each role exports its families and no others, under their
// names, kinds and labels, before anything has happened; the Go runtime's and
// the process's are beside them.
func TestMetricFamilies(t *testing.T) {
	s := bustest.Server(t)
	for role, w := range map[string]*whole{
		roleServe: start(t), roleGateway: start(t, over(s, roleGateway)), roleWorker: start(t, over(s, roleWorker), with(withPort)),
	} {
		t.Run(role, func(t *testing.T) {
			gathered(t, w.registry, ofRole(role))
			families, err := w.registry.Gather()
			require.NoError(t, err)
			var others []string
			for _, f := range families {
				others = append(others, f.GetName())
			}
			for _, name := range []string{"go_goroutines", "go_gc_gomemlimit_bytes", "go_memstats_heap_inuse_bytes", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"} {
				require.Contains(t, others, name)
			}
			problems, err := promlint.NewWithMetricFamilies(families).Lint()
			require.NoError(t, err)
			for _, p := range problems {
				require.NotRegexp(t, "^troupe_", p.Metric, p.Text)
			}
		})
	}
}

// TestFaultSeries are there, at 0, where faults are enabled, and nowhere else: see
// ofRole.
func TestFaultSeries(t *testing.T) {
	const name = "troupe_faults_injected_total"
	families, err := start(t, breakable()).registry.Gather()
	require.NoError(t, err)
	got, series, want := map[string][]string{}, 0, 0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			series++
			require.Zero(t, m.GetCounter().GetValue())
			for _, l := range m.GetLabel() {
				got[l.GetName()] = append(got[l.GetName()], l.GetValue())
			}
		}
	}
	actors.FaultCatalogue().Pairs(func(string, string) { want++ })
	require.Equal(t, want, series)
	for label, values := range goldenFamilies()[name].labels {
		slices.Sort(got[label])
		require.Equal(t, values, slices.Compact(got[label]))
	}
}

// TestMetricsReadLikeOneList: names and help are spelled alike, so that they can
// be guessed.
func TestMetricsReadLikeOneList(t *testing.T) {
	for name, f := range goldenFamilies() {
		require.Regexp(t, regexp.MustCompile(`^troupe(_[a-z]+)+$`), name)
		require.Regexp(t, `^[A-Z1].*\.$`, f.help, name)
		require.Equal(t, f.kind == counter, strings.HasSuffix(name, "_total"), name)
		if f.kind == histogram {
			require.Regexp(t, "_seconds$", name)
		}
	}
}
