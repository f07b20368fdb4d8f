package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestPacer(t *testing.T) {
	start := time.Unix(1000, 0)
	cases := []struct {
		name   string
		events []time.Duration // when, since start
		at     time.Duration
		busy   bool
	}{
		{"nothing yet", nil, 0, false},
		{"two hundred in a window", spread(200, 10*time.Millisecond), 9 * time.Millisecond, false},
		{"more, still in the window", spread(201, 5*time.Millisecond), 6 * time.Millisecond, true},
		{"more, in the next window", spread(201, 5*time.Millisecond), 15 * time.Millisecond, true},
		{"more, long ago", spread(201, 5*time.Millisecond), 30 * time.Millisecond, false},
		{"19,900 a second", spread(1990, 100*time.Millisecond), 100 * time.Millisecond, false},
		{"20,300 a second", spread(2030, 100*time.Millisecond), 100 * time.Millisecond, true},
		{"the clock jumps back", append(spread(300, 5*time.Millisecond), -time.Hour), -time.Hour, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var p pacer
			for _, at := range c.events {
				p.event(start.Add(at))
			}
			p.roll(start.Add(c.at))
			require.Equal(t, c.busy, p.busy)
		})
	}
}

func spread(n int, over time.Duration) (at []time.Duration) {
	for i := range n {
		at = append(at, over*time.Duration(i)/time.Duration(n))
	}
	return at
}

func TestBatcherDue(t *testing.T) {
	now := time.Unix(1000, 0)
	chunk := &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte("x")}
	b := newBatcher(1 << 20)
	_, ok := b.due(now)
	require.False(t, ok, "nothing to send")

	b.add(now, "g", chunk, false, 1<<20)
	wait, ok := b.due(now)
	require.True(t, ok)
	require.Zero(t, wait, "a quiet flow does not wait")
	b.take(nil)

	for range busyPerTick {
		b.add(now, "g", chunk, false, 1<<20)
	}
	wait, _ = b.due(now)
	require.Zero(t, wait, "as much as comes in a linger does not wait for its end")
	b.take(nil)
	b.add(now, "g", chunk, false, 1<<20)
	wait, _ = b.due(now)
	require.Equal(t, maxLinger, wait, "of a busy flow a single one waits")
	wait, _ = b.due(now.Add(200 * time.Microsecond))
	require.Equal(t, 300*time.Microsecond, wait, "counted from the oldest")
	wait, _ = b.due(now.Add(time.Millisecond))
	require.Zero(t, wait)

	b.add(now, "h", chunk, true, 1<<20)
	wait, _ = b.due(now)
	require.Zero(t, wait, "an urgent one takes all with it")
	require.Len(t, b.take(nil), 2)
}

func TestBatcherSplitsAtHalfOfMaxPayload(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBatcher(1 << 20)
	text := []byte(strings.Repeat("x", 100))
	for i := range 50 {
		require.True(t, b.add(now, "g", &Event{Type: EventChunk, To: 1, Seq: uint64(i + 1), Text: text}, false, 1024))
	}
	require.True(t, b.urgent, "a full batch does not wait")
	var seqs []uint64
	for _, one := range b.take(nil) {
		require.LessOrEqual(t, len(one.buf), 512)
		DecodeEvents(one.buf, func(e *Event) { seqs = append(seqs, e.Seq) })
		b.release(one)
	}
	require.Len(t, seqs, 50)
	for i, seq := range seqs {
		require.EqualValues(t, i+1, seq)
	}
	require.Zero(t, b.bytes)
}

func TestBatcherBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBatcher(1000)
	event := func(n int) *Event {
		return &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte(strings.Repeat("x", n))}
	}
	require.True(t, b.add(now, "g", event(600), false, 1000), "longer than half goes alone")
	require.False(t, b.add(now, "g", event(600), false, 1000), "no room in all")
	require.False(t, b.add(now, "g", event(2000), false, 1000), "larger than any message")
	require.True(t, b.add(now, "g", event(10), false, 1000))
	for _, one := range b.take(nil) {
		b.release(one)
	}
	require.Zero(t, b.bytes)
	require.True(t, b.add(now, "g", event(600), false, 1000), "room again")
}

// wire is a publish that remembers.
type wire struct {
	mu       sync.Mutex
	messages []string
	at       []time.Time
	fail     func() error
}

func (w *wire) publish(gateway string, lines []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		if err := w.fail(); err != nil {
			return err
		}
	}
	w.messages = append(w.messages, gateway+" "+string(lines))
	w.at = append(w.at, time.Now())
	return nil
}

func (w *wire) events(gateway string) (got []Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if lines, ok := strings.CutPrefix(m, gateway+" "); ok {
			DecodeEvents([]byte(lines), func(e *Event) { got = append(got, *e) })
		}
	}
	return got
}

func outgoingOver(w *wire, maxPayload, maxBuffered int) *Outgoing {
	flush := func(context.Context) error { return nil }
	return newOutgoing(zerolog.Nop(), w.publish, func() int { return maxPayload }, flush, maxBuffered)
}

func TestOutgoingWaitsOnlyWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(wire)
		o := outgoingOver(w, 1<<20, 0)
		chunk := &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte("x")}
		start := time.Now()
		o.Publish("g", chunk, false)
		synctest.Wait()
		require.Len(t, w.messages, 1, "alone: at once")

		for range busyPerTick {
			o.Publish("g", chunk, false)
		}
		synctest.Wait()
		o.Publish("g", chunk, false)
		synctest.Wait()
		sent := len(w.messages)
		require.NotZero(t, o.Buffered(), "busy: it waits for company")
		time.Sleep(maxLinger)
		synctest.Wait()
		require.Zero(t, o.Buffered())
		require.Len(t, w.messages, sent+1, "together")
		require.LessOrEqual(t, w.at[len(w.at)-1].Sub(start), maxLinger)

		o.Publish("g", chunk, false)
		o.Publish("g", chunk, true)
		synctest.Wait()
		require.Zero(t, o.Buffered(), "urgent: at once")
		require.NoError(t, o.Close(t.Context()))
		require.Len(t, w.events("g"), busyPerTick+4)
		require.Zero(t, o.Dropped())
	})
}

func TestOutgoingKeepsOrderPerGateway(t *testing.T) {
	w := new(wire)
	o := outgoingOver(w, 4096, 0)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for seq := range 2000 {
				e := Event{Type: EventChunk, To: uint64(g), Seq: uint64(seq + 1), Text: []byte("abc")}
				o.Publish(fmt.Sprintf("g%d", g), &e, seq%100 == 0)
			}
		})
	}
	wg.Wait()
	require.NoError(t, o.Close(t.Context()))
	require.Zero(t, o.Dropped())
	require.Zero(t, o.Buffered())
	for g := range 4 {
		got := w.events(fmt.Sprintf("g%d", g))
		require.Len(t, got, 2000)
		for i, e := range got {
			require.EqualValues(t, i+1, e.Seq)
		}
	}
}

// What a run cuts by MaxText leaves as one event, whatever the server's bound:
// cut here, its pieces would carry the same seq and one could not be told lost.
func TestOutgoingMaxTextIsOneEvent(t *testing.T) {
	for _, maxPayload := range []int{1 << 10, 16 << 10, 1 << 20} {
		w := new(wire)
		o := outgoingOver(w, maxPayload, 0)
		o.Publish("g", &Event{Type: EventSnapshot, To: 1, Seq: 9, From: 1, Text: []byte(strings.Repeat("x", MaxText(maxPayload)))}, true)
		require.NoError(t, o.Close(t.Context()))
		require.Len(t, w.events("g"), 1, maxPayload)
		require.Zero(t, o.Dropped())
	}
}

func TestOutgoingLossIsCounted(t *testing.T) {
	chunk := &Event{Type: EventChunk, To: 1, Seq: 1, Text: []byte("x")}
	t.Run("bus away", func(t *testing.T) {
		w := &wire{fail: func() error { return ErrDisconnected }}
		o := outgoingOver(w, 1024, 0)
		for range 10 {
			o.Publish("g", chunk, false)
		}
		require.NoError(t, o.Close(t.Context()))
		require.EqualValues(t, 10, o.Dropped())
		require.Zero(t, o.Buffered())
	})
	t.Run("panic in hand, then on", func(t *testing.T) {
		first := true
		w := new(wire)
		w.fail = func() error {
			if first {
				first = false
				panic("broken")
			}
			return nil
		}
		synctest.Test(t, func(t *testing.T) {
			o := outgoingOver(w, 1024, 0)
			o.Publish("g", chunk, true)
			synctest.Wait()
			require.EqualValues(t, 1, o.Dropped())
			o.Publish("g", chunk, true)
			require.NoError(t, o.Close(t.Context()))
			require.Len(t, w.events("g"), 1)
		})
	})
	t.Run("no room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			w := &wire{fail: func() error { <-hold; return nil }}
			o := outgoingOver(w, 1024, 500)
			go o.Publish("g", chunk, true) // this one is held up, and nobody else
			synctest.Wait()
			for range 99 {
				o.Publish("g", chunk, true)
			}
			synctest.Wait()
			require.LessOrEqual(t, o.Buffered(), 500)
			lost := o.Dropped()
			require.NotZero(t, lost)
			close(hold)
			require.NoError(t, o.Close(t.Context()))
			require.Len(t, w.events("g"), 100-int(lost))
		})
	})
	t.Run("bad gateway, closed", func(t *testing.T) {
		w := new(wire)
		o := outgoingOver(w, 1024, 0)
		o.Publish("g.>", chunk, true)
		require.NoError(t, o.Close(t.Context()))
		o.Publish("g", chunk, true)
		require.EqualValues(t, 2, o.Dropped())
		require.Empty(t, w.messages)
	})
}

func TestOutgoingCloseKeepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w := &wire{fail: func() error { <-hold; return errors.New("late") }}
		o := outgoingOver(w, 1024, 0)
		go o.Publish("g", &Event{Type: EventChunk, To: 1, Seq: 1}, true)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, o.Close(ctx), context.DeadlineExceeded)
		close(hold)
		<-o.done
	})
}
