package child_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestChildDiesWithItsParent: the child holds the writing end of our pipe, so
// the pipe ends when both are gone.
func TestChildDiesWithItsParent(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentEnv+"=1")
	parent.Stdout = w
	require.NoError(t, parent.Start())
	require.NoError(t, w.Close())
	require.NoError(t, r.SetReadDeadline(time.Now().Add(20*time.Second)))

	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "child lives\n", line)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // killed
	_, err = out.ReadByte()
	require.EqualError(t, err, "EOF", "the child outlived its parent")
}

// TestChildOutlivesTheThreadOfItsCaller: a goroutine that ends while locked takes
// its thread with it, and with the thread every child that it started itself.
func TestChildOutlivesTheThreadOfItsCaller(t *testing.T) {
	started := make(chan echo)
	thread := make(chan int, 1)
	var caller func()
	caller = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() { // the main thread never ends: hold it, and take another
			defer runtime.UnlockOSThread()
			done := make(chan struct{})
			go func() {
				defer close(done)
				caller()
			}()
			<-done
			return
		}
		thread <- unix.Gettid()
		started <- startEcho(t)
	}
	go caller()
	tid, e := <-thread, <-started
	require.Eventually(t, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		return os.IsNotExist(err)
	}, 20*time.Second, time.Millisecond)
	e.requireAnswer(t)
	require.True(t, e.Running())
}

func TestResumeGoesOnWhereItWas(t *testing.T) {
	e := startEcho(t)
	require.NoError(t, e.Pause())
	require.NoError(t, e.Pause(), "twice is once")
	require.NoError(t, e.Terminate())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := e.Wait(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "a paused process hears nothing")
	require.NoError(t, e.Resume())
	exit, err := e.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, -1, exit)
}
