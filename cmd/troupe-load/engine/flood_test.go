package engine

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// flooding upgrades, and then sends frames without a pause, whatever it hears.
func flooding(t *testing.T) string {
	t.Helper()
	var frames []byte
	for len(frames) < 256<<10 {
		frames = append(frames, served(opText, true, `{"type":"pong"}`)...)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _ := hijack(t, w, r)
		defer func() { _ = nc.Close() }()
		for {
			if _, err := nc.Write(frames); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + srv.URL[len("http"):]
}

// A server that never stops sending must not hold the run: it ends by its own
// clocks, and when somebody ends it.
func TestAFloodHoldsNobody(t *testing.T) {
	for _, tt := range []struct {
		name     string
		duration time.Duration
		stopped  bool
	}{
		{"by itself", 300 * time.Millisecond, false},
		{"by hand", time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := plan(t, named)
			s.Connections, s.Duration = 2, scenario.Duration(tt.duration)
			s.Timeouts.Finish = scenario.Duration(100 * time.Millisecond)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := Options{URL: flooding(t), Metrics: "off", Live: func(l report.Live) {
				if tt.stopped && l.Totals.Questions > 0 {
					cancel()
				}
			}}
			var r *report.Result
			over := make(chan error, 1)
			go func() {
				var err error
				r, err = Run(ctx, s, o)
				over <- err
			}()
			select {
			case err := <-over:
				require.NoError(t, err)
				require.Equal(t, tt.stopped, check(t, r, breachEnds).OK, "nobody was answered")
			case <-time.After(2 * time.Minute):
				t.Fatal("the run did not end")
			}
		})
	}
}
