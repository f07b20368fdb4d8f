package bus

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stuck is a wire that takes one message for each word on next.
func stuck(next <-chan struct{}) *wire {
	return &wire{fail: func() error { <-next; return nil }}
}

// sayMuch has size bytes of text wait behind a message that does not go out.
func sayMuch(o *Outgoing, size int) {
	go o.Publish("g", &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte("x")}, true) // guarded by the test: it holds the wire
	synctest.Wait()
	o.Publish("g", &Event{Type: EventChunk, To: 1, Seq: 2, Text: []byte(strings.Repeat("x", size))}, false)
}

func TestAwaitRoom(t *testing.T) {
	t.Run("at once where there is room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			next := make(chan struct{})
			o := outgoingOver(stuck(next), 8<<20, 0)
			sayMuch(o, crowdedBytes/2)
			start := time.Now()
			o.AwaitRoom(time.Hour)
			require.Zero(t, time.Since(start))
			close(next)
			require.NoError(t, o.Close(t.Context()))
		})
	})
	t.Run("until there is room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			next := make(chan struct{})
			o := outgoingOver(stuck(next), 8<<20, 0)
			sayMuch(o, crowdedBytes)
			const callers = 3 * crowdedBytes / broughtBytes
			through := make(chan int, callers)
			for i := range callers {
				go func() {
					o.AwaitRoom(time.Hour)
					through <- i
				}()
				synctest.Wait()
			}
			require.Empty(t, through)
			next <- struct{}{}
			synctest.Wait()
			require.Empty(t, through, "what crowds is still there")
			next <- struct{}{}
			synctest.Wait()
			require.Len(t, through, crowdedBytes/broughtBytes, "a few at a time")
			for range crowdedBytes / broughtBytes {
				require.Less(t, <-through, crowdedBytes/broughtBytes, "those who came first")
			}
			close(next)
			for len(o.line) > 0 { // each message lets others in
				o.Publish("g", &Event{Type: EventChunk, To: 1, Seq: 3, Text: []byte("x")}, true)
				synctest.Wait()
			}
			require.Empty(t, o.line)
			require.NoError(t, o.Close(t.Context()))
		})
	})
	t.Run("not longer than asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			next := make(chan struct{})
			o := outgoingOver(stuck(next), 8<<20, 0)
			sayMuch(o, crowdedBytes)
			start := time.Now()
			o.AwaitRoom(time.Second)
			require.Equal(t, time.Second, time.Since(start))
			require.Empty(t, o.line, "nobody is let in who has left")
			close(next)
			require.NoError(t, o.Close(t.Context()))
		})
	})
	t.Run("where the bus is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			next := make(chan struct{})
			o := outgoingOver(&wire{fail: func() error { <-next; return ErrDisconnected }}, 8<<20, 0)
			sayMuch(o, crowdedBytes)
			go close(next) // guarded by the test
			start := time.Now()
			o.AwaitRoom(time.Hour)
			require.Zero(t, time.Since(start), "what is lost crowds nobody")
			require.NoError(t, o.Close(t.Context()))
		})
	})
}

// What waits goes out in messages that a gateway hears soon, however large the
// server lets them be.
func TestBatcherEndsMessagesEarly(t *testing.T) {
	b := newBatcher(64 << 20)
	e := &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte(strings.Repeat("x", 16<<10))}
	for range 256 {
		require.True(t, b.add(time.Unix(1000, 0), "g", e, false, 8<<20))
	}
	taken := b.take(nil)
	require.Greater(t, len(taken), 15)
	for _, batch := range taken {
		require.LessOrEqual(t, len(batch.buf), maxBatch)
	}
}
