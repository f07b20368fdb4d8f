package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDescribe(t *testing.T) {
	d := Default()
	for _, tt := range []struct {
		rule Rule
		noun string
		want string
	}{
		{d.Connections, "connections", "50 connections per 5 minutes"},
		{d.Messages, "message", "30 messages per minute"},
		{d.Sessions, string(Sessions), "5 sessions per hour"},
		{Rule{1, time.Hour}, "sessions", "1 session per hour"},
		{Rule{7, 90 * time.Minute}, "sessions", "7 sessions per 90 minutes"},
		{Rule{7, 24 * time.Hour}, "sessions", "7 sessions per 24 hours"},
		{Rule{7, time.Second}, "messages", "7 messages per second"},
		{Rule{7, 90 * time.Second}, "messages", "7 messages per 90 seconds"},
		{Rule{7, 1500 * time.Millisecond}, "messages", "7 messages per 1.5s"},
		{Rule{0, time.Minute}, "messages", "off"},
	} {
		require.Equal(t, tt.want, tt.rule.Describe(tt.noun))
	}
}

func TestHalf(t *testing.T) {
	for limit, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 1, 5: 2, 30: 15, 51: 25} {
		require.Equal(t, want, Rule{limit, time.Minute}.half().Max, "half of %d", limit)
	}
	c := Default().half()
	require.Equal(t, []int{25, 15, 2}, []int{c.Connections.Max, c.Messages.Max, c.Sessions.Max})
}

func TestValidate(t *testing.T) {
	require.NoError(t, Default().Validate())
	require.NoError(t, Config{}.Validate(), "everything off needs no window")

	c := Default()
	c.Connections.Window = 0
	c.Messages.Max = -1
	c.Sessions = Rule{Max: maxEvents + 1, Window: -time.Hour}
	require.EqualError(t, c.Validate(), `limits.connections.window: 0s is not a length of time; use for example 1m
limits.messages.max: -1 is negative; use 0 to switch the limit off, or 1 to 100000
limits.sessions.max: 100001 is more than 100000; use 0 to switch the limit off
limits.sessions.window: -1h0m0s is not a length of time; use for example 1m`)
}
