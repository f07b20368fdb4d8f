package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/config"
)

// However often a process reloads, it holds one set of providers, and one of
// keys: a refused reload keeps what was there.
func TestReloadHoldsOneSetOfProviders(t *testing.T) {
	var running config.Config
	w := start(t, with(func(c *config.Config) { running = *c }))
	begun := slices.Clone(w.app.vendors)
	require.NotEmpty(t, begun)

	refused := running
	refused.HTTP.ExtraOrigins = []string{"not an origin"}
	require.Error(t, w.app.reload(&refused))
	require.Equal(t, begun, w.app.vendors)

	for range 3 {
		require.NoError(t, w.app.reload(&running))
		require.Len(t, w.app.vendors, len(begun))
	}
	require.NotSame(t, begun[0], w.app.vendors[0])
}
