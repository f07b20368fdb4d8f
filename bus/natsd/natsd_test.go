package natsd_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/bus/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o natsd.Options) (*natsd.Server, *nats.Conn) {
	t.Helper()
	s, err := natsd.Start(o)
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Timeout(10*time.Second))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return s, nc
}

func TestServesInProcess(t *testing.T) {
	_, nc := start(t, natsd.Options{})
	sub, err := nc.SubscribeSync("a")
	require.NoError(t, err)
	require.NoError(t, nc.Publish("a", []byte("x")))
	m, err := sub.NextMsg(10 * time.Second)
	require.NoError(t, err)
	require.Equal(t, "x", string(m.Data))
	require.EqualValues(t, 8<<20, nc.MaxPayload())
}

func TestMaxPayload(t *testing.T) {
	_, nc := start(t, natsd.Options{MaxPayload: 1 << 16})
	require.EqualValues(t, 1<<16, nc.MaxPayload())
	require.ErrorIs(t, nc.Publish("a", make([]byte, 1<<16+1)), nats.ErrMaxPayload)

	_, err := natsd.Start(natsd.Options{MaxPayload: -1})
	require.Error(t, err)
}

func TestShutdownEndsClientsAndRepeats(t *testing.T) {
	s, nc := start(t, natsd.Options{})
	s.Shutdown()
	s.Shutdown()
	_, err := s.InProcessConn()
	require.Error(t, err)
	require.Eventually(t, func() bool { return !nc.IsConnected() }, 10*time.Second, time.Millisecond)
}

// The sockets of this process are looked up in the kernel's own tables: what the
// server says about itself would prove nothing.
func TestOpensNoListener(t *testing.T) {
	before := listeners(t)
	start(t, natsd.Options{})
	require.Equal(t, before, listeners(t))

	l, err := net.Listen("tcp", "127.0.0.1:0") // the count does see one
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, before+1, listeners(t))
}

// listeners counts the listening TCP sockets of this process.
func listeners(t *testing.T) (n int) {
	t.Helper()
	const listen = "0A"
	mine := sockets(t)
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		data, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		for _, line := range strings.Split(string(data), "\n")[1:] {
			if f := strings.Fields(line); len(f) > 9 && f[3] == listen && mine["socket:["+f[9]+"]"] {
				n++
			}
		}
	}
	return n
}

func sockets(t *testing.T) map[string]bool {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	mine := make(map[string]bool)
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			mine[target] = true
		}
	}
	return mine
}

func TestLogGoesToZerolog(t *testing.T) {
	var out syncBuffer
	start(t, natsd.Options{Log: zerolog.New(&out).Level(zerolog.DebugLevel)})
	require.Contains(t, out.String(), `"line":"Server is ready"`)
	require.Contains(t, out.String(), `"level":"debug"`)

	var quiet syncBuffer
	start(t, natsd.Options{Log: zerolog.New(&quiet).Level(zerolog.InfoLevel)})
	require.Empty(t, quiet.String())

	var warned syncBuffer // the server warns about payloads above its own advice
	start(t, natsd.Options{Log: zerolog.New(&warned).Level(zerolog.InfoLevel), MaxPayload: 16 << 20})
	require.Contains(t, warned.String(), `"level":"warn"`)
	require.Equal(t, 1, bytes.Count([]byte(warned.String()), []byte("\n")))
}
