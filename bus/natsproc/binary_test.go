package natsproc

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

func TestBinaryIsBuiltOnceAndWhole(t *testing.T) {
	dir := t.TempDir()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := binary(over, dir)
	require.ErrorContains(t, err, "build nats-server "+server.VERSION)
	requireFiles(t, dir, 0)

	path, err := binary(t.Context(), dir)
	require.NoError(t, err)
	requireFiles(t, dir, 1)
	version, err := exec.CommandContext(t.Context(), path, "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(version), server.VERSION)

	again, err := binary(over, dir) // builds nothing, so it needs no time
	require.NoError(t, err)
	require.Equal(t, path, again)
}

func requireFiles(t *testing.T, dir string, n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, n)
}
