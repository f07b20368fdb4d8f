package actors

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/troupe-chat/troupe/actors/pressure"
	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/upstream"
	"github.com/troupe-chat/troupe/bus"
)

// Metrics are the families that the actors feed. One per process; every family
// is present from the start. No label is ever made from a client's bytes.
type Metrics struct {
	limitDecisions *prometheus.CounterVec
	limiterAway    prometheus.Gauge
	restarts       *prometheus.CounterVec
	panics         *prometheus.CounterVec
	deadLetters    prometheus.Counter

	connections      *prometheus.CounterVec
	connectionsState *prometheus.GaugeVec
	poolSlots        prometheus.Gauge
	poolLimit        prometheus.Gauge

	pressureStage  prometheus.Gauge
	pressureMemory prometheus.Gauge
	pressureLag    prometheus.Gauge
	limitFactor    prometheus.Gauge
	shed           *prometheus.CounterVec

	runsActive *prometheus.GaugeVec
	runs       *prometheus.CounterVec
	chunks     prometheus.Counter
	tokens     *prometheus.CounterVec
	firstToken prometheus.Histogram
	chunkGap   prometheus.Histogram
	cancel     prometheus.Histogram

	calls   *prometheus.CounterVec // of vendors
	retries *prometheus.CounterVec
	queued  *prometheus.GaugeVec
	resting *prometheus.GaugeVec
	breaker *prometheus.GaugeVec
	keys    *prometheus.GaugeVec

	faults *prometheus.CounterVec
}

// NewMetrics makes the families and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	seconds := func(name, help string, buckets ...float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets,
			// Also as a native one, for a Prometheus that asks for it.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		})
		r.MustRegister(h)
		return h
	}
	m := &Metrics{
		limitDecisions:   counter("troupe_limit_decisions_total", "Decisions of the limiter.", "limit", "result"),
		limiterAway:      gauge("troupe_limiter_degraded", "1 while the static fallback decides instead of the limiter."),
		restarts:         counter("troupe_actor_restarts_total", "Actors that came back after a panic.", "kind"),
		panics:           counter("troupe_panics_total", "Panics caught.", "kind"),
		connections:      counter("troupe_connections_total", "Connections by how their admission went.", "result"),
		connectionsState: gauges("troupe_connections", "Connections now.", "state"),
		poolSlots:        gauge("troupe_pool_slots", "Pool slots held."),
		poolLimit:        gauge("troupe_pool_limit", "Pool slots in all."),
		pressureStage:    gauge("troupe_pressure_stage", "How hard pressed the process is: 0 calm, 1 no new questions, 2 no new connections, 3 slow readers are cut."),
		pressureMemory:   gauge("troupe_pressure_memory_ratio", "Memory that no collection would free, as a part of GOMEMLIMIT; 0 without one."),
		pressureLag:      gauge("troupe_pressure_lag_seconds", "How long what is ready to run waits until it runs."),
		limitFactor:      gauge("troupe_limit_factor", "What is left of the configured limits under pressure: 0.5 to 1."),
		shed:             counter("troupe_shed_total", "What was refused or cut to spare the process.", "what"),
		runsActive:       gauges("troupe_runs_active", "Runs that generate now.", "provider"),
		runs:             counter("troupe_runs_total", "Ended runs.", "provider", "outcome"),
		tokens:           counter("troupe_tokens_total", "Tokens of ended runs.", "provider", "direction", "estimated"),
		firstToken:       seconds("troupe_time_to_first_token_seconds", "From the provider call to its first text.", .01, .03, .1, .3, 1, 3, 10, 30, 100),
		chunkGap:         seconds("troupe_chunk_gap_seconds", "Longest silence inside an ended answer.", .01, .03, .1, .3, 1, 3, 10, 30),
		cancel:           seconds("troupe_cancel_seconds", "From a cancel to the end of the provider call.", .001, .003, .01, .03, .1, .3, 1, 3),

		calls:   counter("troupe_provider_calls_total", "Calls of vendors by how they ended.", "provider", "result"),
		retries: counter("troupe_provider_retries_total", "Calls that followed a failed one for the same question.", "provider"),
		queued:  gauges("troupe_provider_queued", "Questions that wait for room at a provider.", "provider"),
		resting: gauges("troupe_provider_resting", "1 while a provider is left alone.", "provider"),
		breaker: gauges("troupe_provider_breaker", "1 at the state of this worker's own breaker.", "provider", "state"),
		keys:    gauges("troupe_provider_keys", "The deployment's keys by whether they can be used.", "provider", "state"),

		faults: counter("troupe_faults_injected_total", "Messages that a fault has struck on purpose.", "actor", "fault"),
	}
	dead := prometheus.NewCounter(prometheus.CounterOpts{Name: "troupe_dead_letters_total", Help: "Messages to actors that are gone."})
	chunks := prometheus.NewCounter(prometheus.CounterOpts{Name: "troupe_chunks_total", Help: "Chunks that runs published."})
	r.MustRegister(dead, chunks)
	m.deadLetters, m.chunks = dead, chunks
	m.touch()
	return m
}

