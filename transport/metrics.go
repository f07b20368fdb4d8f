package transport

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// edgeCounts is what the HTTP side counts beside edgeMetrics. Safe for
// concurrent use; the map is never written to after it is made.
type edgeCounts struct {
	originRefused atomic.Uint64
	httpSlow      atomic.Uint64 // SSE readers cut by the outbox bound
	errors        map[protocol.Code]*atomic.Uint64
}

func newEdgeCounts() *edgeCounts {
	c := &edgeCounts{errors: map[protocol.Code]*atomic.Uint64{}}
	for _, info := range protocol.Codes() {
		c.errors[info.Code] = &atomic.Uint64{}
	}
	return c
}

func (c *edgeCounts) error(code protocol.Code) {
	c.errors[protocol.Lookup(code).Code].Add(1)
}

// edgeCollector shows the edge's own families; the actors' are registered by
// their owners. It reads counters and builds nothing per message.
type edgeCollector struct {
	edge   *edgeMetrics
	counts *edgeCounts

	handshakes, errors, slow, outbox *prometheus.Desc
	protocolErrors, panics, pings    *prometheus.Desc
	framesIn, framesOut, writes      *prometheus.Desc
}

func newEdgeCollector(edge *edgeMetrics, counts *edgeCounts) *edgeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("troupe_"+name, help, labels, nil)
	}
	return &edgeCollector{
		edge: edge, counts: counts,
		handshakes:     desc("handshakes_total", "WebSocket handshakes by result: ok, bad (not RFC 6455, or stopping), origin (refused by Origin).", "result"),
		errors:         desc("errors_total", "Errors that clients were told, by code.", "code"),
		slow:           desc("slow_consumers_total", "Clients cut because they read too slowly."),
		outbox:         desc("outbox_bytes", "Bytes that wait for slow readers of WebSockets."),
		protocolErrors: desc("protocol_errors_total", "Sockets ended because the client broke RFC 6455 or a bound."),
		panics:         desc("edge_panics_total", "Panics caught at the edge, each of which ended one socket."),
		pings:          desc("pings_total", "Pings sent to silent clients."),
		framesIn:       desc("frames_received_total", "WebSocket messages and control frames received."),
		framesOut:      desc("frames_queued_total", "Frames queued for clients of WebSockets, before chunks are joined."),
		writes:         desc("socket_writes_total", "Writes to WebSockets."),
	}
}

// Describe implements prometheus.Collector.
func (c *edgeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.handshakes, c.errors, c.slow, c.outbox, c.protocolErrors,
		c.panics, c.pings, c.framesIn, c.framesOut, c.writes,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector. Every label value is present from
// the start, so that a rate has something to start from.
func (c *edgeCollector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	count(c.handshakes, c.edge.handshakesOK.Load(), "ok")
	count(c.handshakes, c.edge.handshakesBad.Load(), "bad")
	count(c.handshakes, c.counts.originRefused.Load(), "origin")
	for code, n := range c.counts.errors {
		told := n.Load()
		if code == protocol.SlowConsumer { // on a socket it is a close code, not a frame that was counted
			told += c.edge.slowConsumers.Load()
		}
		count(c.errors, told, string(code))
	}
	count(c.slow, c.edge.slowConsumers.Load()+c.counts.httpSlow.Load())
	out <- prometheus.MustNewConstMetric(c.outbox, prometheus.GaugeValue, float64(c.edge.outboxBytes.Load()))
	count(c.protocolErrors, c.edge.protocolErrors.Load())
	count(c.panics, c.edge.panics.Load())
	count(c.pings, c.edge.pings.Load())
	count(c.framesIn, c.edge.framesIn.Load())
	count(c.framesOut, c.edge.framesOut.Load())
	count(c.writes, c.edge.writes.Load())
}

// registerBuild adds the build's family unless the process has shown it
// already.
func registerBuild(reg *prometheus.Registry, version string) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "troupe_build_info", Help: "1, with the version of this build.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	if err := reg.Register(build); err != nil {
		if _, known := errors.AsType[prometheus.AlreadyRegisteredError](err); !known {
			return err
		}
	}
	return nil
}

// scrapesAtOnce bounds the registry's own work: each scrape gathers everything.
const scrapesAtOnce = 4

func newScraper(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) { s.scraper.ServeHTTP(w, r) }
