//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package transport

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller is a kqueue (kqueue(2)) that sits in the runtime's own poller, so that
// waiting for it parks a goroutine and no thread.
type poller struct {
	file   *os.File
	raw    syscall.RawConn
	kq     int
	bell   [2]int // a pipe, see ring
	events [loopEvents]unix.Kevent_t
}

// pollEvent is news of a descriptor.
type pollEvent struct {
	fd                 int
	readable, writable bool // an end or an error counts as both
	ended              bool // the client will send no more: what is there has to be read to its end
}

func newPoller() (*poller, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(kq)
	p := &poller{kq: kq}
	if err := unix.Pipe(p.bell[:]); err != nil {
		_ = unix.Close(kq)
		return nil, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p.bell {
		unix.CloseOnExec(fd)
		err = errors.Join(err, unix.SetNonblock(fd, true))
	}
	err = errors.Join(err, p.change(p.bell[0], unix.EVFILT_READ), unix.SetNonblock(kq, true))
	p.file = os.NewFile(uintptr(kq), "kqueue")
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// add watches fd, edge-triggered, until it is closed; for room too, if asked to.
func (p *poller) add(fd int, room bool) error {
	if room {
		return p.change(fd, unix.EVFILT_READ, unix.EVFILT_WRITE)
	}
	return p.change(fd, unix.EVFILT_READ)
}

// room watches fd for room too: an event comes now, if there is some, or later.
func (p *poller) room(fd int) error { return p.change(fd, unix.EVFILT_WRITE) }

func (p *poller) change(fd int, filters ...int) error {
	changes := make([]unix.Kevent_t, len(filters))
	for i, filter := range filters {
		unix.SetKevent(&changes[i], fd, filter, unix.EV_ADD|unix.EV_CLEAR)
	}
	_, err := unix.Kevent(p.kq, changes, nil, nil)
	return err
}

// wait parks until there is news or the bell was rung, and returns how many of
// into it filled.
func (p *poller) wait(into []pollEvent) (n int) {
	var now unix.Timespec
	_ = p.raw.Read(func(uintptr) bool {
		got, err := unix.Kevent(p.kq, nil, p.events[:], &now)
		for err == unix.EINTR {
			got, err = unix.Kevent(p.kq, nil, p.events[:], &now)
		}
		n = max(got, 0)
		return n > 0 || err != nil
	}) // it fails only after close
	kept := 0
	for i := range p.events[:n] {
		e := &p.events[i]
		if int(e.Ident) == p.bell[0] {
			p.hush()
			continue
		}
		gone := e.Flags&(unix.EV_EOF|unix.EV_ERROR) != 0
		into[kept] = pollEvent{
			fd:       int(e.Ident),
			readable: e.Filter == unix.EVFILT_READ || gone,
			writable: e.Filter == unix.EVFILT_WRITE || gone,
			ended:    gone,
		}
		kept++
	}
	return kept
}

// hush empties the pipe, so that it never fills up.
func (p *poller) hush() {
	var b [64]byte
	for {
		if n, err := unix.Read(p.bell[0], b[:]); n < len(b) || err != nil {
			return
		}
	}
}

// ring makes wait return; not to be called after close.
func (p *poller) ring() { _, _ = unix.Write(p.bell[1], []byte{1}) } // a full pipe rings already

func (p *poller) close() {
	_ = p.file.Close()
	_ = unix.Close(p.bell[0])
	_ = unix.Close(p.bell[1])
}
