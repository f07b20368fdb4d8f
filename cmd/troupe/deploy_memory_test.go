package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bytesOf reads a size as Go, Docker, systemd and Kubernetes spell it.
func bytesOf(t *testing.T, size string) float64 {
	t.Helper()
	for _, unit := range []struct {
		end   string
		bytes float64
	}{{"MiB", 1 << 20}, {"Gi", 1 << 30}, {"G", 1 << 30}, {"g", 1 << 30}} {
		if digits, ok := strings.CutSuffix(size, unit.end); ok {
			n, err := strconv.Atoi(digits)
			require.NoError(t, err, size)
			return float64(n) * unit.bytes
		}
	}
	require.Fail(t, "a size in a unit that is not known", size)
	return 0
}

// TestDeployedMemory: work is shed near GOMEMLIMIT, and by nothing without one.
// Every file that starts a process sets it, to 80 % of the limit that it gives.
// An image can have no limit: whoever runs it sets both.
func TestDeployedMemory(t *testing.T) {
	image := dockerImage(t)
	limited := slices.Concat(composed(t, image), units(t), pods(t, image))
	for _, d := range slices.Concat(limited, supervised(t)) {
		var soft string
		for _, pair := range d.env {
			if value, ok := strings.CutPrefix(pair, "GOMEMLIMIT="); ok {
				soft = value
			}
		}
		require.NotEmpty(t, soft, "%s sets no GOMEMLIMIT: nothing is shed when memory is short", d.name)
		if d.limit == "" {
			require.Contains(t, d.name, "supervisor", "it starts processes without a limit of memory")
			continue
		}
		require.InDelta(t, 0.79, bytesOf(t, soft)/bytesOf(t, d.limit), 0.01, "%s: of %s", soft, d.limit)
	}
	const both = "--memory=1g --env GOMEMLIMIT=800MiB"
	for _, file := range []string{"deploy/Dockerfile", "docs/operations.md"} {
		require.Contains(t, readDoc(t, file), both, file)
	}
}
