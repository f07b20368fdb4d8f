package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// defaultMaxPayload holds until a server has announced its own.
const defaultMaxPayload = 1 << 20

// flushTimeout bounds a Flush whose context has no deadline.
const flushTimeout = 5 * time.Second

// Options is what a Bus is given beside its configuration.
type Options struct {
	Name string // shown by the NATS server's monitoring
	Log  zerolog.Logger
	// InProcess is the embedded server, used when Config.URL is empty.
	InProcess nats.InProcessConnProvider
	// OnUp and OnDown are called after every connect and disconnect, in
	// order, on one goroutine of the client. They may be nil.
	OnUp, OnDown func()
	// PendingMsgs and PendingBytes bound what may wait for the handler of one
	// subscription; past them messages are dropped and counted.
	// 0 = 262,144 messages and 128 MiB.
	PendingMsgs, PendingBytes int
	// Saboteur makes messages fail on purpose; nil, and nothing is asked.
	Saboteur Saboteur
}

// Bus is one connection to NATS. All methods are safe for concurrent use.
type Bus struct {
	// Set once.
	opts        Options
	log         zerolog.Logger
	subjects    Subjects
	credentials bool // a file of them is in use
	nc          *nats.Conn
	closed      chan struct{} // closed by the client's last callback
	out         *lane         // nil without a saboteur

	// nc once more, for callbacks that may come before Connect has returned.
	reconnecting atomic.Pointer[nats.Conn]

	// Counters.
	maxPayload atomic.Int64
	malformed  atomic.Uint64
	panics     atomic.Uint64

	// Log lines that would repeat for as long as a trouble lasts.
	retryLog               troubles
	errorLog, malformedLog seldom

	mu      sync.Mutex
	live    map[*Subscription]struct{} // guarded by mu
	dropped uint64                     // guarded by mu: of subscriptions that ended
}

// Connect returns a Bus that keeps itself connected until Close. A server that
// is away is not an error: the Bus waits for it, and Connected tells. An error
// is a configuration that can never work. It tries each server once before it
// returns, at most half a second for each address without TLS.
func Connect(cfg Config, o Options) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	subjects, err := NewSubjects(cfg.Prefix)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts:         o,
		log:          o.Log,
		subjects:     subjects,
		credentials:  cfg.Credentials != "",
		closed:       make(chan struct{}),
		errorLog:     seldom{every: 10 * time.Second},
		malformedLog: seldom{every: 10 * time.Second},
		live:         make(map[*Subscription]struct{}),
	}
	b.out = b.newLane(nil)
	b.maxPayload.Store(defaultMaxPayload)
	options, err := b.clientOptions(cfg)
	if err != nil {
		return nil, err
	}
	if b.nc, err = nats.Connect(cfg.URL, options...); err != nil {
		return nil, connectError(err)
	}
	b.reconnecting.Store(b.nc)
	b.learnMaxPayload(b.nc)
	return b, nil
}

// connectError keeps a URL out of what the client says about it.
func connectError(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errors.New("bus.url: cannot be used as NATS servers")
	}
	return fmt.Errorf("bus: %w", err)
}

// Connected tells whether a server answers.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Reconnects counts how often a server was found again after it was lost.
func (b *Bus) Reconnects() uint64 { return b.nc.Stats().Reconnects }

// MaxPayload is the largest message in bytes that the server takes; 1 MiB
// before the first connect. It never blocks.
func (b *Bus) MaxPayload() int { return int(b.maxPayload.Load()) }

// Subjects spells the subjects of this deployment.
func (b *Bus) Subjects() Subjects { return b.subjects }

// Dropped counts messages that the client dropped because a handler did not
// keep up with its subscription, as the client itself counts them.
func (b *Bus) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.dropped
	for s := range b.live {
		n += s.countDropped()
	}
	return n
}

// Malformed counts messages and event lines that were skipped as broken.
func (b *Bus) Malformed() uint64 { return b.malformed.Load() }

// Panics counts handlers that panicked.
func (b *Bus) Panics() uint64 { return b.panics.Load() }

// Flush returns when the server has seen everything sent so far, subscriptions
// included. It blocks, so it is for start and stop alone.
func (b *Bus) Flush(ctx context.Context) error {
	if !b.nc.IsConnected() {
		return ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return sendError(b.nc.FlushWithContext(ctx))
}

// Close drains every subscription, sends what is buffered and waits for the
// client to end; when ctx ends first, the rest is dropped and its error
// returned. A second Close only waits.
func (b *Bus) Close(ctx context.Context) error {
	_ = b.nc.Drain() // closed already, or no server to drain to: then it closes at once
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		b.nc.Close()
		return ctx.Err()
	}
}

func (b *Bus) learnMaxPayload(nc *nats.Conn) {
	if n := nc.MaxPayload(); n > 0 {
		b.maxPayload.Store(min(n, math.MaxInt32))
	}
}

// publish sends data at once or not at all.
func (b *Bus) publish(subject string, data []byte) error {
	return sendError(b.nc.Publish(subject, data))
}

// say is publish for one of ours; it owns data.
func (b *Bus) say(sort, kind, subject string, data []byte) error {
	if b.out.watched() {
		return b.out.leave(sort, kind, func() error { return b.publish(subject, data) })
	}
	return b.publish(subject, data)
}

// publishMsg is publish for a message with headers.
func (b *Bus) publishMsg(m *nats.Msg) error { return sendError(b.nc.PublishMsg(m)) }

// request is publish with a reply subject; where nobody listens, the server
// answers there by itself.
func (b *Bus) request(subject, reply string, data []byte) error {
	if len(data) > b.MaxPayload() {
		return ErrTooLarge
	}
	return sendError(b.nc.PublishRequest(subject, reply, data))
}

// skipMalformed counts what was skipped on a subject.
func (b *Bus) skipMalformed(subject string, n int) {
	b.malformed.Add(uint64(n))
	if folded, ok := b.malformedLog.allow(time.Now()); ok {
		b.log.Warn().Str("subject", subject).Int("skipped", n).Int("folded", folded).Msg("Bus message skipped: malformed")
	}
}

// recovered is deferred around every call of a handler.
func (b *Bus) recovered(where string) {
	if v := recover(); v != nil {
		b.panics.Add(1)
		logPanic(b.log, where, v)
	}
}
