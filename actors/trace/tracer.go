package trace

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Options are what a Tracer is made of.
type Options struct {
	Config   Config
	Role     string // serve, gateway or worker
	Version  string
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: nothing is counted in metrics
}

// Tracer begins spans and sends those that ended to the collector. A nil Tracer
// traces nothing.
type Tracer struct {
	otel    otel.Tracer
	clients bool
	queue   *queue // nil where a test takes the spans
}

// New makes a Tracer; nil where no endpoint is configured. Nothing is sent until
// Run is called. The families of metrics are there in either case.
func New(o Options) (*Tracer, error) {
	counts := newCounts(o.Registry)
	if o.Config.Endpoint == "" {
		return nil, nil //nolint:nilnil // off
	}
	c, err := newCollector(o.Config, o.Version)
	if err != nil {
		return nil, err
	}
	q := newQueue(o.Config, c, counts, o.Log)
	t := Into(q, o)
	t.queue = q
	return t, nil
}

// Into makes a Tracer whose spans go to p, in place of a collector.
func Into(p sdk.SpanProcessor, o Options) *Tracer {
	limits := sdk.SpanLimits{
		AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 32, LinkCountLimit: 4,
		AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 1,
	}
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Config.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", o.Config.ServiceName), attribute.String("service.version", o.Version),
			attribute.String("troupe.role", o.Role),
		)),
		sdk.WithRawSpanLimits(limits), sdk.WithSpanProcessor(p),
	)
	return &Tracer{otel: provider.Tracer("github.com/troupe-chat/troupe", otel.WithInstrumentationVersion(o.Version)), clients: o.Config.Clients}
}

// Run sends what ended until Close. The caller gives it a goroutine of its own.
func (t *Tracer) Run() {
	if t != nil && t.queue != nil {
		t.queue.run()
	}
}

// Flush sends all that has ended so far, at most until ctx ends.
func (t *Tracer) Flush(ctx context.Context) error {
	if t == nil || t.queue == nil {
		return nil
	}
	return t.queue.ForceFlush(ctx)
}

// Close is Flush, and the end of Run. What ends later is dropped and counted.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil || t.queue == nil {
		return nil
	}
	return t.queue.Shutdown(ctx)
}

// Taken is what counts of a client's trace: nothing, where the configuration takes
// none.
func (t *Tracer) Taken(client *protocol.TraceParent) *protocol.TraceParent {
	if t == nil || !t.clients {
		return nil
	}
	return client
}

// Begin begins a span of a trace that starts here, or goes on with the client's
// where one is given and the configuration takes it. It is nil where the trace
// is not kept. after is linked to: what came before, in a trace of its own.
func (t *Tracer) Begin(name string, k Kind, client *protocol.TraceParent, after *Span, attrs ...Attr) *Span {
	if t == nil {
		return nil
	}
	ctx := context.Background()
	if client = t.Taken(client); client != nil {
		ctx = remote(client)
	}
	options := []otel.SpanStartOption{k.option(), otel.WithAttributes(attrs...)}
	if after != nil {
		options = append(options, otel.WithLinks(otel.Link{SpanContext: after.span.SpanContext()}))
	}
	return t.start(ctx, name, options...)
}

// Continue begins a span of a trace that another process has begun and keeps. It
// is nil where no such trace is named: the bus alone begins none.
func (t *Tracer) Continue(name string, k Kind, header string, attrs ...Attr) *Span {
	if t == nil || header == "" {
		return nil
	}
	parent := protocol.ParseTraceParent(header)
	if parent == nil || !parent.Sampled {
		return nil
	}
	return t.start(remote(parent), name, k.option(), otel.WithAttributes(attrs...))
}

func remote(p *protocol.TraceParent) context.Context {
	c := otel.SpanContextConfig{TraceID: p.Trace, SpanID: p.Span, Remote: true}
	if p.Sampled {
		c.TraceFlags = otel.FlagsSampled
	}
	return otel.ContextWithRemoteSpanContext(context.Background(), otel.NewSpanContext(c))
}

func (t *Tracer) start(ctx context.Context, name string, options ...otel.SpanStartOption) *Span {
	_, span := t.otel.Start(ctx, name, options...)
	if !span.IsRecording() {
		return nil
	}
	return &Span{tracer: t, span: span}
}

// counts are the family of metrics about spans.
type counts struct{ exported, dropped, failed prometheus.Counter }

func newCounts(r prometheus.Registerer) counts {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "troupe_trace_spans_total", Help: "Ended spans by what became of them: exported, dropped for want of room, failed at the collector.",
	}, []string{"result"})
	if r != nil {
		r.MustRegister(spans)
	}
	return counts{spans.WithLabelValues("exported"), spans.WithLabelValues("dropped"), spans.WithLabelValues("failed")}
}
