package limit

import (
	"sync"
	"time"
)

const (
	windowsKeys  = 1_000_000
	windowsBytes = 55 << 20
	sweepSteps   = 4096 // keys per Sweep, well under a millisecond
)

// Windows holds every window of one gateway.
type Windows struct {
	mu      sync.Mutex
	cfg     Config
	clock   clock
	table   table
	touches uint32
}

// NewWindows returns empty windows; c has been validated.
func NewWindows(c Config) *Windows {
	return newWindows(c, windowsKeys, windowsBytes)
}

func newWindows(c Config, maxKeys, maxBytes int) *Windows {
	return &Windows{cfg: c, table: newTable(maxKeys, maxBytes)}
}

// SetConfig changes the rules and keeps the history: a smaller limit refuses
// until enough has left the window, a larger one admits at once.
func (w *Windows) SetConfig(c Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg = c
}

// Connect asks for a connection: it is admitted by the connection window and,
// when the session is new, by the session window, and consumes in all that were
// asked or in none. A session that is connected, or was seen in the window, is
// not new; being seen again refreshes it and counts nothing.
func (w *Windows) Connect(now time.Time, address, session string, opt ConnectOptions) Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.attempt(now, address, session, opt)
	connection, sessions := w.judge(&a)
	if !sessions.OK && (connection.OK || sessions.RetryAfter > connection.RetryAfter) {
		return sessions
	}
	if !connection.OK {
		return connection
	}
	return w.admit(&a)
}

// ChargeConnect enters a connection that the fallback admitted, unasked. The
// decision is for RefundConnect; it is always OK.
func (w *Windows) ChargeConnect(now time.Time, address, session string, opt ConnectOptions) Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.attempt(now, address, session, opt)
	return w.admit(&a)
}

// RefundConnect takes back what d consumed, because the connection was refused
// elsewhere. d is this table's own, address and session are those it was made
// for, and each decision is refunded once. A session that another connection
// has used since stays counted.
func (w *Windows) RefundConnect(address, session string, d Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.grant.connection {
		w.takeBack(w.table.hasher.key(connects, address, ""), d.grant.at)
	}
	if !d.grant.session {
		return
	}
	visit := w.table.hasher.key(visits, address, session)
	if e := w.table.find(visit); e == nil || e.touch != d.grant.touch {
		return
	}
	w.table.forget(visit)
	w.takeBack(w.table.hasher.key(opens, address, ""), d.grant.at)
}

// Seen says that a connection of the session just ended. It is not for sessions
// that were admitted as ConnectOptions.NewSession: they were never counted.
func (w *Windows) Seen(now time.Time, address, session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if session == "" || w.cfg.Sessions.Off() {
		return
	}
	w.see(w.table.hasher.key(visits, address, session), w.clock.nanos(now))
	w.table.fit()
}

// Known tells whether the session was seen in the window, and so is not new.
// The fallback has windows of its own; who asks it passes this on as Connected.
func (w *Windows) Known(now time.Time, address, session string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left(w.table.hasher.key(visits, address, session), w.clock.nanos(now)) > 0
}

// Message asks for a question of the session, or of the address when session is
// empty.
func (w *Windows) Message(now time.Time, address, session string) Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, k := w.clock.nanos(now), w.table.hasher.key(asks, address, session)
	d := w.ask(k, Messages, w.cfg.Messages, at)
	d.Stamp = now
	if d.OK && !d.Rule.Off() {
		d.Count = w.stamp(k, asks, d.Rule, at)
		w.table.fit()
	}
	return d
}

// MayMessage tells what Message would answer, and consumes nothing.
func (w *Windows) MayMessage(now time.Time, address, session string) Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ask(w.table.hasher.key(asks, address, session), Messages, w.cfg.Messages, w.clock.nanos(now))
}

// ChargeMessage enters a question that the fallback admitted, unasked.
func (w *Windows) ChargeMessage(now time.Time, address, session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cfg.Messages.Off() {
		return
	}
	at, k := w.clock.nanos(now), w.table.hasher.key(asks, address, session)
	w.stamp(k, asks, w.cfg.Messages, at)
	w.table.fit()
}

// Reset forgets everything and tells how many keys that were.
func (w *Windows) Reset() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.table.len()
	w.table.clear()
	return n
}

// Len is the number of tracked keys. An address costs one for its connections
// and one for its sessions, a session one for having been seen and one for its
// messages.
func (w *Windows) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.table.len()
}

// Sweep forgets keys whose windows are empty. It does a bounded piece of the
// work; call it every second or so. Memory is bounded without it.
func (w *Windows) Sweep(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.sweep(w.clock.nanos(now), sweepSteps, w.keep)
}
