package bus_test

import (
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/bus/natsproc"
)

// mute is a server that takes every connection and is no NATS server: it says
// nothing to the first few, and to the others what another protocol would, so that
// not every attempt has to wait. It never closes a connection itself.
type mute struct {
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // guarded by mu: all that ever came
	open  int        // guarded by mu
	most  int        // guarded by mu: open at once
}

func newMute(t *testing.T, silent int) *mute {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mute{listener: l}
	m.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if m.came(c) > silent {
				_, _ = c.Write([]byte("220 mail.example.com\r\n")) // gone already, perhaps
			}
			m.all.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				m.left()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.hangUp()
		m.all.Wait()
	})
	return m
}

// came books a connection and returns how many there were so far.
func (m *mute) came(c net.Conn) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, c)
	m.open++
	m.most = max(m.most, m.open)
	return len(m.conns)
}

func (m *mute) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		_ = c.Close()
	}
}

func (m *mute) left() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open--
}

func (m *mute) seen() (accepted, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns), m.most
}

// A server that is reached and does not speak NATS costs one descriptor, however
// often it is tried. No garbage collection may hide that here.
func TestAttemptsLeaveNoConnectionBehind(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, scheme := range []string{"nats", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			server := newMute(t, 3)
			b, err := bus.Connect(to(scheme+"://"+server.listener.Addr().String(), "a"), bus.Options{Log: zerolog.Nop()})
			require.NoError(t, err)
			t.Cleanup(func() { closeBus(t, b) })
			require.Eventually(t, func() bool { n, _ := server.seen(); return n >= 20 }, patience, 10*time.Millisecond)
			_, most := server.seen()
			require.LessOrEqual(t, most, 2)
		})
	}
}

// Names and WebSockets are dialled like anything else, and again after the server
// was away.
func TestDialsNamesAndWebSockets(t *testing.T) {
	port, err := natsproc.FreePort()
	require.NoError(t, err)
	for scheme, address := range map[string]func(*bustest.NATS) string{
		"nats": func(s *bustest.NATS) string { return strings.Replace(s.URL(), "127.0.0.1", "localhost", 1) },
		"ws":   func(*bustest.NATS) string { return fmt.Sprintf("ws://127.0.0.1:%d", port) },
	} {
		t.Run(scheme, func(t *testing.T) {
			s := bustest.Server(t, bustest.Config(fmt.Sprintf("websocket {listen: \"127.0.0.1:%d\", no_tls: true}", port)))
			up := make(chan struct{}, 64)
			b := connect(t, to(address(s), "a"), bus.Options{Log: zerolog.Nop(), OnUp: func() { up <- struct{}{} }})
			receive(t, up)
			for range 2 {
				s.Kill()
				require.Eventually(t, func() bool { return !b.Connected() }, patience, time.Millisecond)
				s.Start()
				receive(t, up)
				require.NoError(t, b.Flush(t.Context()))
			}
		})
	}
}
