package child

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPanicBecomesTheErrorOfItsCaller: whether Start still waits or has returned,
// the panic is told and the process does not stay behind.
func TestPanicBecomesTheErrorOfItsCaller(t *testing.T) {
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	func() {
		defer p.guard(exec.Command("nothing"), started)
		panic("broken")
	}()
	require.ErrorContains(t, <-started, "child: panic: broken")

	full := make(chan error, 1)
	full <- nil
	func() {
		defer p.guard(exec.Command("nothing"), full)
		panic("broken later")
	}()
	close(p.done)
	exit, err := p.Wait(t.Context())
	require.Equal(t, -1, exit)
	require.ErrorContains(t, err, "broken later")
}
