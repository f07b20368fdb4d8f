//go:build unix

package engine

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pump reads until the socket ends and says why. A buffer is lent only while
// there is data: thousands of quiet sockets hold none.
func (s *socket) pump(in intake) error {
	c, ok := s.nc.(syscall.Conn) // TLS is none
	if !ok || s.rate > 0 {
		return s.pumpBlocking(in)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if len(s.rest) > 0 { // came with the handshake
		if err := s.digest(s.lend(), in); err != nil {
			return err
		}
	}
	var end error
	drain := func(fd uintptr) (done bool) {
		done, end = s.drain(int(fd), in)
		return done
	}
	for {
		err := raw.Read(drain) // it looks at deadlines and at the close before it reads
		if end != nil {
			return end
		}
		if err != nil {
			return err
		}
	}
}

// readsAtOnce bounds the work between two looks at deadlines and at whether the
// socket was closed: a server that never stops sending would else hold its reader,
// and whoever closes the socket, forever.
const readsAtOnce = 64

// drain reads all there is, or as much as may be read at once. It reads until
// there is nothing more, also after a short read: what came together with the other
// side's end would else hide that end. It is not done, and has the poller wait,
// only where nothing is left: the poller tells of what is new alone.
func (s *socket) drain(fd int, in intake) (done bool, err error) {
	for range readsAtOnce {
		l := s.lend()
		n, err := unix.Read(fd, l.buf[l.filled:])
		switch {
		case errors.Is(err, unix.EINTR):
			s.giveBack(l)
			continue
		case errors.Is(err, unix.EAGAIN):
			s.giveBack(l)
			return false, nil
		case err != nil:
			s.giveBack(l)
			return true, os.NewSyscallError("read", err)
		case n <= 0:
			s.giveBack(l)
			return true, io.EOF
		}
		l.filled += n
		if err := s.digest(l, in); err != nil {
			return true, err
		}
	}
	return true, nil
}
