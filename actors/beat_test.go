package actors

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/bus"
)

// tightBus is a bus that takes no beat above its payload.
type tightBus struct {
	*fakeBus
	room int
}

func (b *tightBus) MaxPayload() int { return b.room }

func (b *tightBus) Beat(beat *bus.Beat) error {
	data, err := json.Marshal(beat)
	if err != nil {
		return err
	}
	if len(data) > b.room {
		return bus.ErrTooLarge
	}
	return b.fakeBus.Beat(beat)
}

// TestBeatThatDoesNotFit: a worker whose beat is too large for the bus must not
// fall silent, or all its runs are taken for lost: it leaves out its models and
// rests. It tells them again as soon as there is room.
func TestBeatThatDoesNotFit(t *testing.T) {
	const room = 8 << 10
	long := func(n int) string { return fmt.Sprintf("m%03d-%s", n, strings.Repeat("x", 200)) }
	offered := func(n int) (models []string) {
		for i := range n {
			models = append(models, long(i))
		}
		return models
	}
	tests := map[string]struct {
		models int // that are offered
		rests  int // models for which the key rests
		fits   bool
	}{
		"models":      {100, 0, false},
		"rests":       {0, 60, false},
		"both":        {50, 50, false},
		"what fits":   {10, 5, true},
		"hardly any":  {1, 1, true},
		"next to all": {0, 20, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var m market
				c := provider.Config{APIKeys: secrets("k1"), DefaultModel: long(0), Models: offered(tt.models)}
				b := newFirmOn(t, func(f *fakeBus) (Work, Speaker) { return &tightBus{fakeBus: f, room: room}, f }, map[string]ProviderSetup{
					"a": listed(m.vendor("a", fails(provider.FaultLimited, 600)), c),
					"b": listed(m.vendor("b", replies("Hi")), provider.Config{Models: []string{"m"}}),
				})
				for n := range tt.rests {
					b.put(bus.Job{Provider: "a", Model: long(n)})
				}
				for range 6 {
					pass(beatEvery)
					beat, o := b.said("a")
					require.WithinDuration(t, time.Now(), time.UnixMilli(beat.Sent), beatEvery, "the worker fell silent")
					require.Len(t, beat.Providers, 2)
					require.Equal(t, []any{provider.TypeOpenAI, b.worker.keys.PublicKey()}, []any{o.Type, beat.PublicKey})
					if tt.fits {
						require.Len(t, o.Models, tt.models)
						require.Len(t, o.Rests, tt.rests)
					} else {
						require.Empty(t, o.Models)
						require.Empty(t, o.Rests)
					}
				}
				pass(601 * time.Second)
				_, o := b.said("a")
				require.Empty(t, o.Rests, "they are over")
				require.Equal(t, tt.models < 50, len(o.Models) == tt.models, "what fits again is told again")
			})
		})
	}
}
