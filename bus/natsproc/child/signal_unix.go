//go:build unix

package child

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const (
	stopTimeout = 5 * time.Second
	stopAsk     = time.Millisecond
)

// Terminate asks the process to end (SIGTERM) and does not wait. A paused
// process hears it after Resume.
func (p *Process) Terminate() error { return p.process.Signal(syscall.SIGTERM) }

// Pause stops the process where it is, its connections open (SIGSTOP). It returns
// when the process stands still, where the system can tell: the signal alone is a
// request.
func (p *Process) Pause() error {
	if err := p.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	ask := time.NewTicker(stopAsk)
	defer ask.Stop()
	for !p.stopped() {
		select {
		case <-ask.C:
		case <-p.done:
			return os.ErrProcessDone
		case <-late.C:
			return errors.New("child: the process does not stand still after SIGSTOP")
		}
	}
	return nil
}

// Resume ends a Pause (SIGCONT).
func (p *Process) Resume() error { return p.process.Signal(syscall.SIGCONT) }
