package engine

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dialControl prepares a socket before it connects. With a source address the
// port is chosen at connect, so that every address has all ports.
func dialControl(bound bool, receiveBuffer int) func(network, address string, c syscall.RawConn) error {
	if !bound && receiveBuffer == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		failed := c.Control(func(fd uintptr) {
			if bound {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
			}
			if err == nil && receiveBuffer > 0 {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
			}
		})
		if failed != nil {
			return failed
		}
		return err
	}
}
