package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

const exposition = `# HELP x y
# TYPE x counter
troupe_build_info{version="v1.2"} 1
process_cpu_seconds_total 1.25
process_resident_memory_bytes 3.5e+07
with_labels{a="b c",d="}"} 7 1700000000
h_bucket{le="+Inf"} 3
h_sum NaN
much +Inf
little -Inf
broken
`

func TestMetricsAreRead(t *testing.T) {
	series, err := parseMetrics(strings.NewReader(exposition))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{
		`troupe_build_info{version="v1.2"}`: 1, cpuSeries: 1.25, memorySeries: 3.5e7, `with_labels{a="b c",d="}"}`: 7,
	}, series)
	require.Equal(t, "v1.2", buildVersion(series))
	_, err = parseMetrics(strings.NewReader("<html>\n"))
	require.ErrorContains(t, err, "no series")
}

func TestAReportHasBothSides(t *testing.T) {
	f := newFake(t, honest)
	var reads atomic.Int64
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "process_cpu_seconds_total %d\nprocess_resident_memory_bytes 1000\n", reads.Add(1))
	}))
	defer metrics.Close()
	r, err := Run(t.Context(), plan(t, named), Options{URL: f.url(), Metrics: metrics.URL})
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Server.CPUSeconds, 1.0)
	require.InDelta(t, 1000, r.Server.PeakBytes, 0)
	require.Contains(t, r.Server.Before, cpuSeries)
	require.Empty(t, r.Server.Note)
	require.Greater(t, r.Load.CPUSeconds, 0.0)
}

// The figures that a server tells under load may take longer than what is measured.
func TestSlowFiguresDoNotStretchWhatIsMeasured(t *testing.T) {
	f := newFake(t, honest)
	var reads atomic.Int64
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads.Add(1) == 2 { // under load
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "process_cpu_seconds_total 1\n")
	}))
	defer metrics.Close()
	s := plan(t, named)
	s.WarmUp = scenario.Duration(100 * time.Millisecond)
	r, err := Run(t.Context(), s, Options{URL: f.url(), Metrics: metrics.URL})
	require.NoError(t, err)
	require.Less(t, r.Seconds, scrapeTime.Seconds()*0.75, "300 ms are measured")
	require.Zero(t, r.Server.CPUSeconds)
	require.Contains(t, r.Server.Note, "did not tell its figures while it was measured")
}

func TestAServerThatTellsNothingIsNoted(t *testing.T) {
	f := newFake(t, honest)
	closed := httptest.NewServer(http.NotFoundHandler())
	defer closed.Close()
	r, err := Run(t.Context(), plan(t, named), Options{URL: f.url(), Metrics: closed.URL})
	require.NoError(t, err)
	require.Contains(t, r.Server.Note, "404")
	require.Contains(t, r.Server.Note, "--metrics")
	require.Nil(t, load(t, plan(t, named), f.url()).Server, "off")
}
