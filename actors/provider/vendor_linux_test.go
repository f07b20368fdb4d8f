package provider

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A listener whose queue is full lets Linux drop what asks for a connection, so
// that a dial hangs without a network that would have to be there.
func TestConnectTimeoutOfTheDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	var shrunk error
	require.NoError(t, raw.Control(func(fd uintptr) { shrunk = syscall.Listen(int(fd), 0) }))
	require.NoError(t, shrunk)
	for full := false; !full; {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 300*time.Millisecond)
		if full = err != nil; !full {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	requireLate(t, "http://"+l.Addr().String())
}
