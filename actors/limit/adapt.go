package limit

import "time"

// Bounds of Factor.
const (
	adaptEvery = 10 * time.Second // from one step to the next
	adaptMost  = 5                // tenths that are taken away
)

// Factor is what is left of the configured limits while a node is under
// pressure: from 1 down to 0.5, and back, a tenth each ten seconds. The zero
// value is 1. It is for one goroutine.
type Factor struct {
	missing int       // tenths
	moved   time.Time // the last step
}

// Tenths is the factor in tenths: 5 to 10.
func (f *Factor) Tenths() int { return 10 - f.missing }

// Look takes a step where one is due, and tells whether it did. The first one
// down is taken at once; a short pressure costs one step and no more.
func (f *Factor) Look(now time.Time, pressed bool) (changed bool) {
	switch {
	case now.Sub(f.moved) < adaptEvery:
		return false
	case pressed && f.missing < adaptMost:
		f.missing++
	case !pressed && f.missing > 0:
		f.missing--
	default:
		return false
	}
	f.moved = now
	return true
}

// Scaled returns the rules with so many tenths of their events, rounded down.
// None is shut by the rounding, and what is off stays off.
func (c Config) Scaled(tenths int) Config {
	for _, r := range []*Rule{&c.Connections, &c.Messages, &c.Sessions} {
		if !r.Off() {
			r.Max = max(1, r.Max*tenths/10)
		}
	}
	return c
}
