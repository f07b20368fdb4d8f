package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// heardBus is a gateway that remembers what it heard last.
type heardBus struct{ last string }

func (h *heardBus) BusUp()   { h.last = "up" }
func (h *heardBus) BusDown() { h.last = "down" }

// A bus that comes up, or goes, at the very moment a gateway begins to listen
// is not missed: the last word is the true one.
func TestBusWatcherMissesNoChange(t *testing.T) {
	for name, begin := range map[string]bool{"comes up": false, "goes down": true} {
		t.Run(name, func(t *testing.T) {
			w, h, told := &busWatcher{}, &heardBus{}, make(chan struct{})
			w.up() // nobody listens yet
			w.watch(h, func() bool {
				change := w.up
				if begin {
					change = w.down
				}
				go func() {
					defer close(told)
					change()
				}()
				return begin
			})
			<-told
			want := "up"
			if begin {
				want = "down"
			}
			require.Equal(t, want, h.last)
		})
	}
}
