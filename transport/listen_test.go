package transport

import (
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// starved is a listener whose process has no descriptor left until a moment.
type starved struct {
	until  time.Time
	asked  int
	closed chan struct{}
	once   sync.Once
}

func (l *starved) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	l.asked++
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	c, _ := net.Pipe()
	return c, nil
}
func (l *starved) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *starved) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000} }

func TestAcceptBacksOffWithoutDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &lines{}
		began := time.Now()
		inner := &starved{until: began.Add(10 * time.Second), closed: make(chan struct{})}
		c, err := newListener(inner, false, zerolog.New(out)).Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Less(t, time.Since(began), 11*time.Second, "back within a second")
		require.Less(t, inner.asked, 40, "no spin")
		n := len(out.with("cannot accept connections"))
		require.Greater(t, n, 1)
		require.LessOrEqual(t, n, 11, "at most a line a second")
	})
}

// Listeners of one server run out together, and say so together.
func TestListenersSayTogetherThatTheyCannotAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, fold := &lines{}, newAcceptFolder()
		for range 3 {
			l := newListener(&starved{until: time.Now().Add(10 * time.Second), closed: make(chan struct{})}, false, zerolog.New(out))
			l.fold = fold
			go func() { _, _ = l.Accept() }()
		}
		time.Sleep(12 * time.Second)
		n := len(out.with("cannot accept connections"))
		require.Greater(t, n, 1)
		require.LessOrEqual(t, n, 11, "at most a line a second")
	})
}

func TestCloseEndsAWaitingAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener(&starved{until: time.Now().Add(time.Hour), closed: make(chan struct{})}, false, zerolog.Nop())
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.ErrorIs(t, l.Close(), net.ErrClosed)
	})
}

func TestFolder(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newFolder(10*time.Second, 2)
	step := func(key string, after time.Duration) (int, bool) { return f.allow(key, now.Add(after)) }

	_, ok := step("a", 0)
	require.True(t, ok)
	for range 3 {
		_, ok = step("a", time.Second)
		require.False(t, ok)
	}
	repeats, ok := step("a", 10*time.Second)
	require.True(t, ok)
	require.Equal(t, 3, repeats)

	_, ok = step("b", 10*time.Second)
	require.True(t, ok)
	_, ok = step("c", 10*time.Second)
	require.True(t, ok, "the first without room")
	_, ok = step("d", 10*time.Second)
	require.False(t, ok, "shares the entry of c")
	require.ElementsMatch(t, []string{"a", "b"}, f.recent(now.Add(11*time.Second), 9))
	_, ok = step("e", 30*time.Second)
	require.True(t, ok, "the old ones made room")
	require.LessOrEqual(t, len(f.keys), 3)
}

func TestErrorLogIsFoldedAndCut(t *testing.T) {
	out := &lines{}
	l := newErrorLog(zerolog.New(out))
	for range 5 {
		l.Printf("http: TLS handshake error from %s", strings.Repeat("x", 4096))
	}
	found := out.with("TLS handshake error")
	require.Len(t, found, 1)
	require.Less(t, len(found[0]), 2*maxErrorLine)
	require.Contains(t, found[0], `"level":"debug"`)
}

func TestDescriptorLimit(t *testing.T) {
	first, _, err := DescriptorLimit()
	require.NoError(t, err)
	again, raised, err := DescriptorLimit()
	require.NoError(t, err)
	require.False(t, raised, "the first call raised all there was to raise")
	require.Equal(t, first, again)
}
