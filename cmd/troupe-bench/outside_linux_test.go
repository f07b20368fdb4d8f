package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutsideReadings: the CPU clock of a process runs while it works, and its
// pages are seen.
func TestOutsideReadings(t *testing.T) {
	pid := os.Getpid()
	before, err := cpuTime(pid)
	require.NoError(t, err)
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; { // burn
	}
	after, err := cpuTime(pid)
	require.NoError(t, err)
	require.Greater(t, after, before)

	private, err := privateBytes(pid)
	require.NoError(t, err)
	require.Greater(t, private, float64(1<<20))

	_, err = privateBytes(1 << 23) // above every pid_max
	require.Error(t, err)
	_, err = cpuTime(1 << 23) // above every pid_max
	require.Error(t, err)
}
