package trace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// fakeCollector takes batches as fn says.
type fakeCollector struct {
	fn func(ctx context.Context, n int) (retry bool, err error)

	mu    sync.Mutex
	sizes []int
	ended bool
}

func (f *fakeCollector) export(ctx context.Context, spans []sdk.ReadOnlySpan) (bool, error) {
	f.mu.Lock()
	f.sizes = append(f.sizes, len(spans))
	n := len(f.sizes)
	f.mu.Unlock()
	if f.fn == nil {
		return false, nil
	}
	return f.fn(ctx, n)
}

func (f *fakeCollector) close() { f.ended = true }

func (f *fakeCollector) seen() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.sizes...)
}

// desk is a queue at work in a bubble.
type desk struct {
	*queue
	tracer *Tracer
	to     *fakeCollector
	log    *bytes.Buffer
	counts prometheus.Gatherer
	t      *testing.T
}

func newDesk(t *testing.T, room int, fn func(ctx context.Context, n int) (bool, error)) *desk {
	t.Helper()
	c := Default()
	c.Queue = room
	registry := prometheus.NewRegistry()
	d := &desk{to: &fakeCollector{fn: fn}, log: &bytes.Buffer{}, counts: registry, t: t}
	d.queue = newQueue(c, d.to, newCounts(registry), zerolog.New(d.log))
	d.tracer = Into(d.queue, Options{Config: c})
	go d.run()
	t.Cleanup(func() {
		_ = d.Shutdown(t.Context())
		synctest.Wait()
		require.True(t, d.to.ended)
	})
	return d
}

func (d *desk) end(n int) {
	for range n {
		d.tracer.Begin("x", Internal, nil, nil).End()
	}
}

func (d *desk) became() (exported, dropped, failed float64) {
	families, err := d.counts.Gather()
	require.NoError(d.t, err)
	became := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		became[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	require.Len(d.t, became, 3)
	return became["exported"], became["dropped"], became["failed"]
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestQueueSendsInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2048, nil)
		d.end(3)
		pass(batchWait - time.Millisecond)
		require.Empty(t, d.to.seen())
		pass(time.Millisecond)
		require.Equal(t, []int{3}, d.to.seen())
		d.end(batchMax + 1)
		synctest.Wait()
		require.Equal(t, []int{3, batchMax}, d.to.seen(), "a full one waits for nothing")
		require.NoError(t, d.ForceFlush(t.Context()))
		require.Equal(t, []int{3, batchMax, 1}, d.to.seen())
		require.Empty(t, d.log.String())
	})
}

// TestQueueNeverWaits: a collector that hangs costs spans and nothing else.
func TestQueueNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 10, func(ctx context.Context, _ int) (bool, error) {
			<-ctx.Done()
			return true, ctx.Err()
		})
		began := time.Now()
		for range 100 {
			d.end(batchMax)
			synctest.Wait() // it takes what it can
		}
		require.Equal(t, began, time.Now())
		_, dropped, _ := d.became()
		require.Positive(t, dropped)
		pass(10 * time.Minute)
		require.LessOrEqual(t, strings.Count(d.log.String(), "\n"), 10, "at most one line a minute: %s", d.log)
		_, _, failed := d.became()
		require.Positive(t, failed, "a batch is given up in the end")

		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		d.end(1)
		require.Error(t, d.Shutdown(ctx))
		synctest.Wait()
		require.LessOrEqual(t, time.Since(began), 300*time.Millisecond)
		d.end(1)
		exported, dropped, failed := d.became()
		require.Zero(t, exported)
		require.Equal(t, float64(100*batchMax+2), dropped+failed, "every span is accounted for")
	})
}

func TestQueueTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2048, func(_ context.Context, n int) (bool, error) {
			if n < 4 {
				return true, &refused{503}
			}
			return false, nil
		})
		d.end(2)
		pass(batchWait)
		d.end(1)
		pass(retryFirst + 2*retryFirst + 4*retryFirst)
		require.Equal(t, []int{2, 3, 3, 3}, d.to.seen())
		exported, dropped, failed := d.became()
		require.Equal(t, []float64{3, 0, 0}, []float64{exported, dropped, failed})
		require.Equal(t, 1, strings.Count(d.log.String(), "\n"))
		require.Contains(t, d.log.String(), "the collector answers 503 Service Unavailable")
	})
}

func TestQueueGivesUpWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2048, func(context.Context, int) (bool, error) { return false, &refused{400} })
		d.end(2)
		pass(time.Minute)
		require.Equal(t, []int{2}, d.to.seen())
		_, _, failed := d.became()
		require.Equal(t, 2.0, failed)
		d.end(1)
		require.ErrorContains(t, d.ForceFlush(t.Context()), "400")
	})
}

