package transport

import (
	"net"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A connection has the same bounds and probes whether its listener passed them
// on or it was prepared by itself.
func TestAcceptedConnectionsAreBoundedAndProbed(t *testing.T) {
	for name, inherits := range map[string]bool{"inherited": true, "prepared": false} {
		t.Run(name, func(t *testing.T) {
			l, err := bind(t.Context(), keyListen, "127.0.0.1:0", zerolog.Nop(), newAcceptFolder())
			require.NoError(t, err)
			defer l.Close()
			require.True(t, l.inherits, "Linux can")
			if !inherits {
				plain, err := (&net.ListenConfig{KeepAlive: -1}).Listen(t.Context(), "tcp", "127.0.0.1:0")
				require.NoError(t, err)
				l = newListener(plain, false, zerolog.Nop())
				defer l.Close()
			}
			client, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer client.Close()
			c, err := l.Accept()
			require.NoError(t, err)
			defer c.Close()
			raw, err := c.(*net.TCPConn).SyscallConn()
			require.NoError(t, err)
			require.NoError(t, raw.Control(func(fd uintptr) {
				option := func(level, option int) int {
					v, err := unix.GetsockoptInt(int(fd), level, option)
					require.NoError(t, err)
					return v
				}
				require.Equal(t, 2*sendBuffer, option(unix.SOL_SOCKET, unix.SO_SNDBUF), "the kernel doubles it for its own needs")
				require.Equal(t, 1, option(unix.SOL_SOCKET, unix.SO_KEEPALIVE))
				require.Equal(t, 15, option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
				require.Equal(t, 15, option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
				require.Equal(t, 9, option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
				require.Equal(t, 1, option(unix.IPPROTO_TCP, unix.TCP_NODELAY))
			}))
		})
	}
}

// A connection is not accepted before its client has spoken, and one that never
// speaks is all the same: its handshake has an end.
func TestSilentConnectionsAreAcceptedLater(t *testing.T) {
	l, err := bind(t.Context(), keyListen, "127.0.0.1:0", zerolog.Nop(), newAcceptFolder())
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	silent, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer silent.Close()
	speaks, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer speaks.Close()
	_, err = speaks.Write([]byte("GET "))
	require.NoError(t, err)
	for _, client := range []net.Conn{speaks, silent} { // in this order, though the other was first
		c := <-accepted
		require.Equal(t, client.LocalAddr().String(), c.RemoteAddr().String())
		require.NoError(t, c.Close())
	}
}
