package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector posts batches as OTLP over HTTP, in binary protobuf. The library's
// own HTTP client would bring gRPC along; this one keeps to a bound on every
// answer, follows no redirect with the operator's headers, and says what went
// wrong without the address or the answer's text.
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
type collector struct {
	spans  *otlptrace.Exporter
	url    string
	header http.Header
	client *http.Client
}

// maxAnswer bounds what is read of a collector's answer.
const maxAnswer = 64 << 10

func newCollector(c Config, version string) (*collector, error) {
	to, err := c.address()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	transport.MaxResponseHeaderBytes = maxAnswer
	k := &collector{
		url: to.String(), header: http.Header{},
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, h := range c.Headers {
		if name, value, ok := header(h); ok {
			k.header.Add(name, value)
		}
	}
	k.header.Set("Content-Type", "application/x-protobuf")
	k.header.Set("User-Agent", "troupe/"+version)
	k.spans = otlptrace.NewUnstarted(k) // it only turns spans into protobuf
	return k, nil
}

// refused is a batch that the collector did not take.
type refused struct{ status int }

func (e *refused) Error() string {
	return fmt.Sprintf("the collector answers %d %s", e.status, http.StatusText(e.status))
}

// export implements exporter. Whatever is not the batch's own fault may be sent
// again.
func (k *collector) export(ctx context.Context, spans []sdk.ReadOnlySpan) (retry bool, err error) {
	err = errors.Unwrap(k.spans.ExportSpans(ctx, spans))
	var no *refused
	if errors.As(err, &no) {
		switch no.status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true, err
		}
		return false, err
	}
	return err != nil, err
}

// UploadTraces implements otlptrace.Client.
func (k *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // on the wire the same as a request to export
	if err != nil {
		return &refused{http.StatusBadRequest}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url, bytes.NewReader(body))
	if err != nil {
		return &refused{http.StatusBadRequest}
	}
	r.Header = k.header.Clone()
	resp, err := k.client.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // without the address
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return &refused{resp.StatusCode}
	}
	return nil
}

// Start implements otlptrace.Client.
func (k *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (k *collector) Stop(context.Context) error { return nil }

func (k *collector) close() { k.client.CloseIdleConnections() }
