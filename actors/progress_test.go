package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// signs is a step: the vendor says one word, then so many signs of life that are
// no text, and then goes on.
func signs(every time.Duration, n int, then fakeProvider) fakeProvider {
	return func(ctx context.Context, q *provider.Question, sink provider.Sink) (provider.Result, error) {
		sink.Text([]byte("Hel"))
		for range n {
			select {
			case <-time.After(every):
				sink.Progress()
			case <-ctx.Done():
				return holds()(ctx, q, sink)
			}
		}
		return then(ctx, q, sink)
	}
}

// TestRunStallClock: inside the answer a comment or a ping holds up the clock of
// silence as text does; where none comes in time the answer ends, with what was
// said.
func TestRunStallClock(t *testing.T) {
	const (
		stall  = 5 * time.Second
		silent = "The provider fell silent for 5s in the middle of its answer."
	)
	tests := map[string]struct {
		talk fakeProvider
		ends time.Duration
		want string // "" = complete
		text string
	}{
		"signs, then the rest":   {signs(2*time.Second, 15, replies("lo")), 30 * time.Second, "", "Hello"},
		"signs, then nothing":    {signs(2*time.Second, 15, holds()), 30*time.Second + stall, silent, "Hel"},
		"no sign":                {holds("Hel"), stall, silent, "Hel"},
		"a sign that comes late": {signs(stall+time.Second, 5, replies("never")), stall, silent, "Hel"},
		"signs just in time":     {signs(stall-tick, 5, replies("lo")), 5 * (stall - tick), "", "Hello"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				b := newFirm(t, map[string]ProviderSetup{"a": listed(m.vendor("a", tt.talk), provider.Config{StallTimeout: stall})})
				to := b.put(bus.Job{Provider: "a", Name: "1"})
				pass(tt.ends - time.Millisecond)
				require.False(t, b.over(to), "too early: %+v", b.heard(to))
				pass(250 * time.Millisecond)
				require.True(t, b.over(to), "too late")
				end := b.end(to)
				require.Equal(t, tt.want, end.Message)
				if tt.want != "" {
					require.Equal(t, string(protocol.ProviderTimeout), end.Code)
				}
				require.Equal(t, tt.text, texts(b.heard(to)))
				require.Len(t, m.all(), 1)
				b.idle()
			})
		})
	}
}
