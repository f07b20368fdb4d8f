//go:build unix

package transport

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawConn reaches a TCP descriptor itself, so that reading needs no buffer
// while nothing can be read, and writing never waits. The zero value stands for
// a connection without a descriptor of its own (TLS): see ok.
type rawConn struct{ rc syscall.RawConn }

func newRawConn(nc net.Conn) rawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return rawConn{}
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return rawConn{}
	}
	return rawConn{rc: rc}
}

func (r rawConn) ok() bool { return r.rc != nil }

// rawRead is one read in waiting. It belongs to the reader goroutine and is
// reused, because a closure made for each read would be held while parked.
type rawRead struct {
	from  *buffers
	buf   []byte
	err   error
	ready func(fd uintptr) bool
}

// read parks until the descriptor is readable and only then takes a buffer.
// The caller puts it back.
func (r rawConn) read(op *rawRead, from *buffers) ([]byte, error) {
	if op.ready == nil {
		op.from, op.ready = from, op.readOnce
	}
	if err := r.rc.Read(op.ready); err != nil {
		return nil, err
	}
	buf, err := op.buf, op.err
	op.buf, op.err = nil, nil
	return buf, err
}

// readOnce runs in the poller's hands: it may not block, nor close the
// descriptor. False means: park until readable.
func (op *rawRead) readOnce(fd uintptr) bool {
	buf := op.from.large()
	n, err := unix.Read(int(fd), buf)
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), buf)
	}
	switch {
	case err == unix.EAGAIN:
		op.from.put(buf, 0)
		return false
	case n > 0:
		op.buf = buf[:n]
		return true
	case err == nil:
		err = io.EOF
	}
	op.from.put(buf, 0)
	op.err = err
	return true
}

// rawWrite is one write; pooled, so that a write allocates no closure.
type rawWrite struct {
	b   []byte
	n   int
	err error
	run func(fd uintptr)
}

func newRawWrite() any {
	op := new(rawWrite)
	op.run = op.writeOnce
	return op
}

func (op *rawWrite) writeOnce(fd uintptr) { op.n, op.err = writeOnce(fd, op.b) }

// write offers b to the kernel once and never waits; 0 bytes and no error mean
// that the kernel's buffer is full. It does not take the poller's write lock,
// which a parked flusher holds: the caller's own lock keeps writes apart.
func (r rawConn) write(b []byte, from *buffers) (int, error) {
	op := from.writes.Get().(*rawWrite)
	op.b = b
	err := r.rc.Control(op.run)
	n := op.n
	if err == nil {
		err = op.err
	}
	op.b, op.n, op.err = nil, 0, nil
	from.writes.Put(op)
	return n, err
}

// whenWritable calls f now and again each time the descriptor may have become
// writable, until f returns true. f may not block, nor close the descriptor.
func (r rawConn) whenWritable(f func(write func([]byte) (int, error)) (done bool)) error {
	return r.rc.Write(func(fd uintptr) bool {
		return f(func(b []byte) (int, error) { return writeOnce(fd, b) })
	})
}

func writeOnce(fd uintptr, b []byte) (int, error) {
	n, err := unix.Write(int(fd), b)
	for err == unix.EINTR {
		n, err = unix.Write(int(fd), b)
	}
	if err == unix.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

// readNow reads what is there already: 0 bytes and no error, where nothing is,
// or nothing will be.
func readNow(tcp *net.TCPConn, b []byte) (n int, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = syscall.Read(int(fd), b) // net's own: what its client wrote after happened before, to the race detector too
		return true
	})
	if failed != nil && failed != unix.EAGAIN && failed != unix.EINTR {
		err = failed
	}
	return max(n, 0), err
}
