// Package bustest runs a real nats-server as a process of its own, for tests
// that stop, freeze or limit it. The binary is built once per version from the
// module that the project already depends on.
package bustest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// startTimeout bounds a start on a busy machine.
const startTimeout = 30 * time.Second

// Option changes the server's configuration file.
type Option func(config string) string

// MaxPayload sets the largest message in bytes.
func MaxPayload(n int) Option { return Config(fmt.Sprintf("max_payload: %d", n)) }

// Config adds lines to the configuration file.
func Config(lines string) Option {
	return func(config string) string { return config + lines + "\n" }
}

// NATS is a nats-server process on 127.0.0.1.
type NATS struct {
	t      testing.TB
	binary string
	config string // path
	port   int    // -1 until the first start
	cmd    *exec.Cmd
	copied chan struct{} // closed when the log has been read to its end
}

// Server starts a nats-server on a free port; it is killed when the test ends.
func Server(t testing.TB, opts ...Option) *NATS {
	t.Helper()
	config := "ping_interval: \"1m\"\n"
	for _, o := range opts {
		config = o(config)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	s := &NATS{t: t, binary: binary(t), config: path, port: -1}
	t.Cleanup(s.Kill)
	s.Start()
	return s
}

// URL is where clients connect. It stays the same over restarts.
func (s *NATS) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.port) }

// Start runs the server, on its old port after a Kill, and returns when it
// listens.
func (s *NATS) Start() {
	s.t.Helper()
	require.Nil(s.t, s.cmd, "nats-server runs already")
	cmd := exec.Command(s.binary, "-a", "127.0.0.1", "-p", strconv.Itoa(s.port), "-c", s.config)
	log, err := cmd.StderrPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	s.cmd, s.copied = cmd, make(chan struct{})
	ports := make(chan int, 1)
	go follow(log, ports, s.copied)
	select {
	case port := <-ports:
		require.NotZero(s.t, port, "nats-server ended before it listened")
		s.port = port
	case <-time.After(startTimeout):
		s.t.Fatal("nats-server does not listen")
	}
}

var listening = regexp.MustCompile(`Listening for client connections on 127\.0\.0\.1:(\d+)`)

// follow reads the server's log to its end and tells the port on the way; 0 when
// it never came.
func follow(log io.Reader, ports chan<- int, done chan<- struct{}) {
	defer close(done)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			port, _ := strconv.Atoi(m[1])
			ports <- port
			break
		}
	}
	_, _ = io.Copy(io.Discard, log)
	select {
	case ports <- 0:
	default:
	}
}

// Kill ends the server at once, without a word to its clients.
func (s *NATS) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.copied
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze stops the server without closing a connection; Thaw lets it go on.
func (s *NATS) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *NATS) Thaw() { s.signal(syscall.SIGCONT) }

func (s *NATS) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// binary builds nats-server into the user's cache, once per version. Two test
// processes may build at once: the rename decides.
func binary(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	dir := filepath.Join(cache, "troupe-test")
	path := filepath.Join(dir, fmt.Sprintf("nats-server-%s-%s-%s", server.VERSION, runtime.GOOS, runtime.GOARCH))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	out, err := exec.Command("go", "build", "-o", temp, "github.com/nats-io/nats-server/v2").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Rename(temp, path))
	return path
}
