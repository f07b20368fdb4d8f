package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	patience = 20 * time.Second
	quiet    = 50 * time.Millisecond // how long nothing is to come
)

// peer is a listener that hands its connections to the test.
type peer struct {
	listener net.Listener
	conns    chan net.Conn
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &peer{listener: l, conns: make(chan net.Conn, 16)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.conns <- conn
		}
	}()
	return p
}

func (p *peer) accept(t *testing.T) net.Conn {
	t.Helper()
	select {
	case conn := <-p.conns:
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	case <-time.After(patience):
		require.Fail(t, "nobody came through the proxy")
		return nil
	}
}

// proxied is a proxy before a peer.
func proxied(t *testing.T) (*proxy, *peer) {
	t.Helper()
	target := newPeer(t)
	p, err := newProxy(target.listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		p.close()
		require.NoError(t, p.failure())
	})
	return p, target
}

func dial(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// through is one connection, both its ends.
func through(t *testing.T, p *proxy, target *peer) (client, server net.Conn) {
	t.Helper()
	return dial(t, p), target.accept(t)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func requireHeard(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func requireSilent(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(quiet)))
	n, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, n)
}

// requireBroken: the connection ends, and not because the test waited too long.
func requireBroken(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	rest, err := io.ReadAll(conn)
	require.Empty(t, rest)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// requireRefused: a new connection is closed, at once or during the dial.
func requireRefused(t *testing.T, p *proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr())
	if err != nil {
		require.ErrorContains(t, err, "reset")
		return
	}
	defer func() { _ = conn.Close() }()
	requireBroken(t, conn)
}

func TestProxyPassesEverything(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	say(t, client, "CONNECT {}\r\nPING\r\n")
	requireHeard(t, server, "CONNECT {}\r\nPING\r\n")
	say(t, server, "PONG\r\n")
	requireHeard(t, client, "PONG\r\n")

	// More than both kernels hold, so that it waits for its reader.
	large := strings.Repeat("0123456789abcdef", 1<<19)
	stream := fmt.Sprintf("MSG a 1 %d\r\n%s\r\n", len(large), large)
	for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(way.from, stream)
			sent <- err
		}()
		got := make([]byte, len(stream))
		require.NoError(t, way.to.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.ReadFull(way.to, got)
		require.NoError(t, err)
		require.NoError(t, <-sent)
		require.True(t, bytes.Equal([]byte(stream), got))
	}
}

// TestProxyPassesTheEnd: what one side says last arrives before its end, and the
// other one may still answer.
func TestProxyPassesTheEnd(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	say(t, client, "last words")
	require.NoError(t, client.(*net.TCPConn).CloseWrite())
	requireHeard(t, server, "last words")
	requireBroken(t, server)
	say(t, server, "+OK\r\nunfinished")
	require.NoError(t, server.Close())
	requireHeard(t, client, "+OK\r\nunfinished")
	requireBroken(t, client)
	require.Eventually(t, func() bool { return len(p.open()) == 0 }, patience, time.Millisecond)
}

func TestProxyPassesABreak(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	say(t, client, "x")
	requireHeard(t, server, "x")
	reset(client)
	requireBroken(t, server)
}

func TestProxyWithoutItsTarget(t *testing.T) {
	p, target := proxied(t)
	require.NoError(t, target.listener.Close())
	requireRefused(t, p)

	_, err := newProxy("no port")
	require.ErrorContains(t, err, "the target must be host:port")
}

func TestCutClosesWhatIsThere(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	other, otherServer := through(t, p, target)
	p.cut()
	for _, conn := range []net.Conn{client, server, other, otherServer} {
		requireBroken(t, conn)
	}
	client, server = through(t, p, target)
	say(t, client, "again")
	requireHeard(t, server, "again")
}

func TestRefuseClosesNewConnectionsOnly(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	p.refuse(true)
	requireRefused(t, p)
	say(t, client, "still here")
	requireHeard(t, server, "still here")
	p.refuse(false)
	client, server = through(t, p, target)
	say(t, client, "welcome")
	requireHeard(t, server, "welcome")
}

func TestBlackHoleHoldsEverythingBack(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	say(t, client, "a")
	requireHeard(t, server, "a")
	say(t, server, "+OK\r\n")
	requireHeard(t, client, "+OK\r\n")

	p.blackHole(true)
	p.blackHole(true) // harmless
	say(t, client, "up")
	say(t, server, "PING\r\n")
	late := dial(t, p)
	say(t, late, "hello")
	requireSilent(t, client)
	requireSilent(t, server)
	requireSilent(t, late)
	require.Empty(t, target.conns)
	require.NoError(t, server.Close()) // its end is held back, too
	requireSilent(t, client)

	p.blackHole(false)
	p.blackHole(false)
	requireHeard(t, client, "PING\r\n")
	requireHeard(t, target.accept(t), "hello")
}

func TestBlackHoleCanBeCutAndClosed(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	p.blackHole(true)
	say(t, client, "lost")
	late := dial(t, p)
	requireSilent(t, late) // accepted by now
	p.cut()
	requireBroken(t, client)
	requireBroken(t, late)
	requireBroken(t, server)
	requireSilent(t, dial(t, p)) // the hole is still there
	p.close()
	_, err := net.Dial("tcp", p.addr())
	require.Error(t, err)
}

func TestTamperOnTheWire(t *testing.T) {
	p, target := proxied(t)
	client, server := through(t, p, target)
	repeat := &tamper{Match: events, Repeat: 1}
	p.tamper(repeat)
	say(t, server, msg("events", "1")+msg("x", "2"))
	requireHeard(t, client, msg("events", "1")+msg("events", "1")+msg("x", "2"))
	require.Equal(t, tampered{Seen: 1, Repeated: 1}, repeat.counts())

	// In the middle of a message the change waits for its end.
	say(t, server, "PING\r\nMSG events 1 5\r\nhe")
	requireHeard(t, client, "PING\r\n")
	delay := &tamper{Match: events, Delay: 1, DelayFor: quiet}
	p.tamper(delay)
	say(t, server, "llo\r\nPING\r\n")
	requireHeard(t, client, "PING\r\n"+msg("events", "hello")) // late, without another word of the server
	require.Equal(t, tampered{Seen: 1, Delayed: 1}, delay.counts())

	p.tamper(nil)
	say(t, server, msg("events", "3"))
	requireHeard(t, client, msg("events", "3"))

	// What a client says is nobody's to change.
	p.tamper(&tamper{Drop: 1})
	say(t, client, msg("events", "4"))
	requireHeard(t, server, msg("events", "4"))
}

// TestProxyTellsOfAPanic: one wire is lost, the others and the proxy are not.
func TestProxyTellsOfAPanic(t *testing.T) {
	target := newPeer(t)
	p, err := newProxy(target.listener.Addr().String())
	require.NoError(t, err)
	defer p.close()
	client, server := through(t, p, target)
	p.tamper(&tamper{Match: func(string) bool { panic("broken match") }})
	say(t, server, msg("events", "1"))
	requireBroken(t, client)
	requireBroken(t, server)
	require.Eventually(t, func() bool { return p.failure() != nil }, patience, time.Millisecond)
	require.ErrorContains(t, p.failure(), "broken match")
	p.tamper(nil)
	client, server = through(t, p, target)
	say(t, client, "on")
	requireHeard(t, server, "on")
}
