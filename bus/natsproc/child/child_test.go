//go:build unix

package child_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
)

// parentEnv makes this test binary a parent that starts a child and waits.
const parentEnv = "TROUPE_CHILD_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		actAsParent()
		return
	}
	goleak.VerifyTestMain(m)
}

// actAsParent starts a child that shares its standard output and lives for ever.
func actAsParent() {
	cmd := exec.Command("sh", "-c", "echo child lives; exec sleep 600")
	cmd.Stdout = os.Stdout
	p, err := child.Start(cmd)
	if err != nil {
		os.Exit(1)
	}
	_, _ = p.Wait(context.Background())
}

// echo is a child that says back what it hears.
type echo struct {
	*child.Process
	in  io.WriteCloser
	out *bufio.Reader
}

func startEcho(t *testing.T) echo {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	cmd.Stdout = w
	p, err := child.Start(cmd, w)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return echo{p, in, bufio.NewReader(r)}
}

func (e echo) requireAnswer(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(e.in, "hello\n")
	require.NoError(t, err)
	line, err := e.out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		exit         int
	}{
		{"well", "exit 0", 0},
		{"with a complaint", "exit 3", 3},
		{"by a signal", "kill -9 $$", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := child.Start(exec.Command("sh", "-c", tt.script))
			require.NoError(t, err)
			exit, err := p.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, tt.exit, exit)
			require.False(t, p.Running())
			p.Kill() // too late, and harmless
			require.ErrorIs(t, p.Terminate(), os.ErrProcessDone)
		})
	}
}

func TestStartOfNothingClosesWhatItWasGiven(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	_, err = child.Start(exec.Command(f.Name()+"-missing"), f)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, f.Close(), os.ErrClosed)
}

func TestKillEndsAPausedProcess(t *testing.T) {
	e := startEcho(t)
	e.requireAnswer(t)
	require.Positive(t, e.Pid())
	require.NoError(t, e.Pause())
	require.True(t, e.Running())
	e.Kill()
	require.False(t, e.Running())
	_, err := e.out.ReadByte()
	require.ErrorIs(t, err, io.EOF) // its writing end was closed after it
}

func TestOutputIsCompleteAfterWait(t *testing.T) {
	const lines = 20_000
	var out countingWriter
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo x; i=$((i+1)); done")
	cmd.Stdout = &out
	p, err := child.Start(cmd)
	require.NoError(t, err)
	_, err = p.Wait(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2*lines, out)
}

type countingWriter int

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}
