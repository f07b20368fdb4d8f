//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize is what fits; 80 × 24 where nobody knows.
func terminalSize(f *os.File) (cols, rows int) {
	if f != nil {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col), int(size.Row)
		}
	}
	return 80, 24
}
