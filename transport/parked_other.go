//go:build !unix

package transport

import (
	"errors"
	"net"
)

// rawConn has no implementation here: every connection takes the way over
// net.Conn, as TLS does everywhere.
type rawConn struct{}

type rawRead struct{}

func newRawConn(net.Conn) rawConn { return rawConn{} }

func newRawWrite() any { return nil }

func (rawConn) ok() bool { return false }

func (rawConn) read(*rawRead, *buffers) ([]byte, error) { return nil, errors.ErrUnsupported }

func (rawConn) write([]byte, *buffers) (int, error) { return 0, errors.ErrUnsupported }

func (rawConn) whenWritable(func(func([]byte) (int, error)) bool) error {
	return errors.ErrUnsupported
}

// readNow is for systems where a descriptor can be asked without waiting.
func readNow(*net.TCPConn, []byte) (int, error) { return 0, nil }
