package natsproc_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/bus/natsproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func start(t *testing.T, o natsproc.Options) *natsproc.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := natsproc.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

func connect(t *testing.T, s *natsproc.Server) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.URL(), nats.NoReconnect())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestServerComesBackOnItsPort(t *testing.T) {
	s := start(t, natsproc.Options{})
	url := s.URL()
	require.Equal(t, "nats://"+s.Addr(), url)
	require.NoError(t, connect(t, s).FlushTimeout(patience))
	require.ErrorContains(t, s.Start(t.Context()), "runs already")

	for name, end := range map[string]func(){
		"kill": s.Kill,
		"stop": func() { require.NoError(t, s.Stop(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, s.Running())
			end()
			require.False(t, s.Running())
			end() // harmless
			_, err := net.Dial("tcp", s.Addr())
			require.Error(t, err)
			require.NoError(t, s.Start(t.Context()))
			require.Equal(t, url, s.URL())
			require.NoError(t, connect(t, s).FlushTimeout(patience))
		})
	}
}

func TestFrozenServerKeepsItsConnections(t *testing.T) {
	if runtime.GOOS == "windows" {
		require.Error(t, start(t, natsproc.Options{}).Freeze())
		return
	}
	s := start(t, natsproc.Options{})
	c := connect(t, s)
	require.NoError(t, s.Freeze())
	require.True(t, s.Running())
	require.ErrorIs(t, c.FlushTimeout(100*time.Millisecond), nats.ErrTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.NoError(t, s.Thaw())
	require.NoError(t, c.FlushTimeout(patience))
	require.NoError(t, s.Freeze())
	require.ErrorIs(t, s.Stop(ctx), context.DeadlineExceeded)
	s.Kill()
	require.False(t, s.Running())
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		o    natsproc.Options
		says string
	}{
		{"configuration", t.Context(), natsproc.Options{Config: "no_such_field: 1"}, "no_such_field"},
		{"port taken", t.Context(), natsproc.Options{Port: taken.Addr().(*net.TCPAddr).Port}, "ended before it listened"},
		{"name", t.Context(), natsproc.Options{Name: "../x"}, `Name "../x" is not usable as a file name`},
		{"folder", t.Context(), natsproc.Options{Dir: filepath.Join(t.TempDir(), "missing")}, "Dir must be a folder that exists"},
		{"too late", gone, natsproc.Options{}, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Dir == "" {
				tt.o.Dir = t.TempDir()
			}
			_, err := natsproc.Start(tt.ctx, tt.o)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestLogGoesWhereItIsTold(t *testing.T) {
	var log bytes.Buffer
	s := start(t, natsproc.Options{Name: "told", Log: &log})
	s.Kill() // the log is complete, and nobody writes any more
	require.Contains(t, log.String(), "Listening for client connections")

	dir := t.TempDir()
	s = start(t, natsproc.Options{Dir: dir, Name: "kept"})
	s.Kill()
	require.NoError(t, s.Start(t.Context()))
	s.Kill()
	kept, err := os.ReadFile(filepath.Join(dir, "kept.log"))
	require.NoError(t, err)
	require.Equal(t, 2, bytes.Count(kept, []byte("Listening for client connections")))
}

func TestFreePortIsBelowThoseOfOutgoingConnections(t *testing.T) {
	port, err := natsproc.FreePort()
	require.NoError(t, err)
	require.Less(t, port, 32768)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	require.NoError(t, err)
	require.NoError(t, l.Close())
}
