//go:build unix

package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell starts a process that runs script.
func shell(t *testing.T, script string, env ...string) *Process {
	t.Helper()
	p := &Process{Name: "sh", Dir: t.TempDir(), Command: []string{"/bin/sh", "-c", script}, Env: env}
	p.Kill() // harmless
	require.NoError(t, p.Start(t.Context()))
	t.Cleanup(p.Kill)
	return p
}

func TestProcessRestartsWithANewLog(t *testing.T) {
	p := shell(t, `echo "out $WORD"; echo err >&2; exit 7`, "WORD=hello")
	for run, name := range []string{"sh.1.log", "sh.2.log"} {
		if run > 0 {
			require.NoError(t, p.Start(t.Context()))
		}
		exit, err := p.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, exit)
		require.False(t, p.Running())
		require.Equal(t, name, filepath.Base(p.Log()))
		log, err := os.ReadFile(p.Log())
		require.NoError(t, err)
		require.Equal(t, "out hello\nerr\n", string(log))
		require.Equal(t, "out hello | err", p.LastWords())
		require.Equal(t, run+1, p.Life())
	}
	require.ErrorContains(t, p.Pause(), "pause sh: it has ended, see "+p.Log())
}

func TestProcessIsKilledPausedAndToldToEnd(t *testing.T) {
	p := shell(t, `exec sleep 600`)
	require.True(t, p.Running())
	require.Positive(t, p.Pid())
	require.ErrorIs(t, p.Start(t.Context()), ErrRuns)
	require.NoError(t, p.Pause())
	require.True(t, p.Running())
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := p.Wait(soon)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.Kill()
	require.False(t, p.Running())
	p.Kill() // harmless
	require.NoError(t, p.Terminate())

	require.NoError(t, p.Start(t.Context()))
	require.NoError(t, p.Pause())
	require.NoError(t, p.Resume())
	require.NoError(t, p.Terminate())
	exit, err := p.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, -1, exit)
}

func TestProcessThatCannotStart(t *testing.T) {
	p := &Process{Name: "x", Command: []string{"/nonexistent"}, Dir: t.TempDir()}
	require.ErrorIs(t, p.Start(t.Context()), os.ErrNotExist)

	p.Dir = filepath.Join(p.Dir, "missing")
	require.ErrorContains(t, p.Start(t.Context()), "start x: ")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Start(over), context.Canceled)
	require.False(t, p.Running())
}

// served is a process that sleeps, whose operator's address is page.
func served(t *testing.T, page http.HandlerFunc) *Process {
	t.Helper()
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	p := shell(t, `echo here; exec sleep 600`)
	p.Admin = Admin{Base: server.URL}
	return p
}

func TestReady(t *testing.T) {
	var asked atomic.Int64
	p := served(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	require.NoError(t, p.Ready(t.Context(), nil))
	require.EqualValues(t, 3, asked.Load())

	never := func(context.Context) error { return errors.New("not yet") }
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := p.Ready(soon, never)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "sh is not ready")
	require.ErrorContains(t, err, "not yet; it said: ")

	p.Kill()
	require.ErrorContains(t, p.Ready(t.Context(), never), "sh ended as it started; it said: ")
}

// metrics is a page with so many goroutines.
func metrics(goroutines int64) string {
	return fmt.Sprintf("# TYPE go_goroutines gauge\ngo_goroutines %d\n# TYPE process_open_fds gauge\nprocess_open_fds 9\n# TYPE troupe_x counter\ntroupe_x 3\n", goroutines)
}

func TestRestIsThreeEqualReadingsInARow(t *testing.T) {
	var asked atomic.Int64
	p := served(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, metrics(max(20, 25-asked.Add(1))))
	})
	_, ok := p.Rested()
	require.False(t, ok)
	calm, err := p.Rest(t.Context())
	require.NoError(t, err)
	require.True(t, calm)
	require.EqualValues(t, 5+3, asked.Load())
	before, ok := p.Rested()
	require.True(t, ok)
	require.Equal(t, []any{"sh", 1, 20, 9}, []any{before.Process, before.Life, before.Goroutines, before.Descriptors})

	now, page, err := p.Read(t.Context(), []string{"troupe_x"})
	require.NoError(t, err)
	require.Equal(t, metrics(20), page)
	require.Equal(t, map[string]float64{"troupe_x": 3}, now.Values)
	require.False(t, now.Grown(before, 6))
	now.Goroutines += 7
	require.True(t, now.Grown(before, 6))
	require.False(t, now.Grown(before, 8))
	now.Descriptors += 5
	require.True(t, now.Grown(before, 8))

	p.RestAgain()
	_, ok = p.Rested()
	require.False(t, ok)
}

func TestKnowsWaitsForEveryWorker(t *testing.T) {
	var asked atomic.Int64
	p := served(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"workers":%d}`, asked.Add(1)) })
	require.NoError(t, p.Knows(t.Context(), 3))
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.Knows(soon, 2), "of 2 workers; it said: ")
}

func TestLogsAreOfAllLives(t *testing.T) {
	p := shell(t, `echo once`)
	_, err := p.Wait(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context()))
	_, err = p.Wait(t.Context())
	require.NoError(t, err)
	all, err := Logs(p.Dir)
	require.NoError(t, err)
	require.Equal(t, []Sink{{"sh.1.log", "once\n"}, {"sh.2.log", "once\n"}}, all)
}
