package provider

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Bounds of what is read besides an answer.
const (
	maxErrorBody  = 8 << 10
	errorBodyTime = 2 * time.Second        // a refusal is not held up by a body that does not come
	endTime       = 100 * time.Millisecond // what a vendor may take between its last word and its end
	endBytes      = 4 << 10
)

// exchange is one call's hold on its connection. It exists because closing a
// body does not promise that the connection is closed by then: net/http does
// that in a goroutine of its own, a moment later. A run takes the return of
// Stream for the proof that the vendor was stopped, so the connection of an
// answer that was given up is closed here.
type exchange struct {
	ctx    context.Context // of the request
	cancel context.CancelFunc
	conn   net.Conn // the one that the request went out on
	resp   *http.Response
	wrote  atomic.Bool // the whole request is out
	ended  bool        // the body was read to its end: the connection is no longer ours
}

func newExchange(ctx context.Context) *exchange {
	ex := new(exchange)
	ctx, ex.cancel = context.WithCancel(ctx)
	ex.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { ex.conn = info.Conn },
		WroteRequest: func(info httptrace.WroteRequestInfo) { ex.wrote.Store(info.Err == nil) },
	})
	return ex
}

// begin takes over the response.
func (ex *exchange) begin(resp *http.Response) { ex.resp = resp }

// Read reads the body and notes its end.
func (ex *exchange) Read(b []byte) (int, error) {
	n, err := ex.resp.Body.Read(b)
	if err == io.EOF {
		ex.ended = true
	}
	return n, err
}

// sent tells whether the vendor may have the whole question.
func (ex *exchange) sent() bool { return ex.wrote.Load() }

// refusal reads what fits of an error's body, for a bounded time.
func (ex *exchange) refusal() (text []byte, whole bool) {
	late := time.AfterFunc(errorBodyTime, ex.cancel)
	defer late.Stop()
	text, err := io.ReadAll(io.LimitReader(ex, maxErrorBody))
	return text, err == nil && len(text) < maxErrorBody
}

// finish waits a moment for the end of a body whose last word was said, so that
// the connection can serve the next question. A vendor that keeps the body open
// loses the connection instead.
func (ex *exchange) finish() {
	late := time.AfterFunc(endTime, ex.cancel)
	defer late.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(ex, endBytes))
}

// end lets go. A connection of HTTP/2 is shared: there the body's Close resets
// the call's own stream.
func (ex *exchange) end() {
	if ex.resp != nil {
		if !ex.ended && ex.resp.ProtoMajor == 1 && ex.conn != nil {
			_ = ex.conn.Close()
		}
		_ = ex.resp.Body.Close()
	}
	ex.cancel()
}
