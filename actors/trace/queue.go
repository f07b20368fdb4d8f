package trace

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Bounds of what is sent at once, and when.
const (
	batchMax   = 512              // spans of one request
	batchWait  = 2 * time.Second  // until a batch that is not full is sent
	retryFirst = time.Second      // after a request that failed, doubling
	retryMax   = 16 * time.Second // between two of them
	retryFor   = 30 * time.Second // from a batch's first failure until it is given up
	logEvery   = time.Minute      // one line about a collector that does not take them
)

// exporter takes one batch. retry tells whether it may be sent again.
type exporter interface {
	export(ctx context.Context, spans []sdk.ReadOnlySpan) (retry bool, err error)
	close()
}

// queue holds ended spans until the collector has them. Whoever ends a span never
// waits; one goroutine, run, does all the sending. It is OpenTelemetry's
// SpanProcessor in a form that counts what it drops.
type queue struct {
	// Set once.
	to      exporter
	counts  counts
	log     zerolog.Logger
	timeout time.Duration
	spans   chan sdk.ReadOnlySpan
	flushes chan flush
	life    context.Context //nolint:containedctx // ends with Shutdown, and every request with it
	end     context.CancelFunc
	done    chan struct{}

	// Owned by run.
	batch  []sdk.ReadOnlySpan
	timer  *time.Timer
	tries  int       // of this batch, that failed
	failed time.Time // when the first of them did
	logged time.Time
}

// flush asks run to send all that is there, until ctx ends.
type flush struct {
	ctx  context.Context //nolint:containedctx // of the one who waits
	done chan error
}

// errStopped is what a flush after Shutdown hears.
var errStopped = errors.New("traces are not exported any more")

func newQueue(c Config, to exporter, counts counts, log zerolog.Logger) *queue {
	q := &queue{
		to: to, counts: counts, log: log, timeout: c.Timeout,
		spans: make(chan sdk.ReadOnlySpan, c.Queue), flushes: make(chan flush), done: make(chan struct{}),
		timer: time.NewTimer(time.Hour),
	}
	q.life, q.end = context.WithCancel(context.Background())
	q.timer.Stop()
	return q
}

// OnStart implements sdk.SpanProcessor.
func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if q.life.Err() != nil {
		q.counts.dropped.Inc()
		return
	}
	select {
	case q.spans <- s:
	default:
		q.counts.dropped.Inc()
	}
}

// ForceFlush implements sdk.SpanProcessor.
func (q *queue) ForceFlush(ctx context.Context) error {
	f := flush{ctx: ctx, done: make(chan error, 1)}
	select {
	case q.flushes <- f:
	case <-q.life.Done():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-f.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown implements sdk.SpanProcessor.
func (q *queue) Shutdown(ctx context.Context) error {
	err := q.ForceFlush(ctx)
	q.end()
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	return err
}

// run sends until Shutdown.
func (q *queue) run() {
	defer close(q.done)
	defer q.to.close()
	for {
		in := q.spans
		if len(q.batch) == batchMax { // it waits for its next try: let the queue fill
			in = nil
		}
		select {
		case s := <-in:
			q.take(s)
		case <-q.timer.C:
			_ = q.send(q.life) // it has said so
		case f := <-q.flushes:
			f.done <- q.all(f.ctx)
		case <-q.life.Done():
			q.rest()
			return
		}
	}
}

// take adds a span to the batch, which is sent when it is full or has waited.
func (q *queue) take(s sdk.ReadOnlySpan) {
	q.batch = append(q.batch, s)
	switch {
	case q.tries > 0: // the timer of its next try runs
	case len(q.batch) == batchMax:
		_ = q.send(q.life) // it has said so
	case len(q.batch) == 1:
		q.timer.Reset(batchWait)
	}
}

// all sends what is there, and stops at the first failure.
func (q *queue) all(ctx context.Context) error {
	for n := len(q.spans); ; n = len(q.spans) {
		for range min(n, batchMax-len(q.batch)) {
			q.batch = append(q.batch, <-q.spans)
		}
		if len(q.batch) == 0 {
			return nil
		}
		if err := q.send(ctx); err != nil {
			return err
		}
	}
}

// send sends the batch once. One that may be sent again is kept for a while; no
// try takes longer than its timeout, or than ctx.
func (q *queue) send(ctx context.Context) error {
	if len(q.batch) == 0 {
		return nil
	}
	q.timer.Stop()
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	defer context.AfterFunc(q.life, cancel)()
	retry, err := q.to.export(ctx, q.batch)
	now := time.Now()
	if err == nil {
		q.counts.exported.Add(float64(len(q.batch)))
		q.forget()
		return nil
	}
	if q.tries == 0 {
		q.failed = now
	}
	q.tries++
	q.complain(now, err)
	if retry && now.Sub(q.failed) < retryFor {
		q.timer.Reset(min(retryFirst<<min(q.tries-1, 8), retryMax))
		return err
	}
	q.counts.failed.Add(float64(len(q.batch)))
	q.forget()
	return err
}

func (q *queue) forget() {
	clear(q.batch) // else it would hold the spans until it is as long again
	q.batch, q.tries = q.batch[:0], 0
}

// rest counts what nobody will send any more.
func (q *queue) rest() {
	q.counts.failed.Add(float64(len(q.batch)))
	q.counts.dropped.Add(float64(len(q.spans)))
	q.timer.Stop()
}

// complain writes at most one line a minute.
func (q *queue) complain(now time.Time, err error) {
	if !q.logged.IsZero() && now.Sub(q.logged) < logEvery {
		return
	}
	q.logged = now
	q.log.Warn().Err(err).Int("waiting", len(q.batch)+len(q.spans)).
		Msg("Traces cannot be exported: chat goes on, spans are dropped when traces.queue is full")
}
