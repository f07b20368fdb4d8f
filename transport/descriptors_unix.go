//go:build unix

package transport

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// DescriptorLimit raises the soft limit of open descriptors to the hard one
// and returns what holds now. A limit that cannot be raised is not an error;
// the caller caps its connections to what there is.
func DescriptorLimit() (soft uint64, raised bool, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false, fmt.Errorf("cannot read the descriptor limit: %w", err)
	}
	if limit.Cur >= limit.Max {
		return uint64(limit.Cur), false, nil
	}
	wanted := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &wanted) != nil {
		return uint64(limit.Cur), false, nil
	}
	return uint64(wanted.Cur), true, nil
}
