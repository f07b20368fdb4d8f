package provider

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Ordinary limits mention the billing page. A key must not rest for that as if
// its account were empty, nor its user be told to pay.
func TestALimitIsNoEmptyAccount(t *testing.T) {
	after := func(s int) http.Header { return http.Header{"Retry-After": {strconv.Itoa(s)}} }
	object := providertest.ErrorObject
	const moreAt = "Limit 3, used 3. Try again in 8 s, or pay for more at https://vendor.example/settings/billing."
	tests := map[string]struct {
		header http.Header
		body   string
		fault  Fault
		retry  int
	}{
		"tokens a minute":        {after(8), object(moreAt, "tokens", "rate_limit_exceeded"), FaultLimited, 8},
		"requests a minute":      {after(20), object(moreAt, "requests", "rate_limit_exceeded"), FaultLimited, 20},
		"no Retry-After":         {nil, object(moreAt, "requests", "rate_limit_exceeded"), FaultLimited, defaultRetry},
		"a sentence that waits":  {after(8), object(moreAt, "", ""), FaultLimited, 8},
		"text that waits":        {after(8), moreAt, FaultLimited, 8},
		"a code that waits":      {after(8), object("no", "insufficient_quota", "insufficient_quota"), FaultLimited, 8},
		"a code":                 {nil, object("no", "insufficient_quota", "insufficient_quota"), FaultKeySpent, 0},
		"a type":                 {nil, object("no", "billing_error", ""), FaultKeySpent, 0},
		"a sentence alone":       {nil, object("Check your billing.", "", ""), FaultKeySpent, 0},
		"a code of another kind": {nil, object("Check your billing.", "", "slow_down"), FaultLimited, defaultRetry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := providertest.New(t, providertest.Script{Status: http.StatusTooManyRequests, Header: tt.header, Body: tt.body})
			_, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
			told := requireCode(t, err, protocol.ProviderRateLimited)
			require.Equal(t, tt.fault, res.Fault)
			require.Equal(t, tt.retry, told.RetryAfter)
			want := "wait, then ask again"
			if tt.fault == FaultKeySpent {
				want = "out of credit"
			}
			require.Contains(t, told.Message, want)
		})
	}
}

// A page comes from something in between. With most 4xx it is about this one
// question or address: neither asked again nor counted against the vendor.
func TestPages(t *testing.T) {
	faults := map[int]Fault{
		400: FaultNone, 401: FaultKeyRefused, 402: FaultKeySpent, 403: FaultKeyDenied, 404: FaultNone, 405: FaultNone, 408: FaultVendor, 413: FaultNone,
		414: FaultNone, 418: FaultNone, 422: FaultNone, 429: FaultLimited, 451: FaultNone, 499: FaultNone, 500: FaultVendor, 502: FaultVendor, 503: FaultVendor,
	}
	for status, want := range faults {
		for name, script := range map[string]providertest.Script{
			"by its type": {Status: status, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: "an intermediary speaks"},
			"by its look": {Status: status, Body: " <!doctype html><title>no</title>"},
		} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				srv := providertest.New(t, script)
				_, res, err := stream(t, newTestOpenAI(t, Config{BaseURL: srv.URL()}), ask("a"))
				require.Error(t, err)
				require.Equal(t, want, res.Fault)
				if status == 413 || status == 414 {
					require.Contains(t, requireCode(t, err, protocol.ProviderRejected).Message, "Shorten it")
				}
			})
		}
	}
}

// A question that was given up while it still connected cost nothing, and that
// is no estimate; one that was sent may have cost something.
func TestGivenUpWhileItConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	hellos, served := make(chan net.Conn, 1), make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 1)) // the handshake, or the question, has begun: nothing follows
			hellos <- c
		}
	}()
	defer func() { _ = l.Close(); <-served }()
	for scheme, want := range map[string]*protocol.Usage{"https": {}, "http": nil} {
		p := newTestOpenAI(t, Config{BaseURL: scheme + "://" + l.Addr().String()})
		ctx, cancel := context.WithCancel(context.Background())
		type end struct {
			res Result
			err error
		}
		done := make(chan end, 1)
		go func() {
			res, err := p.Stream(ctx, ask("a"), new(ear))
			done <- end{res, err}
		}()
		c := <-hellos
		if scheme == "http" { // wait until all of it is out
			require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
			_, _ = io.Copy(io.Discard, c)
		}
		cancel()
		got := <-done
		require.NoError(t, c.Close())
		requireCode(t, got.err, protocol.ProviderInterrupted)
		require.ErrorIs(t, got.err, context.Canceled)
		require.Equal(t, Result{Model: "m-1", Usage: want}, got.res, scheme)
	}
}
