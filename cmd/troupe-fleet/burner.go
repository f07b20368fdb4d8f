package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// burnWord makes this program a burner: it is given alone, by startBurners, and
// is in no usage.
const burnWord = "burn"

func asBurner(args []string) bool { return slices.Equal(args, []string{burnWord}) }

// burn keeps one CPU busy until in ends. Nothing is ever written there: it ends
// with whoever holds its other side, so a burner dies with its parent, however
// that dies. It returns what went wrong in the watch over in.
func burn(in io.Reader) (problems []string) {
	var over atomic.Bool
	var watch crew.Crew
	watch.Start("parent's watch", func() {
		defer over.Store(true)
		if _, err := io.Copy(io.Discard, in); err != nil {
			watch.Fail("the parent cannot be watched: %v", err)
		}
	})
	for !over.Load() { // the load itself
	}
	watch.Wait()
	return watch.Failures()
}

// burners are processes that never rest. They belong to one goroutine.
type burners struct {
	list []burner
	from time.Time // when the last of them had started
}

type burner struct {
	cmd   *exec.Cmd // its ProcessState is set when the process has ended
	child *child.Process
}

// startBurners runs so many; without all of them there is none.
func startBurners(n int) (*burners, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("burners: the path of this program is unknown: %w", err)
	}
	b := &burners{}
	for range n {
		if err := b.add(program); err != nil {
			b.kill()
			return nil, fmt.Errorf("burners: %d of %d started: %w", len(b.list), n, err)
		}
	}
	b.from = time.Now()
	return b, nil
}

func (b *burners) add(program string) error {
	cmd := exec.Command(program, burnWord)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // held open by cmd until the process has ended
		return err
	}
	started, err := child.Start(cmd)
	if err != nil {
		return err
	}
	b.list = append(b.list, burner{cmd, started})
	return nil
}

// kill ends them all and waits. Again it does nothing.
func (b *burners) kill() {
	for _, one := range b.list {
		one.child.Kill()
	}
}

var errBurnedOut = errors.New("a burner ended before it was told to: the machine was not full all the time")

// stop ends the load and says what it was.
func (b *burners) stop(cpus int) (load, error) {
	early := slices.ContainsFunc(b.list, func(one burner) bool { return !one.child.Running() })
	l := load{From: b.from, To: time.Now(), Burners: len(b.list), CPUs: cpus}
	b.kill()
	for _, one := range b.list {
		l.Burned += one.cmd.ProcessState.UserTime() + one.cmd.ProcessState.SystemTime()
	}
	if early {
		return l, errBurnedOut
	}
	return l, nil
}
