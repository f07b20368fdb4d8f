package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

// server builds and starts the real troupe, and returns its address.
func server(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "troupe")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/troupe-chat/troupe/cmd/troupe").CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(binary, "serve", "--http.listen=127.0.0.1:0", "--log.level=error", "--limits.connections.max=0",
		"--limits.sessions.max=0", "--limits.messages.max=0", "--pool.max_connections=2000", "--pool.max_per_ip=0")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 && fields[0] == "listening" {
			return "ws" + strings.TrimPrefix(fields[1], "http")
		}
	}
	require.Fail(t, "the server did not start")
	return ""
}

func TestAgainstTheRealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and loads a server")
	}
	url := server(t)
	t.Run("built-in", func(t *testing.T) { builtIn(t, url) })
	t.Run("refused", func(t *testing.T) { refused(t, url) })
}

// refused visits a session whose name is no label: the refusal must show in the
// report, by code.
func refused(t *testing.T, url string) {
	file := filepath.Join(t.TempDir(), "r.json")
	code, said, _ := call(t, "run", "--url", url, "--scenario", "churn", "--quiet", "--json", file, "--connections=5", "--warm-up=0s",
		"--duration=500ms", "--visits.rate=50", "--path=/ws/chat/-no-label-{{session}}")
	require.Equal(t, 1, code, said)
	r, err := report.ReadJSON(file)
	require.NoError(t, err)
	require.Positive(t, r.Totals.Refused)
	require.Equal(t, r.Totals.Connections, r.Totals.Refused)
	require.Equal(t, "INVALID_SESSION", r.Errors[0].Code)
}

// builtIn plays every built-in scenario, small and short: each passes its checks,
// and both sides are in the report.
func builtIn(t *testing.T, url string) {
	dir := t.TempDir()
	for _, tt := range []struct {
		scenario string
		flags    []string
		seen     func(*testing.T, *report.Result)
	}{
		{"idle", []string{"--connections=50", "--warm-up=0s", "--questions.spread=200ms"}, func(t *testing.T, r *report.Result) {
			require.Equal(t, int64(50), r.Totals.Completed)
		}},
		{"paced", []string{"--connections=20", "--questions.models=echo-5ms-40w-clock", "--questions.spread=200ms"}, func(t *testing.T, r *report.Result) {
			require.Positive(t, r.Latencies[report.LatencyDelay].Count)
			require.Less(t, r.Latencies[report.LatencyDelay].P50, 1.0, "both read the same clock")
			require.Positive(t, r.Latencies[report.LatencyGap].Count)
		}},
		{"firehose", []string{"--connections=20"}, func(t *testing.T, r *report.Result) {
			require.GreaterOrEqual(t, r.Totals.Texts, r.Totals.Chunks)
		}},
		{"churn", []string{"--connections=50", "--visits.rate=50"}, func(t *testing.T, r *report.Result) {
			require.Positive(t, r.Totals.Connections)
		}},
		{"slow", []string{"--connections=20", "--questions.models=echo-1ms-100w", "--slow_readers.rate=20000"}, nil},
		{"reconnect-storm", []string{"--connections=20", "--questions.models=echo-20ms-50w", "--reconnect.drop_at=500ms", "--reconnect.back=0s..200ms"}, func(t *testing.T, r *report.Result) {
			require.Positive(t, r.Totals.Resumed)
			require.Positive(t, r.Latencies[report.LatencyResume].Count)
		}},
		{"mixed", []string{"--connections=30", "--ramp=300", "--questions.models=echo-1ms-50w,echo-0s-20w", "--abort.after=5ms..30ms", "--abort.probability=0.5", "--checks.p99.first_chunk=10s"}, func(t *testing.T, r *report.Result) {
			require.Positive(t, r.Totals.Cancelled)
		}},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			file := filepath.Join(dir, tt.scenario+".json")
			args := append([]string{"run", "--url", url, "--scenario", tt.scenario, "--quiet", "--json", file, "--warm-up=200ms", "--duration=1s"}, tt.flags...)
			code, said, complaints := call(t, args...)
			require.Zero(t, code, said+complaints)
			r, err := report.ReadJSON(file)
			require.NoError(t, err)
			require.Empty(t, r.Errors)
			require.NotEmpty(t, r.Target.Version)
			require.NotNil(t, r.Server)
			require.Positive(t, r.Server.PeakBytes)
			require.NotEmpty(t, r.Series)
			if tt.seen != nil {
				tt.seen(t, r)
			}
		})
	}
}
