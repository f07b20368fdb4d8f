package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/config"
)

const (
	toldPanics = 24                    // of each kind
	toldWithin = 50 * time.Millisecond // from the panic to the client's frame
)

// TestPanicsAreToldOverSockets: whoever waits for an actor that panics hears of
// it within 50 ms, over real sockets. Every panic must be told; the bound is held
// to the median. A machine that is busy with other tests stands still for longer
// than that now and then, which lengthens a few of the times; a server that waits
// for a clock before it tells lengthens them all.
func TestPanicsAreToldOverSockets(t *testing.T) {
	for _, tt := range []struct {
		kind, fault string
		tell        func(w *whole, n int) time.Time // the nth panic; when its client heard of it
	}{
		{"connection", `"message":"asked"`, func(w *whole, n int) time.Time {
			c := w.dial(fmt.Sprintf("/ws/chat/s%d", n))
			c.send(`{"type":"ping"}`)
			f := c.next()
			at := time.Now()
			require.Equal(t, []string{"error", "INTERNAL"}, []string{f.Type, f.Code})
			require.Equal(t, websocket.StatusInternalError, c.closed())
			return at
		}},
		{"run", `"message":"piece"`, func(w *whole, n int) time.Time {
			c := w.dial(fmt.Sprintf("/ws/chat/s%d", n))
			c.send(`{"type":"chat","content":"word","model":"echo-1ms-5w"}`)
			_, last := c.answer()
			at := time.Now()
			require.Equal(t, []string{"error", "INTERNAL"}, []string{last.Type, last.Code})
			return at
		}},
		// Each panic has a provider of its own: an actor that goes on panicking stays
		// away for longer each time, on purpose. The second offer passes.
		{"provider", `"message":"startRun","every":2`, func(w *whole, n int) time.Time {
			c := w.dial(fmt.Sprintf("/ws/chat/s%d", n))
			c.send(fmt.Sprintf(`{"type":"chat","id":"1","content":"word","provider":"%s","model":"echo-0s"}`, toldProvider(n)))
			f := c.next()
			at := time.Now()
			require.Equal(t, "accepted", f.Type)
			text, _ := c.answer()
			require.Equal(t, "word", text)
			return at
		}},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			w := start(t, breakable(), with(func(c *config.Config) {
				c.Providers = maps.Clone(c.Providers)
				for n := range toldPanics {
					c.Providers[toldProvider(n)] = provider.Config{Type: provider.TypeEcho}
				}
			}))
			id := w.breaks(fmt.Sprintf(`{"actor":%q,"fault":"panic","for":"5m",%s,"times":%d}`, tt.kind, tt.fault, toldPanics))
			heard := make([]time.Time, toldPanics)
			for n := range heard {
				heard[n] = tt.tell(w, n)
			}
			struck := w.broke(id)
			require.Len(t, struck.Last, toldPanics, "one panic for each client, and each was told")
			took := make([]time.Duration, toldPanics)
			for n, s := range struck.Last {
				took[n] = heard[n].Sub(s.At)
			}
			slices.Sort(took)
			median := took[len(took)/2-1] // the slowest of the quicker half
			t.Logf("told of a panic: median %s, slowest %s", median, took[len(took)-1])
			require.LessOrEqual(t, median, toldWithin, "all: %s", took)
		})
	}
}

func toldProvider(n int) string { return fmt.Sprintf("echo-%d", n) }
