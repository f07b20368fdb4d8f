//go:build !linux

package engine

import "syscall"

// dialControl has nothing to prepare here: the system's own buffers and ports
// have to do.
func dialControl(bool, int) func(network, address string, c syscall.RawConn) error { return nil }
