package engine

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

func TestTheToolSaysWhenItIsTheBound(t *testing.T) {
	cores := float64(runtime.GOMAXPROCS(0))
	full := float64(runtime.NumCPU())
	for _, tt := range []struct {
		name         string
		mine, server float64 // cores
		late         int64
		address      string
		want         string
	}{
		{"calm", 0.1, 0.1, 1, "127.0.0.1:1", ""},
		{"the tool", 0.9 * cores, 0, 0, "127.0.0.1:1", "the tool used"},
		{"the machine", 0.3 * full, 0.68 * full, 0, "127.0.0.1:1", "share a machine that is full"},
		{"another machine", 0.3 * full, 0.68 * full, 0, "10.0.0.1:1", ""},
		{"late", 0.1, 0.1, 50, "127.0.0.1:1", "50 of 1000 arrivals were begun more than 10 ms late"},
	} {
		p := &play{run: &run{target: &target{address: tt.address}}, collector: &collector{}}
		p.collector.final.cpu = time.Duration(tt.mine * 10 * float64(time.Second))
		r := &report.Result{
			Seconds: 10, Totals: report.Totals{Questions: 900, Connections: 100, Late: tt.late},
			Server: &report.ServerSide{CPUSeconds: tt.server * 10},
		}
		got := p.own(r)
		require.Equal(t, tt.want != "", got.Saturated, tt.name)
		require.Contains(t, got.Why, tt.want, tt.name)
	}
}

func TestThePictureIsFed(t *testing.T) {
	f := newFake(t, honest)
	s := plan(t, "questions: {named: true, provider: x, models: y, think: 5ms, spread: 0s}\n")
	s.WarmUp, s.Duration = scenario.Duration(400*time.Millisecond), scenario.Duration(1200*time.Millisecond)
	var mu sync.Mutex
	phases, last := map[string]bool{}, report.Live{}
	r, err := Run(t.Context(), s, Options{URL: f.url(), Metrics: "off", Live: func(l report.Live) {
		mu.Lock()
		defer mu.Unlock()
		phases[l.Phase], last = true, l
	}})
	require.NoError(t, err)
	require.True(t, phases[phaseWarm] && phases[phaseMeasure], phases)
	require.Equal(t, 1600*time.Millisecond, last.Total)
	require.Positive(t, last.Totals.Frames)
	require.Positive(t, last.Latencies[report.LatencyFirst].Count)
	require.Positive(t, last.Last.Frames)
	require.Positive(t, r.Load.CPUSeconds)
	require.Greater(t, int64(f.questions.Load()), r.Totals.Questions, "the warm-up is not counted")
}

func TestBucketsHoldWhatWasMeasured(t *testing.T) {
	var h histograms
	for _, ms := range []int64{0, 1, 1, 2, 50, 50, 50, 700, 1_000_000} {
		h.record(latGap, ms*int64(time.Millisecond))
	}
	l := latencyTable(&h, true)[report.LatencyGap]
	require.Equal(t, int64(9), l.Count)
	var n int64
	last := -1.0
	for _, b := range l.Buckets {
		require.Greater(t, b.UpTo, last)
		require.Positive(t, b.Count)
		n, last = n+b.Count, b.UpTo
	}
	require.Equal(t, l.Count, n)
	require.InEpsilon(t, 0.05, l.P50, 0.01)
	require.InEpsilon(t, 600, l.Max, 0.01, "bounded")
	require.Less(t, len(l.Buckets), 9)
}

func TestConnectionsComeFromTheGivenAddresses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have 127.0.0.1 alone")
	}
	f := newFake(t, honest)
	seen := map[string]int{}
	var mu sync.Mutex
	inner := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[hostOf(r.RemoteAddr)]++
		mu.Unlock()
		inner.ServeHTTP(w, r)
	})
	s := plan(t, named+"source_addresses: [127.0.0.2, 127.0.0.8/30]\n")
	s.Connections = 8
	load(t, s, f.url())
	require.Equal(t, map[string]int{"127.0.0.2": 2, "127.0.0.9": 2, "127.0.0.10": 2, "127.0.0.11": 2}, seen)

	s.SourceAddresses = []string{"192.0.2.1"}
	_, err := Run(t.Context(), s, Options{URL: f.url(), Metrics: "off"})
	require.ErrorContains(t, err, "the machine does not have it")
}

func hostOf(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			return address[:i]
		}
	}
	return address
}

func TestHandshakesAreJudged(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"no WebSocket", "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "wrong Sec-WebSocket-Accept"},
		{"no HTTP", "hello\r\n\r\n", "the answer is no HTTP"},
		{"a page", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "handshake 200: hi"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			nc, rw, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			_, _ = rw.WriteString(tt.answer)
			_ = rw.Flush()
			_ = nc.Close()
		}))
		_, err := Run(t.Context(), plan(t, named+"reconnect: {refused: false}\n"), Options{URL: "ws" + srv.URL[len("http"):], Metrics: "off"})
		require.ErrorContains(t, err, tt.want, tt.name)
		srv.Close()
	}
}
