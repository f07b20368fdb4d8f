//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// parentEnv makes this test binary a parent that starts burners and waits.
const parentEnv = "TROUPE_FLEET_TEST_PARENT"

// TestMain lets the test binary be what the program would be when it is run
// again as a child.
func TestMain(m *testing.M) {
	switch {
	case asBurner(os.Args[1:]):
		os.Exit(len(burn(os.Stdin)))
	case os.Getenv(parentEnv) != "":
		actAsParent()
	default:
		os.Exit(m.Run())
	}
}

// actAsParent starts burners that share its standard error, and waits for ever.
func actAsParent() {
	b, err := startBurners(2)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Fprintln(os.Stderr, "burning")
	<-b.list[0].child.Done()
}

// TestBurnersDieWithTheirParent: a harness that is killed leaves no machine busy.
func TestBurnersDieWithTheirParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"=1")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	parent.Stderr = w
	require.NoError(t, parent.Start())
	require.NoError(t, w.Close())
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "burning\n", line)

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // killed
	require.NoError(t, r.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = out.ReadByte()
	require.ErrorIs(t, err, io.EOF, "a burner outlived its parent")
}

// TestBurnerEndsWithItsInput: that is how it dies where the system does not end
// children with their parent. Nothing else ends this one.
func TestBurnerEndsWithItsInput(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], burnWord)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
}

func TestBurnSaysThatItCannotWatchItsParent(t *testing.T) {
	require.Contains(t, burn(iotest.ErrReader(io.ErrUnexpectedEOF))[0], "the parent cannot be watched: unexpected EOF")
}

func TestBurnersBurn(t *testing.T) {
	b, err := startBurners(2)
	require.NoError(t, err)
	t.Cleanup(b.kill)
	require.True(t, crew.Sleep(t.Context(), time.Second))
	l, err := b.stop(1)
	require.NoError(t, err)
	require.Equal(t, 2, l.Burners)
	require.Equal(t, 1, l.CPUs)
	require.GreaterOrEqual(t, l.To.Sub(l.From), time.Second)
	require.Greater(t, l.Burned, 100*time.Millisecond, "more than a start costs, and on a full machine, too")
	for _, one := range b.list {
		require.False(t, one.child.Running())
	}
	b.kill() // harmless
}

func TestBurnerThatEndedEarlyIsAFault(t *testing.T) {
	b, err := startBurners(1)
	require.NoError(t, err)
	b.kill()
	_, err = b.stop(1)
	require.ErrorIs(t, err, errBurnedOut)
}

func TestOnlyTheWordAloneMakesABurner(t *testing.T) {
	require.True(t, asBurner([]string{"burn"}))
	for _, args := range [][]string{nil, {"burn", "burn"}, {"--streams", "20"}} {
		require.False(t, asBurner(args), "%v", args)
	}
}
