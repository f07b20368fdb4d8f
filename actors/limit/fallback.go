package limit

import "time"

const (
	fallbackKeys  = 125_000
	fallbackBytes = 8 << 20
)

// Fallback decides while the limiter is away. Per key it admits half of what
// the limit says, rounded down but at least one, in any window of the limit's
// length; what was admitted comes back one window later and not before.
//
// The windows slide, as those of Windows do. Fixed ones would let a client spend
// half at the end of one, half at the start of the next and the full limit with
// the limiter in between: twice the limit in one window. So it is at most one
// and a half times, as long as what is admitted here is charged there.
type Fallback struct {
	windows *Windows
}

// NewFallback returns an unused fallback for the limiter's own rules.
func NewFallback(c Config) *Fallback {
	return &Fallback{windows: newWindows(c.half(), fallbackKeys, fallbackBytes)}
}

// SetConfig takes the limiter's new rules and keeps the history.
func (f *Fallback) SetConfig(c Config) { f.windows.SetConfig(c.half()) }

// Connect is Windows.Connect. The decision shows the halved rule.
func (f *Fallback) Connect(now time.Time, address, session string, opt ConnectOptions) Decision {
	return f.windows.Connect(now, address, session, opt)
}

// RefundConnect is Windows.RefundConnect for a decision of this fallback.
func (f *Fallback) RefundConnect(address, session string, d Decision) {
	f.windows.RefundConnect(address, session, d)
}

// Message is Windows.Message. The decision shows the halved rule.
func (f *Fallback) Message(now time.Time, address, session string) Decision {
	return f.windows.Message(now, address, session)
}

// Reset forgets everything and tells how many keys that were.
func (f *Fallback) Reset() int { return f.windows.Reset() }

// Len is the number of tracked keys.
func (f *Fallback) Len() int { return f.windows.Len() }

// Sweep is Windows.Sweep.
func (f *Fallback) Sweep(now time.Time) { f.windows.Sweep(now) }
