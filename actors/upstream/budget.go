package upstream

import "time"

const (
	retriesAlways = 3  // per ten seconds, however little there is to do
	callsPerRetry = 10 // one retry for so many calls
)

// budget bounds retries to a share of the calls, so that a vendor in trouble is
// not asked twice as much as a healthy one.
type budget struct {
	calls, retries window
}

func (b *budget) entered(now time.Duration) { b.calls.add(now) }

// take takes one retry, where one is left.
func (b *budget) take(now time.Duration) bool {
	if b.retries.count(now) >= max(retriesAlways, b.calls.count(now)/callsPerRetry) {
		return false
	}
	b.retries.add(now)
	return true
}
