//go:build unix

package main

import (
	"context"
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
func shell(t *testing.T, script string, env ...string) *process {
	t.Helper()
	p, err := startProcess(t.Context(), processOptions{
		Name: "sh", Binary: "/bin/sh", Dir: t.TempDir(), Args: []string{"-c", script}, Env: env,
	})
	require.NoError(t, err)
	t.Cleanup(p.kill)
	return p
}

func TestProcessRestartsWithANewLog(t *testing.T) {
	p := shell(t, `echo "out $WORD"; echo err >&2; exit 7`, "WORD=hello")
	for run, name := range []string{"sh.1.log", "sh.2.log"} {
		if run > 0 {
			require.NoError(t, p.restart(t.Context()))
		}
		exit, err := p.wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, exit)
		require.False(t, p.running())
		require.Equal(t, name, filepath.Base(p.logFile()))
		log, err := os.ReadFile(p.logFile())
		require.NoError(t, err)
		require.Equal(t, "out hello\nerr\n", string(log))
	}
	require.ErrorContains(t, p.pause(), "pause sh: it has ended, see "+p.logFile())
}

func TestProcessIsKilledPausedAndToldToEnd(t *testing.T) {
	p := shell(t, `exec sleep 600`)
	require.True(t, p.running())
	require.Positive(t, p.pid())
	require.ErrorContains(t, p.restart(t.Context()), "runs already")
	require.NoError(t, p.pause())
	require.True(t, p.running())
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := p.wait(soon)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.kill()
	require.False(t, p.running())
	p.kill() // harmless
	p.terminate()

	require.NoError(t, p.restart(t.Context()))
	require.NoError(t, p.pause())
	require.NoError(t, p.resume())
	p.terminate()
	exit, err := p.wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, -1, exit)
}

func TestProcessThatCannotStart(t *testing.T) {
	o := processOptions{Name: "x", Binary: "/nonexistent", Dir: t.TempDir()}
	_, err := startProcess(t.Context(), o)
	require.ErrorIs(t, err, os.ErrNotExist)

	o.Dir = filepath.Join(o.Dir, "missing")
	_, err = startProcess(t.Context(), o)
	require.ErrorContains(t, err, "start x: ")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = startProcess(over, o)
	require.ErrorIs(t, err, context.Canceled)
}

func TestWaitReady(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	require.NoError(t, waitReady(t.Context(), server.URL))
	require.EqualValues(t, 3, asked.Load())

	never := httptest.NewServer(http.NotFoundHandler())
	defer never.Close()
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := waitReady(soon, never.URL)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, never.URL+" is not ready")
}

func TestFreePort(t *testing.T) {
	port, err := freePort()
	require.NoError(t, err)
	require.Less(t, port, 32768, "a restart must not meet an outgoing connection on its port")
}
