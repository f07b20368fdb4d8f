package follow

import (
	"math/rand/v2"
	"time"
)

// Backoff doubles from 50 ms to 2 s, with full jitter. It belongs to one goroutine.
type Backoff struct {
	rng *rand.Rand
	at  time.Duration
}

// NewBackoff draws from rng.
func NewBackoff(rng *rand.Rand) *Backoff { return &Backoff{rng: rng, at: 50 * time.Millisecond} }

// Next is how long to wait this time.
func (b *Backoff) Next() time.Duration {
	d := time.Duration(b.rng.Int64N(int64(b.at))) + time.Millisecond
	b.at = min(2*b.at, 2*time.Second)
	return d
}

// Reset begins anew.
func (b *Backoff) Reset() { b.at = 50 * time.Millisecond }
