package transport

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inherit sets on a listener what prepare would set on each connection that it
// accepts: here they come with it (tcp(7), socket(7)), which saves five system
// calls a connection. It tells whether that worked out.
func inherit(l net.Listener) bool {
	tcp, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = setInherited(int(fd)) })
	return err == nil && refused == nil
}

func setInherited(fd int) error {
	for _, o := range []struct{ level, option, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(probeAfter / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(probeEvery / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return err
		}
	}
	return nil
}

// deferAccept has the kernel keep a connection until its client has said
// something (tcp(7), TCP_DEFER_ACCEPT), which every client of ours does at once:
// then its handshake is there when it is accepted. Who stays silent is accepted a
// second later, as if it had come then. Best effort.
func deferAccept(l net.Listener) {
	tcp, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(silentAccept/time.Second))
		})
	}
}

// silentAccept is when a connection is accepted whose client has said nothing.
// The kernel rounds it to its own retransmissions, of which the first is this one.
const silentAccept = time.Second
