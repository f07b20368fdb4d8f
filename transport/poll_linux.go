package transport

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller is an epoll instance (epoll(7)) that sits in the runtime's own poller,
// so that waiting for it parks a goroutine and no thread.
type poller struct {
	file   *os.File
	raw    syscall.RawConn
	epfd   int
	bell   int // an eventfd, see ring
	events [loopEvents]unix.EpollEvent
}

// pollEvent is news of a descriptor.
type pollEvent struct {
	fd                 int
	readable, writable bool // an end or an error counts as both
	ended              bool // the client will send no more: what is there has to be read to its end
}

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &poller{epfd: epfd, bell: bell}
	err = errors.Join(
		unix.SetNonblock(epfd, true), // so that os.NewFile gives it to the runtime's poller
		unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(bell)}),
	)
	p.file = os.NewFile(uintptr(epfd), "epoll")
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// watched is what every socket is watched for, edge-triggered, until it is closed.
const watched = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// add watches fd; for room too, if asked to.
func (p *poller) add(fd int, room bool) error {
	e := unix.EpollEvent{Events: watched, Fd: int32(fd)}
	if room {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &e)
}

// room watches fd for room too: an event comes now, if there is some, or later.
func (p *poller) room(fd int) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: watched | unix.EPOLLOUT, Fd: int32(fd)})
}

// wait parks until there is news or the bell was rung, and returns how many of
// into it filled.
func (p *poller) wait(into []pollEvent) (n int) {
	_ = p.raw.Read(func(uintptr) bool {
		got, err := unix.EpollWait(p.epfd, p.events[:], 0)
		for err == unix.EINTR {
			got, err = unix.EpollWait(p.epfd, p.events[:], 0)
		}
		n = max(got, 0)
		return n > 0 || err != nil
	}) // it fails only after close
	kept := 0
	for _, e := range p.events[:n] {
		if int(e.Fd) == p.bell {
			continue
		}
		into[kept] = pollEvent{
			fd:       int(e.Fd),
			readable: e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			writable: e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			ended:    e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
		kept++
	}
	return kept
}

// ring makes wait return; not to be called after close. The counter is never read: an edge comes with every
// write all the same.
func (p *poller) ring() {
	_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail while it is open
}

func (p *poller) close() {
	_ = p.file.Close()
	_ = unix.Close(p.bell)
}