func TestCollectorWire(t *testing.T) {
	var got *http.Request
	var body []byte
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", "http://elsewhere.invalid/")
		w.WriteHeader(status)
		_, _ = w.Write(bytes.Repeat([]byte("canary"), 1<<16))
	}))
	defer s.Close()
	c := Default()
	c.Endpoint, c.Headers = s.URL, []protocol.Secret{protocol.NewSecret([]byte("Authorization: Bearer sk-1")), {}}
	k, err := newCollector(c, "1.2")
	require.NoError(t, err)
	defer k.close()
	rec := &kept{}
	Into(rec, Options{Config: c, Role: "worker", Version: "1.2"}).Begin(SpanRun, Consumer, nil, nil, Number(KeyAttempt, 1)).End()

	retry, err := k.export(t.Context(), rec.spans)
	require.NoError(t, err)
	require.False(t, retry)
	require.Equal(t, "/v1/traces", got.URL.Path)
	require.Equal(t, "Bearer sk-1", got.Header.Get("Authorization"))
	require.Equal(t, "application/x-protobuf", got.Header.Get("Content-Type"))
	var data tracepb.TracesData
	require.NoError(t, proto.Unmarshal(body, &data))
	require.Equal(t, SpanRun, data.ResourceSpans[0].ScopeSpans[0].Spans[0].Name)
	said := data.ResourceSpans[0].Resource.String()
	require.Contains(t, said, "troupe.role")
	require.NotContains(t, said, "host")

	for code, again := range map[int]bool{302: false, 400: false, 401: false, 429: true, 500: false, 502: true, 503: true, 504: true} {
		status = code
		retry, err = k.export(t.Context(), rec.spans)
		require.Equal(t, again, retry, code)
		require.ErrorContains(t, err, http.StatusText(code))
		require.NotContains(t, err.Error(), "canary")
	}
	s.Close()
	retry, err = k.export(t.Context(), rec.spans)
	require.True(t, retry)
	require.NotContains(t, err.Error(), "/v1/traces")
}

// kept is a processor that keeps what ends.
type kept struct{ spans []sdk.ReadOnlySpan }

func (k *kept) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (k *kept) OnEnd(s sdk.ReadOnlySpan)                   { k.spans = append(k.spans, s) }
func (k *kept) Shutdown(context.Context) error             { return nil }
func (k *kept) ForceFlush(context.Context) error           { return nil }

func TestConfigValidate(t *testing.T) {
	require.NoError(t, Default().Validate())
	for key, bend := range map[string]func(*Config){
		"traces.endpoint":     func(c *Config) { c.Endpoint = "collector:4318" },
		"traces.endpoint: ":   func(c *Config) { c.Endpoint = "ftp://collector" },
		"traces.endpoint: is": func(c *Config) { c.Endpoint = "http://me:sk-canary@collector" },
		"traces.sample: -1":   func(c *Config) { c.Sample = -1 },
		"traces.sample: 1.5":  func(c *Config) { c.Sample = 1.5 },
		"traces.service_name": func(c *Config) { c.ServiceName = "" },
		"traces.timeout: 0s":  func(c *Config) { c.Timeout = 0 },
		"traces.timeout: 2m":  func(c *Config) { c.Timeout = 2 * time.Minute },
		"traces.queue: 0":     func(c *Config) { c.Queue = 0 },
		"traces.queue: 65537": func(c *Config) { c.Queue = maxQueue + 1 },
		"traces.headers[0]":   func(c *Config) { c.Headers = secrets("sk-canary") },
		"traces.headers[1]":   func(c *Config) { c.Headers = secrets("A: b", "A: sk-canary\r\nB: c") },
	} {
		c := Default()
		bend(&c)
		err := c.Validate()
		require.ErrorContains(t, err, key)
		require.NotContains(t, err.Error(), "canary")
	}
}

func secrets(lines ...string) (out []protocol.Secret) {
	for _, l := range lines {
		out = append(out, protocol.NewSecret([]byte(l)))
	}
	return out
}

func TestEndpointPath(t *testing.T) {
	for given, want := range map[string]string{
		"http://c:4318":             "http://c:4318/v1/traces",
		"https://c/":                "https://c/v1/traces",
		"https://c/api/otlp/traces": "https://c/api/otlp/traces",
	} {
		u, err := Config{Endpoint: given}.address()
		require.NoError(t, err)
		require.Equal(t, want, u.String())
	}
}

// TestOffCostsNothing: a nil Tracer and a nil Span do nothing and allocate
// nothing.
func TestOffCostsNothing(t *testing.T) {
	tracer, err := New(Options{Config: Default(), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	require.Nil(t, tracer)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s := tracer.Begin("x", Server, nil, nil)
		s = s.Child("y", Internal)
		s.Set()
		s.Event("z")
		s.Fail(protocol.Internal)
		s.Abandon()
		s.End()
		if s.Parent() != nil || !s.Ended() || tracer.Continue("x", Consumer, "") != nil {
			t.Error("something was recorded")
		}
	}))
	tracer.Run()
	require.NoError(t, errors.Join(tracer.Flush(t.Context()), tracer.Close(t.Context())))
}

func TestContinueHostile(t *testing.T) {
	tracer := Into(&kept{}, Options{Config: Default()})
	for _, s := range []string{"", "00", "00-0-0-01", strings.Repeat("x", 55), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"} {
		require.Nil(t, tracer.Continue("x", Consumer, s), s)
	}
	require.NotNil(t, tracer.Continue("x", Consumer, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
}
