package crew

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCrewKeepsPanics(t *testing.T) {
	var c Crew
	c.Start("a part", func() { panic("broken") })
	c.Wait()
	c.Fail("no %s", "room")
	require.Len(t, c.Failures(), 2)
	require.Contains(t, c.Failures()[0], "panic in a part: broken")
	require.Equal(t, "no room", c.Failures()[1])
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.True(t, Sleep(ctx, 0))
	require.True(t, Sleep(ctx, time.Microsecond))
	cancel()
	require.False(t, Sleep(ctx, 0))
	require.False(t, Sleep(ctx, time.Hour))
}
