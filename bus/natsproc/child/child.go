// Package child runs a process that is not to outlive this one, and that is
// killed, paused and awaited from any goroutine.
//
// Every process has one goroutine here, which starts it, awaits it and keeps an
// operating system thread of its own meanwhile: Linux ties a child's life to the
// thread that started it (Pdeathsig, proc(5)), and a thread of the pool may end
// before the process does. TestChildOutlivesTheThreadOfItsCaller and
// TestChildDiesWithItsParent show both sides. Elsewhere a child stays in the
// process group of its parent, so that a terminal's Ctrl-C reaches both.
//
// Kill and Wait block until the process has ended and what it wrote has been
// passed on, Pause until it stands still; everything else returns at once.
// Nothing is buffered.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"
)

// pipeDelay bounds the wait for output that a grandchild keeps open.
const pipeDelay = 2 * time.Second

// ErrUnsupported is what Pause and Resume say where no signal stops a process.
var ErrUnsupported = errors.New("child: a process can be paused on Unix systems only")

// Process is a started process. All methods may be called at any time, also
// after its end.
type Process struct {
	// Set once, before Start returns.
	process *os.Process

	// Set before done is closed.
	done chan struct{}
	exit int   // -1: ended by a signal
	err  error // the wait failed
}

// Start runs cmd, which is its own from then on. The closers are closed when the
// process has ended and its output is complete, and also when it does not start.
func Start(cmd *exec.Cmd, after ...io.Closer) (*Process, error) {
	prepare(cmd)
	cmd.WaitDelay = pipeDelay
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	go p.live(cmd, started, after)
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// live starts the process and stays on its thread until the process has ended.
func (p *Process) live(cmd *exec.Cmd, started chan<- error, after []io.Closer) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer closeAll(after)
	defer p.guard(cmd, started)
	err := cmd.Start()
	p.process = cmd.Process
	started <- err
	if err != nil {
		return
	}
	err = cmd.Wait()
	p.exit = cmd.ProcessState.ExitCode()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.err = fmt.Errorf("wait for %s: %w", cmd.Path, err)
	}
}

// guard turns a panic into the error that Start or Wait returns, and leaves no
// process without an owner.
func (p *Process) guard(cmd *exec.Cmd, started chan<- error) {
	v := recover()
	if v == nil {
		return
	}
	p.exit, p.err = -1, fmt.Errorf("child: panic: %v\n%s", v, debug.Stack())
	if cmd.Process != nil {
		_ = cmd.Process.Kill()
	}
	select {
	case started <- p.err:
	default: // Start has returned
	}
}

func closeAll(closers []io.Closer) {
	for _, c := range closers {
		_ = c.Close()
	}
}

// Pid is the operating system's number of the process.
func (p *Process) Pid() int { return p.process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended. A paused one runs.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process without a word to it, paused or not, and waits.
func (p *Process) Kill() {
	_ = p.process.Kill() // ended already, or ends now
	<-p.done
}

// Wait returns the exit status, -1 for a process that a signal ended. When ctx
// ends first, the process goes on.
func (p *Process) Wait(ctx context.Context) (exit int, err error) {
	select {
	case <-p.done:
		return p.exit, p.err
	case <-ctx.Done():
		return -1, fmt.Errorf("process %d has not ended: %w", p.Pid(), context.Cause(ctx))
	}
}