// touch makes the series of every closed list visible before their first event.
func (m *Metrics) touch() {
	for _, limit := range []string{"connection", "message", "session"} {
		for _, result := range []string{"allowed", "rejected", "fallback"} {
			m.limitDecisions.WithLabelValues(limit, result)
		}
	}
	for _, kind := range kinds() {
		m.restarts.WithLabelValues(kind)
		m.panics.WithLabelValues(kind)
	}
	for _, result := range []string{"accepted", "rejected"} {
		m.connections.WithLabelValues(result)
	}
	m.connectionsState.WithLabelValues("open")
	for _, what := range shedKinds() {
		m.shed.WithLabelValues(what)
	}
	m.limitFactor.Set(1)
}

// underPressure shows a look at the process.
func (m *Metrics) underPressure(v pressure.Verdict) {
	m.pressureStage.Set(float64(v.Stage))
	m.pressureMemory.Set(v.Reading.MemoryShare())
	m.pressureLag.Set(v.Reading.Lag.Seconds())
}

// FaultsEnabled makes the series of every fault visible before the first hit, so
// that a rise from 0 is seen. Where nothing can be injected there are none.
func (m *Metrics) FaultsEnabled() {
	FaultCatalogue().Pairs(func(actor, f string) { m.faults.WithLabelValues(actor, f) })
}

// FaultInjected counts one message that was made to fail. Both are of
// FaultCatalogue's Pairs.
func (m *Metrics) FaultInjected(actor, f string) { m.faults.WithLabelValues(actor, f).Inc() }

// touchProvider does the same for a provider of the configuration.
func (m *Metrics) touchProvider(name string) {
	m.runsActive.WithLabelValues(name)
	for _, outcome := range []string{bus.EventComplete, bus.EventCancelled, bus.EventError} {
		m.runs.WithLabelValues(name, outcome)
	}
	for _, result := range callResults() {
		m.calls.WithLabelValues(name, result)
	}
	m.retries.WithLabelValues(name)
	m.queued.WithLabelValues(name)
	m.resting.WithLabelValues(name)
	for _, state := range breakers() {
		m.breaker.WithLabelValues(name, string(state))
	}
	for _, state := range []string{"ready", "resting"} {
		m.keys.WithLabelValues(name, state)
	}
	for _, direction := range []string{"input", "output"} {
		for _, estimated := range []string{"false", "true"} {
			m.tokens.WithLabelValues(name, direction, estimated)
		}
	}
}

// callResults is the closed list of how a call of a vendor ends.
func callResults() []string {
	return []string{"ok", "connect", "vendor", "limited", "key", "other"}
}

func breakers() []upstream.Breaker {
	return []upstream.Breaker{upstream.Closed, upstream.Open, upstream.HalfOpen}
}

// called counts one call of a vendor.
func (m *Metrics) called(name string, f provider.Fault, err error) {
	result := "other" // cancelled, timed out, refused as it was asked
	switch {
	case err == nil:
		result = "ok"
	case f == provider.FaultConnect:
		result = "connect"
	case f == provider.FaultVendor:
		result = "vendor"
	case f == provider.FaultLimited:
		result = "limited"
	case f == provider.FaultKeyRefused, f == provider.FaultKeySpent, f == provider.FaultKeyDenied:
		result = "key"
	}
	m.calls.WithLabelValues(name, result).Inc()
}

// line shows how a provider's way out stands.
func (m *Metrics) line(name string, l *upstream.Line) {
	load := l.Load()
	m.queued.WithLabelValues(name).Set(float64(load.Queued))
	m.keys.WithLabelValues(name, "ready").Set(float64(load.Ready + load.Limited))
	m.keys.WithLabelValues(name, "resting").Set(float64(load.Spent + load.Refused))
	for _, state := range breakers() {
		at := 0.0
		if load.Breaker == state {
			at = 1
		}
		m.breaker.WithLabelValues(name, string(state)).Set(at)
	}
	rests := 0.0
	if _, _, resting := l.Resting(); resting {
		rests = 1
	}
	m.resting.WithLabelValues(name).Set(rests)
}

// countTokens counts what an ended run cost.
func (m *Metrics) countTokens(name string, u *bus.Usage) {
	estimated := "false"
	if u.Estimated {
		estimated = "true"
	}
	m.tokens.WithLabelValues(name, "input", estimated).Add(float64(u.InputTokens))
	m.tokens.WithLabelValues(name, "output", estimated).Add(float64(u.OutputTokens))
}
