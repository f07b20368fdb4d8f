package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

// call runs the program.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "expected one of"},
		{[]string{"fly"}, "unexpected argument fly"},
		{[]string{"run"}, "missing flags: --scenario"},
		{[]string{"run", "--scenario", "pacd"}, `no scenario is called "pacd"; there are idle, paced`},
		{[]string{"run", "--scenario", "paced", "--conections=5"}, "unknown flag --conections"},
		{[]string{"run", "--scenario", "paced", "--questions.rte=5"}, "the nearest is questions.rate"},
		{[]string{"run", "--scenario", "paced", "--duration"}, "--duration needs a value"},
		{[]string{"run", "--scenario", "paced", "--duration", "5"}, "write it with a unit"},
		{[]string{"run", "--scenario", "paced", "--quiet", "--url", "http://x"}, "give an address like ws://127.0.0.1:8000"},
		{[]string{"run", "--scenario", "paced", "--quiet", "--headers.A\nB", "c"}, "is no header"},
		{[]string{"scenarios", "none"}, "no scenario is called"},
		{[]string{"compare", "a.json"}, "expected"},
		{[]string{"compare", "a.json", "b.json"}, "a.json"},
		{[]string{"report", "none.json", "--html", "x.html"}, "none.json"},
	} {
		code, _, said := call(t, tt.args...)
		require.Equal(t, 2, code, tt.args)
		require.Contains(t, said, tt.want, tt.args)
	}
}

func TestHelpHelps(t *testing.T) {
	code, said, _ := call(t, "run", "--help")
	require.Zero(t, code)
	for _, want := range append(scenario.Names(), "--json", "--metrics", "Examples", "Exit codes") {
		require.Contains(t, said, want)
	}
	code, said, _ = call(t, "--help")
	require.Zero(t, code)
	require.Contains(t, said, "compare")
	code, said, _ = call(t, "version")
	require.Zero(t, code)
	require.Contains(t, said, "troupe-load ")
}

func TestScenariosAreListedAndPrinted(t *testing.T) {
	code, said, _ := call(t, "scenarios")
	require.Zero(t, code)
	for _, name := range scenario.Names() {
		require.Contains(t, said, name)
	}
	code, said, _ = call(t, "scenarios", "churn")
	require.Zero(t, code)
	want, err := scenario.Source("churn")
	require.NoError(t, err)
	require.Equal(t, string(want), said)
}

func TestFlagsThatAreKeys(t *testing.T) {
	found, rest, err := splitOverrides([]string{
		"run", "--scenario", "paced", "--connections", "5", "--warm-up=1s", "--questions.named", "--quiet", "--insecure_tls", "--headers.X-Key=a", "--url", "ws://x",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"run", "--scenario", "paced", "--quiet", "--url", "ws://x"}, rest)
	require.Equal(t, []override{
		{Path: "connections", Value: "5"}, {Path: "warm_up", Value: "1s"}, {Path: "questions.named", Value: "true"}, {Path: "insecure_tls", Value: "true"}, {Path: "headers.X-Key", Value: "a"},
	}, found)
}

func TestNobodyThereIsAFailure(t *testing.T) {
	code, _, said := call(t, "run", "--scenario", "paced", "--url", "ws://127.0.0.1:1", "--connections", "1", "--quiet")
	require.Equal(t, 1, code)
	require.Contains(t, said, "nobody listens there")
}

// TestAServerDoesNotSteerTheTerminal: its own words stand in the complaint.
func TestAServerDoesNotSteerTheTerminal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "\x1b]0;taken\x07full\u202e")
	}))
	defer server.Close()
	code, _, said := call(t, "run", "--scenario", "paced", "--url", "ws"+strings.TrimPrefix(server.URL, "http"), "--connections", "1", "--quiet", "--metrics", "off", "--reconnect.refused=false")
	require.Equal(t, 1, code)
	require.Contains(t, said, "handshake 503: ]0;takenfull")
	require.NotRegexp(t, `[^\n[:print:]]`, said)
}

func TestCompareAndReport(t *testing.T) {
	dir := t.TempDir()
	result := func(name string, p99 float64) string {
		path := filepath.Join(dir, name)
		require.NoError(t, report.WriteJSON(path, &report.Result{
			Format: report.Format, Scenario: "paced", Seconds: 10, Totals: report.Totals{Frames: 1e6, Questions: 1e4, Completed: 1e4},
			Latencies: map[string]report.Latency{report.LatencyFirst: {Count: 1e4, P50: p99 / 2, P90: p99, P99: p99, P999: p99, Max: p99}},
		}))
		return path
	}
	a, b := result("a.json", 0.010), result("b.json", 0.200)
	code, said, _ := call(t, "compare", a, a)
	require.Zero(t, code)
	require.NotEmpty(t, said)
	code, said, _ = call(t, "compare", a, b)
	require.Equal(t, 1, code)
	require.Contains(t, said, "worse")

	page := filepath.Join(dir, "page.html")
	code, _, _ = call(t, "report", a, "--html", page)
	require.Zero(t, code)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "<html")
}

// TestReportOfAFaultRun: it has a page of its own, whichever command makes it.
func TestReportOfAFaultRun(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "faults.json"), filepath.Join(dir, "page.html")
	write := func(r *chaos.Result) {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, data, 0o600))
	}
	write(&chaos.Result{Schema: chaos.ResultSchema, Scenario: "f01-kill-worker", Invariants: []chaos.InvariantResult{{ID: "I1"}}})
	code, _, said := call(t, "report", file, "--html", page)
	require.Zero(t, code, said)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "Fault run: f01-kill-worker")

	write(&chaos.Result{Schema: chaos.ResultSchema + 1, Invariants: []chaos.InvariantResult{{ID: "I1"}}})
	code, _, said = call(t, "report", file, "--html", page)
	require.Equal(t, 2, code)
	require.Contains(t, said, "use the version that wrote it")
	code, _, said = call(t, "compare", file, file)
	require.Equal(t, 2, code)
	require.Contains(t, said, "is not a result of troupe-load")
}

// TestBothNamesOfTheResult: run and faults take the same ones.
func TestBothNamesOfTheResult(t *testing.T) {
	for _, name := range []string{"--json", "-o", "--output"} {
		code, _, said := call(t, "faults", name, "x.json")
		require.Equal(t, 2, code)
		require.Contains(t, said, "--scenario is missing", name)
		code, _, said = call(t, "run", "--scenario", "none", name, "x.json")
		require.Equal(t, 2, code)
		require.NotContains(t, said, "unknown flag", name)
	}
}
