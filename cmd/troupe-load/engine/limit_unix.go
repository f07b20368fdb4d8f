//go:build unix

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// otherDescriptors are those that are no client's.
const otherDescriptors = 64

// raiseLimit raises the descriptor limit to what the system allows, and checks
// that so many connections fit.
func raiseLimit(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the descriptor limit: %w", err)
	}
	if limit.Cur < limit.Max {
		raised := limit
		raised.Cur = raised.Max
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	if room := uint64(limit.Cur); uint64(connections)+otherDescriptors > room {
		return fmt.Errorf("%d connections do not fit: this process may have %d descriptors and needs %d for itself; raise the hard limit (ulimit -Hn, or nofile in limits.conf), or give at most --connections=%d and run the tool several times",
			connections, room, otherDescriptors, room-min(room, otherDescriptors))
	}
	return nil
}
