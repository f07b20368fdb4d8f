// Package proc starts, breaks and reads the processes that a tool judges.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// StartTimeout bounds the start of one process on a busy machine.
const StartTimeout = 30 * time.Second

const askEvery = 20 * time.Millisecond

// ErrRuns is the error of a Start of what runs.
var ErrRuns = errors.New("it runs already")

// Process is a child process that can be started again after its end. Its methods
// may be called from any goroutine; those that break it want a Start before. It
// dies with this process where the system can do that.
type Process struct {
	// Set once.
	Name    string // of its logs, so unique in Dir
	Dir     string // exists; holds <Name>.1.log, <Name>.2.log … one for each start
	Command []string
	Env     []string // KEY=value, beside this process's own
	Admin   Admin    // of a server

	mu       sync.Mutex
	child    *child.Process
	life     int
	log      string
	baseline *Reading // of this life, taken at rest
}

// Start returns when the process runs, first or again, which is not yet when it is
// ready. ctx is looked at before the start alone: a process lives until Kill, or its
// own end, or the end of this process.
func (p *Process) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && p.child.Running() {
		return fmt.Errorf("start %s: %w", p.Name, ErrRuns)
	}
	path := filepath.Join(p.Dir, fmt.Sprintf("%s.%d.log", p.Name, p.life+1))
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	started, err := child.Start(cmd, log)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.child, p.log, p.life, p.baseline = started, path, p.life+1, nil
	return nil
}

// Ready asks until the process says that it is, by ask or, where that is nil, at
// its operator's address.
func (p *Process) Ready(ctx context.Context, ask func(context.Context) error) error {
	if ask == nil {
		ask = func(ctx context.Context) error {
			_, err := p.Admin.Get(ctx, "/readyz")
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		last := ask(ctx)
		switch {
		case last == nil:
			return nil
		case !p.Running():
			return fmt.Errorf("%s ended as it started; it said: %s", p.Name, p.LastWords())
		case !crew.Sleep(ctx, askEvery):
			return fmt.Errorf("%s is not ready: %w: %w; it said: %s", p.Name, context.Cause(ctx), last, p.LastWords())
		}
	}
}

func (p *Process) current() *child.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// Kill ends the process without a word to it, paused or not, and waits. One that
// was never started is left alone.
func (p *Process) Kill() {
	if c := p.current(); c != nil {
		c.Kill()
	}
}

// Terminate asks the process to end and does not wait; one that has ended is left
// alone.
func (p *Process) Terminate() error {
	if err := p.current().Terminate(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("terminate %s: %w", p.Name, err)
	}
	return nil
}

// Wait returns the exit status, -1 after a signal. An error means that ctx ended
// before the process did.
func (p *Process) Wait(ctx context.Context) (exit int, err error) {
	exit, err = p.current().Wait(ctx)
	if err != nil {
		return exit, fmt.Errorf("%s: %w", p.Name, err)
	}
	return exit, nil
}

// Pause stops the process where it is, its connections open.
func (p *Process) Pause() error { return p.named("pause", p.current().Pause()) }

// Resume ends a pause.
func (p *Process) Resume() error { return p.named("resume", p.current().Resume()) }

func (p *Process) named(verb string, err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s %s: it has ended, see %s", verb, p.Name, p.Log())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, p.Name, err)
	}
	return nil
}

// Running tells whether the process was started and has not ended; a paused one has
// not.
func (p *Process) Running() bool {
	c := p.current()
	return c != nil && c.Running()
}

// Pid is that of the last start.
func (p *Process) Pid() int { return p.current().Pid() }

// Life counts the starts.
func (p *Process) Life() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// Log is the file of the last start.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log
}

// LastWords are the end of that file.
func (p *Process) LastWords() string {
	text, err := os.ReadFile(p.Log())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-3):], []byte(" | ")))
}
