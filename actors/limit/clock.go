package limit

import "time"

// horizon keeps the difference of any two readings inside an int64, and apart
// from the stamp that means none. It is 73 years.
const horizon = time.Duration(1 << 61)

// clock turns times into nanoseconds since the first time it was shown: eight
// bytes a stamp instead of twenty-four, and still monotonic where times are.
type clock struct {
	base time.Time
	set  bool
}

// nanos starts counting afresh at a time beyond the horizon. Older stamps then
// look like stamps of the future or the long past, which windows can live with.
func (c *clock) nanos(now time.Time) int64 {
	d := now.Sub(c.base)
	if !c.set || d > horizon || d < -horizon {
		c.base, c.set, d = now, true, 0
	}
	return int64(d)
}
