package bus

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// The client calls these one at a time on a goroutine of its own. The first may
// come before Connect has returned, so they use the connection they are given.

func (b *Bus) onUp(nc *nats.Conn) {
	b.learnMaxPayload(nc)
	b.retryLog.reset()
	b.log.Info().Str("server", nc.ConnectedAddr()).Int("max_payload", b.MaxPayload()).Msg("Bus connected")
	b.tell("OnUp", b.opts.OnUp)
}

func (b *Bus) onDown(nc *nats.Conn, err error) {
	if nc.IsClosed() || nc.IsDraining() {
		b.log.Info().Msg("Bus connection ended")
	} else {
		b.log.Warn().Err(err).Msg("Bus disconnected")
	}
	b.tell("OnDown", b.opts.OnDown)
}

func (b *Bus) tell(where string, f func()) {
	if f == nil {
		return
	}
	defer b.recovered(where)
	f()
}

func (b *Bus) onRetry(_ *nats.Conn, err error) { b.retrying(err) }

// retrying says why there is no server, what that is about and what to do.
func (b *Bus) retrying(err error) {
	key, remedy := trouble(err, b.credentials)
	folded, ok := b.retryLog.allow(remedy, time.Now())
	if !ok {
		return
	}
	event := b.log.Warn().Err(err).Int("folded", folded)
	if key != "" {
		event = event.Str("key", key).Str("remedy", remedy)
	}
	event.Msg("Bus cannot reach its server, retrying")
}

// reconnectDelay is how long the client waits after it has tried every server.
// It is also the only place to learn that a server was reached and then refused
// or was refused, which the client keeps to itself from the second attempt on.
func (b *Bus) reconnectDelay(int) time.Duration {
	if nc := b.reconnecting.Load(); nc != nil {
		if err := nc.LastError(); err != nil {
			b.retrying(err)
		}
	}
	return reconnectWait + rand.N(reconnectJitter)
}

func (b *Bus) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if sub == nil && refused(err) {
		b.retrying(err)
		return
	}
	folded, ok := b.errorLog.allow(time.Now())
	if !ok {
		return
	}
	event := b.log.Warn().Err(err).Int("folded", folded)
	if sub != nil {
		event = event.Str("subject", sub.Subject)
	}
	if errors.Is(err, nats.ErrSlowConsumer) {
		event.Uint64("dropped_total", b.Dropped()).Msg("Bus messages dropped: handler too slow")
		return
	}
	if key, remedy := trouble(err, b.credentials); key != "" {
		event = event.Str("key", key).Str("remedy", remedy)
	}
	event.Msg("Bus error")
}

func (b *Bus) onClosed(*nats.Conn) { close(b.closed) }
