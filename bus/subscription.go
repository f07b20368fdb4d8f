package bus

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Bounds of what may wait for one handler: a second of the busiest gateway many
// times over, and well below what a process can afford.
const (
	defaultPendingMsgs  = 1 << 18
	defaultPendingBytes = 128 << 20
)

// Subscription is one handler on one subject.
type Subscription struct {
	bus  *Bus
	sub  *nats.Subscription
	done chan struct{} // closed when the handler will not be called again

	dropped    atomic.Uint64 // last count of the client, which forgets it at the end
	reconnects atomic.Uint64 // of the client when the drain began
	draining   atomic.Bool
}

// subscribe hands the messages of a subject to handle, one at a time. A handler
// that panics loses one message.
func (b *Bus) subscribe(subject, group string, handle func(*nats.Msg)) (*Subscription, error) {
	s := &Subscription{bus: b, done: make(chan struct{})}
	guarded := func(m *nats.Msg) {
		defer b.recovered(subject)
		handle(m)
	}
	sub, err := b.nc.QueueSubscribe(subject, group, guarded)
	if err != nil {
		return nil, sendError(err)
	}
	if err := sub.SetPendingLimits(b.pendingLimits()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClosed, err) // the only way to fail right after subscribing
	}
	b.mu.Lock()
	s.sub = sub
	b.live[s] = struct{}{}
	b.mu.Unlock()
	ended := sync.OnceFunc(s.ended)
	sub.SetClosedHandler(func(string) { ended() })
	if !sub.IsValid() { // the client was closed before it knew the handler
		ended()
	}
	return s, nil
}

func (b *Bus) pendingLimits() (msgs, bytes int) {
	msgs, bytes = b.opts.PendingMsgs, b.opts.PendingBytes
	if msgs == 0 {
		msgs = defaultPendingMsgs
	}
	if bytes == 0 {
		bytes = defaultPendingBytes
	}
	return msgs, bytes
}

// Close leaves the subject, lets the handler finish what was delivered and
// waits for that. It must not be called from the handler itself.
func (s *Subscription) Close(ctx context.Context) error {
	s.drain()
	return s.wait(ctx)
}

// drain leaves the subject and returns at once; what was delivered is still
// handled. Only while the bus is away is the rest let go: its askers have been
// told already, and a subscription that drains through a reconnect would stay
// behind at the server.
func (s *Subscription) drain() {
	if s.draining.Swap(true) {
		return
	}
	s.reconnects.Store(s.bus.nc.Stats().Reconnects)
	s.countDropped()
	if s.bus.nc.IsConnected() {
		_ = s.sub.Drain() // fails only when the client is closed, which ends it too
		return
	}
	_ = s.sub.Unsubscribe()
}

func (s *Subscription) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended is the client's last word about the subscription.
//
// A reconnect during a drain subscribes again at the new server, and the client
// does not unsubscribe there when the drain ends. The server would go on
// choosing this member of the queue group, and every job it sends here would be
// lost. One more reconnect, which restores live subscriptions only, heals that.
func (s *Subscription) ended() {
	b := s.bus
	b.mu.Lock()
	delete(b.live, s)
	b.dropped += s.dropped.Load()
	b.mu.Unlock()
	close(s.done)
	if s.draining.Load() && b.nc.Stats().Reconnects != s.reconnects.Load() && !b.nc.IsClosed() && !b.nc.IsDraining() {
		b.log.Warn().Str("subject", s.sub.Subject).Msg("Bus reconnects to leave a subject for good")
		_ = b.nc.ForceReconnect() // fails only when the client is closed
	}
}

// countDropped asks the client how many messages it dropped here so far.
func (s *Subscription) countDropped() uint64 {
	if n, err := s.sub.Dropped(); err == nil {
		s.dropped.Store(uint64(n))
	}
	return s.dropped.Load()
}
