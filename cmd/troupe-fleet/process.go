package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
)

// processOptions of one child process of the fleet.
type processOptions struct {
	Name   string // of its logs, so unique in Dir
	Binary string
	Dir    string // exists; holds <Name>.1.log, <Name>.2.log … one for each start
	Args   []string
	Env    []string // KEY=value, beside this process's own
}

// process is a child process that can be started again after its end. Its
// methods may be called from any goroutine; one restart at a time.
type process struct {
	o processOptions // set once

	mu    sync.Mutex
	child *child.Process
	runs  int // started so far
	log   string
}

// startProcess returns when the process runs, which is not yet when it is ready:
// see waitReady. ctx is looked at before the start alone: a process lives until
// kill, or its own end, or the end of this process.
func startProcess(ctx context.Context, o processOptions) (*process, error) {
	p := &process{o: o}
	if err := p.restart(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// restart runs an ended process again, with the same options and a new log.
func (p *process) restart(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && p.child.Running() {
		return fmt.Errorf("start %s: it runs already", p.o.Name)
	}
	path := filepath.Join(p.o.Dir, fmt.Sprintf("%s.%d.log", p.o.Name, p.runs+1))
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	cmd := exec.Command(p.o.Binary, p.o.Args...)
	cmd.Env = append(os.Environ(), p.o.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	started, err := child.Start(cmd, log)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	p.child, p.log, p.runs = started, path, p.runs+1
	return nil
}

func (p *process) current() *child.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// kill ends the process without a word to it, paused or not, and waits.
func (p *process) kill() { p.current().Kill() }

// terminate asks the process to end and does not wait.
func (p *process) terminate() { _ = p.current().Terminate() } // an error: ended already

// wait returns the exit status, -1 after a signal. An error means that ctx ended
// before the process did.
func (p *process) wait(ctx context.Context) (exit int, err error) {
	exit, err = p.current().Wait(ctx)
	if err != nil {
		return exit, fmt.Errorf("%s: %w", p.o.Name, err)
	}
	return exit, nil
}

// pause stops the process where it is, its connections open.
func (p *process) pause() error { return p.named("pause", p.current().Pause()) }

// resume ends a pause.
func (p *process) resume() error { return p.named("resume", p.current().Resume()) }

func (p *process) named(verb string, err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s %s: it has ended, see %s", verb, p.o.Name, p.logFile())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, p.o.Name, err)
	}
	return nil
}

// running tells whether the process has not ended; a paused one has not.
func (p *process) running() bool { return p.current().Running() }

func (p *process) pid() int { return p.current().Pid() }

// logFile is the log of the last start.
func (p *process) logFile() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log
}
